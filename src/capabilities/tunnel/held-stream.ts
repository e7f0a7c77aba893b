/** A stream whose receiver is still to come, and that is watched meanwhile: whoever opened it may leave before that. */

import type { Stream } from "../../base/stream.ts"

/**
 * Takes the stream over until `attach` of the returned one, which delivers what came before. Nothing is given back until
 * then, so what is held is bounded by the stream's window; metadata is dropped. `gone` is called when the stream closes
 * while nobody has attached.
 */
export function holdStream(stream: Stream, gone: () => void): Stream {
  const held: Uint8Array[] = []
  let ended = false
  stream.attach({
    data: (chunk) => void held.push(chunk),
    meta: () => undefined,
    end: () => void (ended = true),
    drain: () => undefined,
    closed: gone,
  })
  return {
    id: stream.id,
    service: stream.service,
    header: stream.header,
    attach(sink) {
      stream.attach(sink)
      for (const chunk of held.splice(0)) sink.data(chunk)
      if (ended) sink.end()
      ended = false
    },
    write: (chunk) => stream.write(chunk),
    meta: (block) => stream.meta(block),
    end: () => stream.end(),
    reset: (code, reason) => stream.reset(code, reason),
    consumed: (bytes) => stream.consumed(bytes),
  }
}
