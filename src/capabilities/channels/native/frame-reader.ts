/**
 * Bytes of a stream to frames, however they are cut. What arrives whole is looked at where it lies; only the frame that
 * was cut is put together, in memory that grows with what has come and not with what was promised.
 */

import { RdvError } from "../../../base/error.ts"
import { readU32 } from "./numbers.ts"
import { frameHeaderBytes } from "./protocol.ts"

export interface FrameSink {
  /** The body is `bytes[start, end)`, valid during the call. */
  frame(kind: number, bytes: Uint8Array, start: number, end: number): void
}

export class FrameReader {
  readonly #sink: FrameSink
  /** Of one body. */
  readonly #maxBytes: number
  /** The beginning of the frame that was cut. */
  #partial: Uint8Array = none
  #have = 0
  /** Of the frame that was cut, with its header; 0 while its length is not known. */
  #need = 0
  #stopped = false

  constructor(sink: FrameSink, maxBytes: number) {
    this.#sink = sink
    this.#maxBytes = maxBytes
  }

  /** Memory that holds the beginning of a frame. */
  get heldBytes(): number {
    return this.#partial.length
  }

  /** No further frame is told, not even of the present chunk. */
  stop(): void {
    this.#stopped = true
    this.#partial = none
    this.#have = 0
  }

  /** Throws `protocol` for a length that cannot be, and what the sink throws. */
  push(chunk: Uint8Array): void {
    let at = this.#have > 0 ? this.#complete(chunk) : 0
    const { length } = chunk
    while (!this.#stopped && length - at >= frameHeaderBytes) {
      const end = at + this.#size(chunk, at)
      if (end > length) break
      this.#sink.frame(chunk[at + 4] as number, chunk, at + frameHeaderBytes, end)
      at = end
    }
    if (at < length && !this.#stopped) this.#keep(chunk, at)
  }

  /** Goes on with the frame that was cut. Returns how much of the chunk is used. */
  #complete(chunk: Uint8Array): number {
    let at = 0
    if (this.#need === 0) {
      at = Math.min(chunk.length, frameHeaderBytes - this.#have)
      this.#append(chunk, 0, at)
      if (this.#have < frameHeaderBytes) return at
      this.#need = this.#size(this.#partial, 0)
    }
    const take = Math.min(chunk.length - at, this.#need - this.#have)
    this.#append(chunk, at, at + take)
    if (this.#have < this.#need) return at + take
    const whole = this.#partial
    const end = this.#need
    this.#have = 0
    this.#need = 0
    if (whole.length > keptBytes) this.#partial = none
    this.#sink.frame(whole[4] as number, whole, frameHeaderBytes, end)
    return at + take
  }

  #keep(chunk: Uint8Array, from: number): void {
    if (chunk.length - from >= frameHeaderBytes) this.#need = this.#size(chunk, from)
    this.#append(chunk, from, chunk.length)
  }

  #append(chunk: Uint8Array, from: number, to: number): void {
    const have = this.#have + to - from
    if (have > this.#partial.length) {
      const room = Math.max(have, Math.min(this.#need, 2 * this.#partial.length), firstBytes)
      const larger = new Uint8Array(room)
      larger.set(this.#partial.subarray(0, this.#have))
      this.#partial = larger
    }
    this.#partial.set(chunk.subarray(from, to), this.#have)
    this.#have = have
  }

  /** Header and body. */
  #size(bytes: Uint8Array, at: number): number {
    const length = readU32(bytes, at)
    if (length === 0 || length - 1 > this.#maxBytes) {
      throw new RdvError("protocol", `A channel frame of ${length} bytes, and at most ${this.#maxBytes + 1} may be`)
    }
    return 4 + length
  }
}

const none: Uint8Array = new Uint8Array(0)
/** A frame that was cut gets so much at first. */
const firstBytes = 512
/** Kept for the next one. */
const keptBytes = 4096
