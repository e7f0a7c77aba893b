/** The end of a connection that nobody may take for an end in good order. */

import type { Socket } from "node:net"
import { TLSSocket } from "node:tls"

/** How long an end in good order that is already under way may take, ms. */
const endingMs = 5_000

/**
 * Ends the socket at once, by a reset where the connection has one; what waits to be written is dropped. Only a socket
 * whose `end` is under way writes what it has first: until that is through, a reset is refused and the handle would stay.
 */
export function cutSocket(socket: Socket): void {
  if (socket.destroyed) return
  // A pipe has no reset; under TLS the missing close_notify says the same (RFC 8446 section 6.1).
  if (socket instanceof TLSSocket || socket.remoteFamily === undefined) {
    socket.destroy()
  } else if (socket.writableEnded && !socket.writableFinished) {
    const giveUp = setTimeout(() => socket.destroy(), endingMs)
    socket.once("finish", () => cutSocket(socket))
    socket.once("close", () => clearTimeout(giveUp))
  } else socket.resetAndDestroy()
}
