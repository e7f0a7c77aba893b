/**
 * A byte stream cut into messages by their size[4]. A message that lies whole in one chunk is handed on where it lies; the
 * parts of others are put together in one piece of memory that is used again. A size is judged before anything is stored,
 * and memory grows with what has come, not with what was announced.
 */

import { u32At } from "./byte-reader.ts"
import { headerBytes } from "./message.ts"
import { NinepProtocolError } from "./protocol-error.ts"

/** Takes the message `bytes[start, end)`, its size[4] included; valid during the call alone. */
export type FrameSink = (bytes: Uint8Array, start: number, end: number) => void

const sizeBytes = 4
const firstRoom = 1024

export class Frames {
  readonly #sink: FrameSink
  #msize: number
  #room: Uint8Array = new Uint8Array(0)
  /** Bytes of the unfinished message in `#room`, and its size, 0 while that is not known. */
  #held = 0
  #size = 0
  #stopped = false

  /** `msize`: the largest message; before Rversion what would be offered. */
  constructor(msize: number, sink: FrameSink) {
    this.#msize = msize
    this.#sink = sink
  }

  /** After a version was agreed on. Holds from the next message on. */
  set msize(bytes: number) {
    this.#msize = bytes
  }

  /** True when the last byte ended a message. */
  get atBoundary(): boolean {
    return this.#held === 0
  }

  /** Hands nothing on any more, also from within the sink. */
  stop(): void {
    this.#stopped = true
    this.#held = 0
    this.#room = new Uint8Array(0)
  }

  /** Throws `NinepProtocolError` for a size below 7 or above msize; the stream cannot be read on then. */
  push(chunk: Uint8Array): void {
    const end = chunk.length
    let at = 0
    if (this.#held > 0) at = this.#complete(chunk)
    while (at < end && !this.#stopped) {
      const left = end - at
      const size = left < sizeBytes ? 0 : this.#judge(u32At(chunk, at))
      if (size === 0 || size > left) {
        this.#size = size
        this.#keep(chunk, at, end)
        return
      }
      const start = at
      at += size
      this.#sink(chunk, start, at)
    }
  }

  /** Goes on with the message that began in an earlier chunk. Returns how far it came. */
  #complete(chunk: Uint8Array): number {
    let at = 0
    if (this.#size === 0) {
      at = Math.min(sizeBytes - this.#held, chunk.length)
      this.#keep(chunk, 0, at)
      if (this.#held < sizeBytes) return at
      this.#size = this.#judge(u32At(this.#room, 0))
    }
    const stop = Math.min(at + this.#size - this.#held, chunk.length)
    this.#keep(chunk, at, stop)
    if (this.#held < this.#size) return stop
    const size = this.#size
    this.#held = 0
    this.#size = 0
    this.#sink(this.#room, 0, size)
    return stop
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    const held = this.#held + end - start
    if (held > this.#room.length) {
      const most = this.#size === 0 ? firstRoom : Math.max(this.#size, firstRoom)
      const room = new Uint8Array(Math.min(most, Math.max(firstRoom, held * 2)))
      room.set(this.#room.subarray(0, this.#held))
      this.#room = room
    }
    // Small copies are quicker by hand than by a view.
    if (end - start < 32) for (let at = start; at < end; at++) this.#room[this.#held + at - start] = chunk[at] as number
    else this.#room.set(chunk.subarray(start, end), this.#held)
    this.#held = held
  }

  #judge(size: number): number {
    if (size < headerBytes || size > this.#msize)
      throw new NinepProtocolError(
        "broken",
        `A message says ${size} bytes; ${headerBytes} to ${this.#msize} are allowed`,
      )
    return size
  }
}
