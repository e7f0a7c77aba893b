/**
 * What is compared: rdv, HAProxy and nginx stream with one thread each, a few lines of Node, and no proxy. All listen on
 * loopback, a port for each target, and write no line per connection.
 */

import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import type { Child, Children } from "../children.ts"
import { freePort } from "../origin.ts"
import { roles } from "./tcp-bench.ts"
import type { Ports } from "./tcp-bench.ts"

export interface RunningProxy {
  readonly ports: Ports
  /** Undefined: there is none. */
  readonly pid: number | undefined
  stop(): Promise<void>
}

export interface Proxy {
  readonly name: string
  readonly note: string
  /** Leads each port to the one of the same role. Rejects with one line when it cannot run here. */
  start(children: Children, targets: Ports): Promise<RunningProxy>
}

/** A way from a port of loopback to another. */
export interface Route {
  readonly from: number
  readonly to: number
}

/** Resolves as soon as the process runs, which may be before it listens. */
export type StartRoutes = (children: Children, routes: readonly Route[]) => Promise<Child>

export const reference: Proxy = proxy("haproxy", "mode tcp, one thread, buffers of 16 kB", (children, routes) =>
  haproxy(children, routes),
)

export const candidates: readonly Proxy[] = [
  proxy("rdv balance", "one worker, defaults", (children, routes) => rdvBalance(children, routes)),
  proxy("nginx stream", "one worker, buffers of 16 kB", (children, routes) => nginxStream(children, routes, "")),
  proxy("node pipe", "two sockets and pipe", (children, routes) => nodePipe(children, routes)),
]

/** Any other: a shell command in which `{routes}` is `FROM:TO`, ports of loopback, for each route. */
export function commandProxy(name: string, command: string): Proxy {
  return proxy(name, command, async (children, routes) => {
    const filled = command.replaceAll("{routes}", routes.map(({ from, to }) => `${from}:${to}`).join(" "))
    return children.start(name, "sh", ["-c", `exec ${filled}`])
  })
}

export const direct: Proxy = {
  name: "no proxy",
  note: "the client and the target alone",
  start: async (_children, targets) => ({ ports: targets, pid: undefined, stop: async () => undefined }),
}

function proxy(
  name: string,
  note: string,
  start: (children: Children, routes: readonly Route[]) => Promise<Child>,
): Proxy {
  return {
    name,
    note,
    async start(children, targets) {
      const routes: Route[] = []
      for (const role of roles) routes.push({ from: await freePort(), to: targets[role] })
      const child = await start(children, routes)
      await untilOpen(child, routes)
      const ports = Object.fromEntries(roles.map((role, at) => [role, routes[at]?.from])) as Record<string, number>
      return { ports: ports as Ports, pid: child.pid, stop: () => child.stop() }
    },
  }
}

export async function untilOpen(child: Child, routes: readonly Route[]): Promise<void> {
  for (const { from } of routes) await untilListens(child, from)
}

/** By the kernel's table: without a connection, which a proxy would lead on. */
export async function untilListens(child: Child, port: number): Promise<void> {
  const needle = new RegExp(`^ *\\d+: [0-9A-F]+:${port.toString(16).toUpperCase().padStart(4, "0")} \\S+ 0A `, "m")
  const deadline = performance.now() + 10_000
  while (!needle.test(readFileSync("/proc/net/tcp", "latin1"))) {
    if (!child.running || performance.now() > deadline)
      throw new Error(`${child.name} does not listen: ${child.output}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

export async function haproxy(children: Children, routes: readonly Route[], host = "127.0.0.1"): Promise<Child> {
  const file = join(children.folder(), "haproxy.cfg")
  const listen = routes.map(
    ({ from, to }) => `listen p${from}\n  bind 127.0.0.1:${from} backlog 4096\n  server s ${host}:${to}\n`,
  )
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn 9000
defaults
  mode tcp
  timeout connect 5s
  timeout client 120s
  timeout server 120s
${listen.join("")}`,
  )
  return children.start("haproxy", programAt("haproxy"), ["-db", "-f", file])
}

/** `extra`: directives of the stream block. */
export async function nginxStream(children: Children, routes: readonly Route[], extra: string): Promise<Child> {
  const folder = children.folder()
  const file = join(folder, "nginx.conf")
  const module = ["/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so"].find(
    (path) => existsSync(path),
  )
  const servers = routes.map(
    ({ from, to }) => `  server { listen 127.0.0.1:${from} backlog=4096; proxy_pass 127.0.0.1:${to}; }\n`,
  )
  writeFileSync(
    file,
    `${module === undefined ? "" : `load_module ${module};\n`}${process.getuid?.() === 0 ? `user ${userInfo().username};\n` : ""}daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${join(folder, "nginx.pid")};
error_log stderr crit;
events { worker_connections 19000; }
stream {
  tcp_nodelay on;
  ${extra}
${servers.join("")}}
`,
  )
  return children.start("nginx stream", programAt("nginx"), ["-p", folder, "-c", file, "-e", "stderr"])
}

export async function nodePipe(
  children: Children,
  routes: readonly Route[],
  nodeFlags: readonly string[] = [],
): Promise<Child> {
  const program = join(import.meta.dirname, "..", "programs", "node-pipes.ts")
  return children.node("node pipe", [...nodeFlags, program, ...routes.map(({ from, to }) => `${from}:${to}`)])
}

/** One process for each route; the first stands for all of them. */
export async function socat(children: Children, routes: readonly Route[]): Promise<Child> {
  const started = routes.map(({ from, to }) =>
    children.start("socat", programAt("socat"), [
      `TCP-LISTEN:${from},bind=127.0.0.1,fork,reuseaddr,backlog=1024`,
      `TCP:127.0.0.1:${to}`,
    ]),
  )
  return started[0] as Child
}

const commandLine = join(import.meta.dirname, "..", "..", "src", "cli", "main.ts")

export async function rdvBalance(
  children: Children,
  routes: readonly Route[],
  nodeFlags: readonly string[] = [],
): Promise<Child> {
  const apps = routes.map(({ from, to }) => ({
    name: `p${from}`,
    listen: [`127.0.0.1:${from}`],
    targets: [`127.0.0.1:${to}`],
  }))
  return startRdvBalance(children, { apps, workers: 1 }, nodeFlags)
}

/** `settings`: the document of the configuration file. Its connections are not logged. */
export async function startRdvBalance(
  children: Children,
  settings: object,
  nodeFlags: readonly string[] = [],
): Promise<Child> {
  const folder = children.folder()
  const file = join(folder, "config.json")
  writeFileSync(file, JSON.stringify({ log: { connections: "none" }, ...settings }))
  return children.node("rdv balance", [...nodeFlags, commandLine, "balance", "--config", file], { env: homeIn(folder) })
}

/** Nothing of the user's configuration and data plays in. */
function homeIn(folder: string): NodeJS.ProcessEnv {
  const xdg = { XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder, XDG_STATE_HOME: folder, XDG_RUNTIME_DIR: folder }
  return { ...process.env, HOME: folder, ...xdg }
}

/** Debian keeps servers out of a user's path. */
function programAt(name: string): string {
  return ["/usr/sbin", "/usr/local/sbin", "/usr/bin"].map((folder) => join(folder, name)).find(existsSync) ?? name
}
