/** A reset that drops nothing of what was written before it. */

import type { Socket } from "node:net"
import type { Duplex } from "node:stream"
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
  whenSent(socket, socket, () => cutSocket(socket))
}

/**
 * Calls `cut` once all that was written has gone, or late; not at all when the stream is gone before. `below` is the
 * socket that carries it; undefined: there is none of ours.
 */
export function whenSent(stream: Duplex, below: Socket | undefined, cut: () => void): void {
  if (stream.destroyed) return
  const startedAt = performance.now()
  let waitMs = firstLookMs
  const again = () => {
    // While the socket is there, it keeps the process; without it there is nothing to wait for.
    setTimeout(look, waitMs).unref()
    waitMs *= 2
  }
  const look = () => {
    if (stream.destroyed) return
    if (performance.now() - startedAt > flushMs) cut()
    else if (stream.writableLength > 0) again()
    else if (below === undefined || below.bytesWritten === 0 || below.remoteFamily === undefined) cut()
    else {
      isSent(below, (sent) => {
        if (sent) cut()
        else again()
      })
    }
  }
  look()
}
