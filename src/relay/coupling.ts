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

/** How `other` ended. */
export interface CouplingEnd {
  /** None: in good order. */
  readonly error: RdvError | undefined
  /** Something has passed, one way or the other. */
  readonly moved: boolean
  /** `one` was over before. */
  readonly left: boolean
}

export interface Coupling {
  /** Something has passed, one way or the other. */
  readonly moved: boolean
}

/**
 * Takes over both; each ends with the other. `onOver` is called once, when `other` is over: true keeps that from `one`,
 * which is the caller's again, and may only be said when nothing has moved and `one` has not left.
 */
export function couple(one: Stream, other: Stream, onOver?: (end: CouplingEnd) => boolean): Coupling {
  const forth = new Lane(one, other)
  const back = new Lane(other, one)
  const coupling = {
    get moved() {
      return forth.moved || back.moved
    },
  }
  const sink = sinkOf(back, forth)
  const closed = (error: RdvError | undefined) => {
    const end = { error, moved: coupling.moved, left: back.over }
    if (onOver?.(end) === true) forth.over = true
    else sink.closed(error)
  }
  // A stream that was refused closes in `attach`, and nothing of `one` has moved then.
  other.attach({ ...sink, closed })
  if (!forth.over) one.attach(sinkOf(forth, back))
  return coupling
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
  /** Something came. */
  moved = false
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
    this.moved = true
    if (!this.over && !this.#to.write(chunk)) this.#full = true
    // Written is copied: what waits is the credit.
    if (this.#full) this.#owed += chunk.length
    else this.#from.consumed(chunk.length)
  }

  meta(block: JsonObject): void {
    this.moved = true
    if (this.over) return
    if (!this.#to.meta(block)) this.#full = true
    if (!this.#full) return
    this.#metaLength += JSON.stringify(block).length
    if (this.#metaLength <= metaBound) return
    this.#from.reset("limit", "Metadata came faster than the other side reads it")
  }

  end(): void {
    this.moved = true
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
