/** Channels as files on a port of this machine, put together from the parts, with the space in the test's hands. */

import { once } from "node:events"
import { createServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { systemClock } from "../../src/base/clock.ts"
import { silentLog } from "../../src/base/log.ts"
import type { Log, LogFields } from "../../src/base/log.ts"
import { SeededRandom } from "../../src/base/random.ts"
import { Space } from "../../src/capabilities/channels/core/space.ts"
import { ChannelTree } from "../../src/capabilities/channels/files/channel-tree.ts"
import { identifyAnyone } from "../../src/capabilities/channels/files/identity.ts"
import { NinepConnection } from "../../src/ninep/connection.ts"

export interface ChannelServer extends AsyncDisposable {
  readonly port: number
  readonly space: Space
  /** What its log warns of: broken conversations, failures of the tree. Nothing while all goes well. */
  readonly warnings: readonly string[]
  /** Breaks all connections that are there now. */
  cut(): void
}

/** Root may do everything, as everybody may in 9P2000, which knows names only; others what the permissions say. */
export async function startChannelServer(): Promise<ChannelServer> {
  const space = new Space({ clock: systemClock, random: new SeededRandom(1) })
  const tree = new ChannelTree({
    space,
    identify: async (request) => ({
      ...(await identifyAnyone(request)),
      admin: request.user.uid === undefined || request.user.uid === 0,
    }),
  })
  const sockets = new Set<Socket>()
  const warnings: string[] = []
  const warn = (event: string, fields?: LogFields) => void warnings.push(`${event} ${JSON.stringify(fields)}`)
  const log: Log = { ...silentLog, warn, error: warn }
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.setNoDelay(true)
    const connection = new NinepConnection({
      tree,
      // The connection uses the memory again, the socket may keep it: a copy.
      output: { write: (bytes) => (socket.write(Buffer.from(bytes)), true) },
      log,
    })
    connection.onEnd = () => socket.destroy()
    socket.on("data", (bytes) => connection.receive(bytes))
    socket.on("error", () => socket.destroy())
    socket.on("close", () => {
      sockets.delete(socket)
      connection.closed()
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  const seconds = setInterval(() => space.tick(), 1000)
  return {
    port: (server.address() as AddressInfo).port,
    space,
    warnings,
    cut,
    async [Symbol.asyncDispose]() {
      clearInterval(seconds)
      cut()
      server.close()
      await once(server, "close")
    },
  }
}
