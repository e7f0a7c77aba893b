/** Bytes in pieces of one length, whatever they come in. */

import { RdvError } from "../../../base/error.ts"

/** All pieces have `length` bytes, the last one has what is left; there is none that is empty. A source that is left early is cancelled. */
export async function* piecesOf(
  from: ReadableStream<Uint8Array> | Uint8Array,
  length: number,
): AsyncGenerator<Uint8Array, void> {
  if (from instanceof Uint8Array) {
    for (let at = 0; at < from.length; at += length) yield from.subarray(at, at + length)
    return
  }
  const reader = from.getReader()
  let piece = new Uint8Array(length)
  let filled = 0
  let isRead = false
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      if (!(value instanceof Uint8Array)) throw new RdvError("usage", "A blob's stream has something else than bytes")
      for (let at = 0; at < value.length;) {
        const part = value.subarray(at, at + length - filled)
        piece.set(part, filled)
        filled += part.length
        at += part.length
        if (filled < length) continue
        yield piece
        piece = new Uint8Array(length)
        filled = 0
      }
    }
    isRead = true
    if (filled > 0) yield piece.subarray(0, filled)
  } finally {
    if (!isRead) await reader.cancel().catch(() => undefined)
    reader.releaseLock()
  }
}
