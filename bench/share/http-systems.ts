/** nginx gives a whole copy to each: the hard one to beat on one machine, since `sendfile` costs next to nothing. */

import { mkdirSync, writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import { basename, dirname, join } from "node:path"
import type { Child, Children } from "../children.ts"
import { freePort, untilListening } from "../origin.ts"
import { Gauge } from "./gauge.ts"
import { found, lacking } from "./programs.ts"
import type { Outcome, ShareSystem, Task } from "./system.ts"

export const curlBlake: ShareSystem = curl("nginx + curl + b3sum", "b3sum", "b3sum --num-threads 1 --no-names")
export const curlSha: ShareSystem = curl("nginx + curl + openssl", "openssl", "openssl dgst -sha256 -r")

function curl(name: string, program: string, check: string): ShareSystem {
  return {
    name,
    note: `\`curl -s -o f URL && ${check} f\` for each client, nginx with \`sendfile\``,
    missing: () => lacking("nginx", "curl", program),
    run: (children, task) => run(children, task, check),
  }
}

async function run(children: Children, task: Task, check: string): Promise<Outcome> {
  const { clients, folder, file } = task
  const { server, url } = await startNginx(children, task)
  const outputs = Array.from({ length: clients }, (_, client) => join(folder, `f${client}`))
  // One shell starts them all: quicker than anybody else could.
  const script = `trap 'kill $pids 2>/dev/null' TERM
while [ $((client += 1)) -le ${clients} ]; do
  f=${folder}/f$((client - 1))
  (curl -s -o $f ${url}/${basename(file)} && ${check} $f > $f.sum) & pids="$pids $!"
done
wait
echo all through
exec sleep 600`
  let shell: Child | undefined
  const gauge = new Gauge(() => ({ servers: [server.pid], clients: shell === undefined ? [] : [shell.pid] }))
  try {
    shell = children.start("clients", "sh", ["-c", script])
    await shell.until(/all through/, patienceMs)
    return { taken: gauge.end(), outputs }
  } finally {
    gauge.stop()
    await shell?.stop()
    await server.stop()
  }
}

async function startNginx(children: Children, { folder, file }: Task): Promise<{ server: Child; url: string }> {
  const port = await freePort()
  const home = join(folder, "nginx")
  mkdirSync(home)
  // As root, nginx would read our private folder as nobody.
  const user = process.getuid?.() === 0 ? `user ${userInfo().username};\n` : ""
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((each) => `${each}_temp_path ${home};`)
  writeFileSync(
    join(home, "nginx.conf"),
    `${user}daemon off; worker_processes 2; pid ${home}/pid; error_log stderr crit;
events { worker_connections 1024; }
http { ${temporary.join(" ")} access_log off; sendfile on; tcp_nopush on;
server { listen 127.0.0.1:${port} backlog=1024; root ${dirname(file)}; } }
`,
  )
  const server = children.start("nginx", found("nginx") ?? "nginx", [
    "-p",
    home,
    "-c",
    `${home}/nginx.conf`,
    "-e",
    "stderr",
  ])
  await untilListening(
    { host: "127.0.0.1", port },
    () => server.running,
    () => server.output,
  )
  return { server, url: `http://127.0.0.1:${port}` }
}

const patienceMs = 180_000
