/**
 * A stream and a socket as one pipe: bytes, back-pressure, half-close and reset pass both ways. What one side ended, the
 * other still may answer; what was on its way when a reset came is flushed first.
 */

import type { Socket } from "node:net"
import type { RdvError } from "../base/error.ts"
import type { Stream } from "../base/stream.ts"
import { cutWhenSent } from "./cut-when-sent.ts"
import { SocketOutlet } from "./outlet.ts"
import type { SocketReader } from "./socket-reader.ts"

/**
 * Takes over both. The socket's `allowHalfOpen` is set, and it reads through `reader`. `onClosed` is called once, when
 * neither is used any more.
 */
export function splice(stream: Stream, socket: Socket, reader: SocketReader, onClosed?: () => void): void {
  let socketEnded = false
  let over = false
  let closed = false
  const outlet = new SocketOutlet(socket, (bytes) => stream.consumed(bytes))

  reader.receive = (bytes) => {
    if (over) return false
    if (!stream.write(bytes)) socket.pause()
    // The stream has copied them.
    return false
  }
  socket.on("end", () => {
    socketEnded = true
    if (!over) stream.end()
  })
  // The reason travels as one code; "close" follows.
  socket.on("error", () => {
    if (!over) stream.reset("connection_reset")
  })
  socket.on("close", () => {
    if (!over && !(socketEnded && socket.writableFinished)) stream.reset("connection_reset")
    if (!closed) onClosed?.()
    closed = true
  })
  stream.attach({
    data(chunk) {
      if (socket.destroyed) stream.consumed(chunk.length)
      else outlet.write(chunk, chunk.length)
    },
    meta: () => undefined,
    end: () => void socket.end(),
    drain: () => void socket.resume(),
    closed(error: RdvError | undefined) {
      over = true
      if (error !== undefined) cutWhenSent(socket)
    },
  })
  socket.resume()
}
