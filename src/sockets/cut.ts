/** The end of a connection that nobody may take for an end in good order. */

import type { Socket } from "node:net"
import { TLSSocket } from "node:tls"

/** Ends the socket at once, by a reset where the connection has one. What waits to be written is dropped. */
export function cutSocket(socket: Socket): void {
  if (socket.destroyed) return
  // A pipe has no reset; under TLS the missing close_notify says the same (RFC 8446 section 6.1).
  if (socket instanceof TLSSocket || socket.remoteFamily === undefined) socket.destroy()
  else socket.resetAndDestroy()
}
