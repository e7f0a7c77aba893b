/** A TCP port that serves a 9P tree, for tests alone. */

import { createServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { silentLog } from "../../src/base/log.ts"
import type { Log } from "../../src/base/log.ts"
import { NinepConnection } from "../../src/ninep/connection.ts"
import type { NinepLimits } from "../../src/ninep/limits.ts"
import { NinepStep } from "../../src/ninep/step.ts"
import type { Tree } from "../../src/ninep/tree.ts"

export interface NinepListener extends AsyncDisposable {
  readonly port: number
  readonly connections: ReadonlySet<NinepConnection>
}

export interface NinepListenerOptions {
  readonly port?: number
  readonly host?: string
  readonly log?: Log
  readonly limits?: Partial<NinepLimits>
}

const nothing = Buffer.alloc(0)

export async function listenNinep(tree: Tree, options: NinepListenerOptions = {}): Promise<NinepListener> {
  const { port = 0, host = "127.0.0.1", log = silentLog, limits = {} } = options
  const step = new NinepStep()
  const sockets = new Set<Socket>()
  const connections = new Set<NinepConnection>()
  const server = createServer({ noDelay: true }, (socket) => {
    const output = {
      write(bytes: Uint8Array): boolean {
        socket.write(bytes)
        if (socket.writableLength === 0) return true
        // Behind everything: `drain` comes only to those that wrote more than the high-water mark.
        socket.write(nothing, () => {
          connection.drained()
          settle()
        })
        return false
      },
    }
    const connection = new NinepConnection({ tree, output, log, limits, step })
    sockets.add(socket)
    connections.add(connection)
    const settle = () => {
      if (connection.paused) socket.pause()
      else socket.resume()
    }
    connection.onEnd = () => socket.destroySoon()
    socket.on("data", (bytes) => {
      connection.receive(bytes)
      settle()
    })
    // A lost connection is told by the close that follows.
    socket.on("error", () => undefined)
    socket.on("close", () => {
      connection.closed()
      sockets.delete(socket)
      connections.delete(connection)
    })
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen({ port, host }, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    connections,
    async [Symbol.asyncDispose]() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}
