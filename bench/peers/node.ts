/**
 * What a few lines of Node can do: a reverse proxy and a TCP forwarder, with one hop less than a tunnel; and two bare hops,
 * the floor under every tunnel of two Node processes on this machine.
 */

import { join } from "node:path"
import type { Child, Children } from "../children.ts"
import type { Place } from "../origin.ts"
import type { System } from "../system.ts"

export const nodeProxy: System = nodeProgram("node proxy", "http", "node-proxy.ts", "node:http to node:http, one hop")
export const nodePipe: System = nodeProgram("node pipe", "bytes", "node-pipe.ts", "two sockets and pipe, one hop")

export const nodeHops: System = {
  name: "two hops",
  side: "peer",
  carries: "bytes",
  note: "two bare forwarders in Node: the floor, no tunnel",
  async start(children, target) {
    const agent = await startProgram(children, "two hops", "node-hop.ts", target)
    const relay = await startProgram(children, "two hops", "node-hop.ts", { host: "127.0.0.1", port: agent.port })
    return {
      host: "127.0.0.1",
      port: relay.port,
      hostHeader: "localhost",
      processes: [
        { role: "relay", pid: relay.child.pid },
        { role: "agent", pid: agent.child.pid },
      ],
      async stop() {
        await relay.child.stop()
        await agent.child.stop()
      },
    }
  },
}

function nodeProgram(name: string, carries: "http" | "bytes", file: string, note: string): System {
  return {
    name,
    side: "peer",
    carries,
    note,
    async start(children, target) {
      const { child, port } = await startProgram(children, name, file, target)
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

async function startProgram(
  children: Children,
  name: string,
  file: string,
  target: Place,
): Promise<{ child: Child; port: number }> {
  const program = join(import.meta.dirname, "..", "programs", file)
  const child = children.node(name, [program, `${target.host}:${target.port}`])
  return { child, port: Number((await child.until(/port (\d+)/))[1]) }
}
