/** What a few lines of Node can do with one hop less than a tunnel: a reverse proxy, a TCP forwarder. */

import { join } from "node:path"
import type { System } from "../system.ts"

export const nodeProxy: System = nodeProgram("node proxy", "http", "node-proxy.ts", "node:http to node:http, one hop")
export const nodePipe: System = nodeProgram("node pipe", "bytes", "node-pipe.ts", "two sockets and pipe, one hop")

function nodeProgram(name: string, carries: "http" | "bytes", file: string, note: string): System {
  return {
    name,
    side: "peer",
    carries,
    note,
    async start(children, target) {
      const program = join(import.meta.dirname, "..", "programs", file)
      const child = children.node(name, [program, `${target.host}:${target.port}`])
      const port = Number((await child.until(/port (\d+)/))[1])
      return {
        host: "127.0.0.1",
        port,
        hostHeader: "localhost",
        processes: [{ role: "relay", pid: child.pid }],
        stop: () => child.stop(),
      }
    },
  }
}
