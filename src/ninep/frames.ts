/**
 * A byte stream cut into messages by their size[4]. A message that lies whole in one chunk is handed on where it lies; the
 * parts of others are put together in one piece of memory. A size is judged before anything is stored, and memory grows with
 * what has come, not with what was announced. Of a large message nothing is kept when it is over: there may be ten
 * thousand connections.
 */

import { u32At } from "./byte-reader.ts"
import { headerBytes } from "./message.ts"
import { NinepProtocolError } from "./protocol-error.ts"

/** Takes the message `bytes[start, end)`, its size[4] included; valid during the call alone. */
export type FrameSink = (bytes: Uint8Array, start: number, end: number) => void

/** Where memory for large messages is taken from, and given back to; it may be larger than was asked for. */
export interface FrameMemory {
  take(bytes: number): Uint8Array
  give(memory: Uint8Array): void
}

const sizeBytes = 4
const firstRoom = 1024
/** So much stays with the connection for its next message. */
const keptRoom = 16 * 1024

const noRoom = new Uint8Array(0)

const fromSystem: FrameMemory = { take: (bytes) => new Uint8Array(bytes), give: () => undefined }

export class Frames {
  readonly #sink: FrameSink
  readonly #memory: FrameMemory
  #msize: number
  #room: Uint8Array = noRoom
  /** Bytes of the unfinished message in `#room`, and its size, 0 while that is not known. */
  #held = 0
  #size = 0
  #stopped = false

  /** `msize`: the largest message; before Rversion what would be offered. */
  constructor(msize: number, sink: FrameSink, memory: FrameMemory = fromSystem) {
    this.#msize = msize
    this.#sink = sink
    this.#memory = memory
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
    this.#room = noRoom
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
    const room = this.#room
    this.#held = 0
    this.#size = 0
    if (room.length <= keptRoom) {
      this.#sink(room, 0, size)
      return stop
    }
    this.#room = noRoom
    try {
      this.#sink(room, 0, size)
    } finally {
      this.#memory.give(room)
    }
    return stop
  }

  #keep(chunk: Uint8Array, start: number, end: number): void {
    const held = this.#held + end - start
    if (held > this.#room.length) {
      const most = this.#size === 0 ? firstRoom : Math.max(this.#size, firstRoom)
      const size = Math.min(most, Math.max(firstRoom, held > keptRoom ? held * 4 : held * 2))
      const before = this.#room
      this.#room = size <= keptRoom ? new Uint8Array(size) : this.#memory.take(size)
      this.#room.set(before.subarray(0, this.#held))
      if (before.length > keptRoom) this.#memory.give(before)
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
