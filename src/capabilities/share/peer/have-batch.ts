/** Tells the relay what has come, several chunks at once: a message per chunk would cost the relay more than the chunk. */

import type { Clock, Timer } from "../../../base/clock.ts"
import type { ByteWays } from "../protocol/control.ts"

export type Way = keyof ByteWays

export interface HaveBatchOptions {
  readonly clock: Clock
  /** Says it; false when the line takes nothing now: then `flush` is called again later. */
  readonly say: (chunks: readonly number[], via: ByteWays) => boolean
}

export class HaveBatch {
  readonly #options: HaveBatchOptions
  #chunks: number[] = []
  #via: { relay: number; direct: number; cast: number } = { relay: 0, direct: 0, cast: 0 }
  #timer: Timer | undefined

  constructor(options: HaveBatchOptions) {
    this.#options = options
  }

  add(chunk: number, bytes: number, way: Way): void {
    this.#chunks.push(chunk)
    this.#via[way] += bytes
    if (this.#chunks.length >= mostChunks) this.flush()
    else this.#timer ??= this.#options.clock.after(mostMs, () => this.flush())
  }

  /** Says what has gathered; bytes that came without a new chunk wait for the next one. */
  flush(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    if (this.#chunks.length === 0) return
    // A line that is full for long lets many gather: a message has to stay a message.
    const chunks = this.#chunks.slice(0, largestMessage)
    if (!this.#options.say(chunks, this.#via)) return
    this.#chunks = this.#chunks.slice(chunks.length)
    this.#via = { relay: 0, direct: 0, cast: 0 }
    if (this.#chunks.length > 0) this.flush()
  }

  /** What was not said yet is part of what `holds` says. */
  clear(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#chunks = []
    // The bytes came all the same; the next message counts them.
  }
}

const mostChunks = 16
/** A hundredth of a second more or less is nothing to who waits for a chunk, and each message costs the relay as much as a chunk. */
const mostMs = 20
const largestMessage = 1_000
