/**
 * Two streams as one pipe, each of another session: bytes, metadata, ends and resets pass both ways. Bytes are given back
 * to their sender when the other side has room for more, so what waits here is bounded by the streams' windows. Metadata
 * has no window: who sends too much of it to somebody who does not read loses the call.
 */

import type { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Stream, StreamSink } from "../base/stream.ts"

/** Characters of metadata that may come while the other side is full. */
const metaBound = 256 * 1024

/** Takes over both; each ends with the other. */
export function couple(one: Stream, other: Stream): void {
  const forth = new Lane(one, other)
  const back = new Lane(other, one)
  // A stream that was refused closes in `attach`, and nothing of `one` has moved then.
  other.attach(sinkOf(back, forth))
  if (!forth.over) one.attach(sinkOf(forth, back))
}

/** For what comes in by `lane`; room for what goes out by it is told to the sink of the lane back, and the other way round. */
function sinkOf(lane: Lane, opposite: Lane): StreamSink {
  return {
    data: (chunk) => lane.data(chunk),
    meta: (block) => lane.meta(block),
    end: () => lane.end(),
    drain: () => opposite.goOn(),
    closed(error) {
      opposite.stop()
      if (error !== undefined) lane.reset(error)
    },
  }
}

/** One direction. */
class Lane {
  /** Where it leads to takes nothing any more. */
  over = false
  readonly #from: Stream
  readonly #to: Stream
  #full = false
  /** Bytes that came while the other side was full. */
  #owed = 0
  #metaLength = 0

  constructor(from: Stream, to: Stream) {
    this.#from = from
    this.#to = to
  }

  data(chunk: Uint8Array): void {
    if (!this.over && !this.#to.write(chunk)) this.#full = true
    // Written is copied: what waits is the credit.
    if (this.#full) this.#owed += chunk.length
    else this.#from.consumed(chunk.length)
  }

  meta(block: JsonObject): void {
    if (this.over) return
    if (!this.#to.meta(block)) this.#full = true
    if (!this.#full) return
    this.#metaLength += JSON.stringify(block).length
    if (this.#metaLength <= metaBound) return
    this.#from.reset("limit", "Metadata came faster than the other side reads it")
  }

  end(): void {
    if (!this.over) this.#to.end()
  }

  goOn(): void {
    this.#full = false
    this.#metaLength = 0
    const owed = this.#owed
    this.#owed = 0
    if (owed > 0) this.#from.consumed(owed)
  }

  /** What still comes is dropped. */
  stop(): void {
    this.over = true
    this.goOn()
  }

  reset({ code, message }: RdvError): void {
    if (!this.over) this.#to.reset(code, message)
  }
}
