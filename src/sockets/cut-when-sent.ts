/** A reset that drops nothing of what was written before it. */

import type { Socket } from "node:net"
import { cutSocket } from "./cut.ts"
import { isSent } from "./send-queue.ts"

/** How long bytes that are on their way may keep a reset waiting, ms. */
const flushMs = 5_000
/** Between looks at first, ms; then twice as long each time. */
const firstLookMs = 20

/**
 * Lets the peer's kernel have what waits, here and in our own kernel, and resets the connection then; without a FIN,
 * because the peer must not take what it has for all there is.
 */
export function cutWhenSent(socket: Socket): void {
  if (socket.destroyed) return
  const startedAt = performance.now()
  const look = () => {
    if (socket.destroyed) return
    if (performance.now() - startedAt > flushMs) cutSocket(socket)
    else if (socket.writableLength > 0) again()
    else if (socket.bytesWritten === 0 || socket.remoteFamily === undefined) cutSocket(socket)
    else {
      isSent(socket, (sent) => {
        if (sent) cutSocket(socket)
        else again()
      })
    }
  }
  let waitMs = firstLookMs
  const again = () => {
    // While the socket is there, it keeps the process; without it there is nothing to wait for.
    setTimeout(look, waitMs).unref()
    waitMs *= 2
  }
  look()
}
