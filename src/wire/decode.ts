/**
 * Bytes to frames, however they are cut. A length is compared with its limit when the header is read, before anything is
 * stored. DATA is handed on piece by piece as it arrives, by reference; every other payload is short and handed on whole.
 */

import { RdvError } from "../base/error.ts"
import { frameName, frameType, headerBytes } from "./frame.ts"
import { maxFramePayload, maxHelloPayload, maxReasonBytes } from "./limits.ts"

export interface FrameSink {
  /** A piece of a DATA payload; `left` bytes of the same frame are still to come. Pieces may be empty for an empty frame. */
  data(stream: number, bytes: Uint8Array, start: number, end: number, left: number, length: number): void
  /** Any other frame; the payload is `bytes[start, end)` and valid only during the call. */
  frame(type: number, stream: number, bytes: Uint8Array, start: number, end: number): void
}

export class FrameDecoder {
  readonly #sink: FrameSink
  readonly #maxPayload: number
  /** The header, or the payload that did not arrive whole; `#held` bytes of it are there. */
  readonly #header: Uint8Array = new Uint8Array(headerBytes)
  #payload: Uint8Array | undefined
  #held = 0
  #type = 0
  #stream = 0
  /** Length of the current frame, and how much of a DATA payload is still to come; -1 between frames. */
  #length = 0
  #left = -1
  #stopped = false

  /** `maxPayload` is what this side announced; the handshake uses a smaller one. */
  constructor(sink: FrameSink, maxPayload: number = maxFramePayload) {
    this.#sink = sink
    this.#maxPayload = maxPayload
  }

  /** True when the last byte ended a frame. */
  get atBoundary(): boolean {
    return this.#held === 0 && this.#left < 0 && this.#payload === undefined
  }

  /** Ends decoding from within a sink call; `push` then returns how far it came. */
  stop(): void {
    this.#stopped = true
  }

  /**
   * Takes the next bytes of the link. Returns the number of bytes used: all, unless `stop` was called.
   * Throws `protocol` for an unknown type, a length over the limit or a stream number where none may stand.
   */
  push(bytes: Uint8Array): number {
    const end = bytes.length
    let at = 0
    while (at < end && !this.#stopped) {
      if (this.#left >= 0) at = this.#pushData(bytes, at, end)
      else if (this.#payload !== undefined) at = this.#pushPayload(bytes, at, end)
      else if (this.#held > 0 || end - at < headerBytes) at = this.#pushHeader(bytes, at, end)
      else at = this.#pushFrame(bytes, at, end)
    }
    return at
  }

  /** The hot path: a header that arrived whole. */
  #pushFrame(bytes: Uint8Array, at: number, end: number): number {
    this.#readHeader(bytes, at)
    const start = at + headerBytes
    if (this.#type === frameType.data) {
      this.#left = this.#length
      if (this.#left === 0) return this.#pushData(bytes, start, start)
      return start === end ? start : this.#pushData(bytes, start, end)
    }
    const stop = start + this.#length
    if (stop <= end) {
      this.#sink.frame(this.#type, this.#stream, bytes, start, stop)
      return stop
    }
    this.#payload = new Uint8Array(this.#length)
    return start
  }

  #pushHeader(bytes: Uint8Array, at: number, end: number): number {
    const take = Math.min(headerBytes - this.#held, end - at)
    this.#header.set(bytes.subarray(at, at + take), this.#held)
    this.#held += take
    if (this.#held < headerBytes) return at + take
    this.#held = 0
    this.#readHeader(this.#header, 0)
    if (this.#type === frameType.data) {
      this.#left = this.#length
      if (this.#left === 0) this.#pushData(bytes, at + take, at + take)
    } else if (this.#length === 0) this.#sink.frame(this.#type, this.#stream, bytes, at + take, at + take)
    else this.#payload = new Uint8Array(this.#length)
    return at + take
  }

  #pushPayload(bytes: Uint8Array, at: number, end: number): number {
    const payload = this.#payload as Uint8Array
    const take = Math.min(this.#length - this.#held, end - at)
    payload.set(bytes.subarray(at, at + take), this.#held)
    this.#held += take
    if (this.#held === this.#length) {
      this.#payload = undefined
      this.#held = 0
      this.#sink.frame(this.#type, this.#stream, payload, 0, this.#length)
    }
    return at + take
  }

  #pushData(bytes: Uint8Array, at: number, end: number): number {
    const take = Math.min(this.#left, end - at)
    const left = this.#left - take
    this.#left = left === 0 ? -1 : left
    this.#sink.data(this.#stream, bytes, at, at + take, left, this.#length)
    return at + take
  }

  #readHeader(bytes: Uint8Array, at: number): void {
    const type = bytes[at] as number
    const length = ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
    this.#stream = readU32(bytes, at + 4)
    this.#type = type
    this.#length = length
    if (type === frameType.data) {
      if (length > this.#maxPayload) throw tooLong(type, length, this.#maxPayload)
      if (this.#stream === 0) throw new RdvError("protocol", "A DATA frame names stream 0")
      return
    }
    const rule = rules[type]
    if (rule === undefined) throw new RdvError("protocol", `Unknown frame type ${frameName(type)}`)
    const most = Math.min(rule.most, type === frameType.hello ? maxHelloPayload : Math.max(this.#maxPayload, 64))
    if (length > most) throw tooLong(type, length, most)
    if (length < rule.least) {
      throw new RdvError("protocol", `A ${frameName(type)} frame of ${length} bytes is shorter than ${rule.least}`)
    }
    if (rule.stream === "zero" && this.#stream !== 0) {
      throw new RdvError("protocol", `A ${frameName(type)} frame names stream ${this.#stream}`)
    }
    if (rule.stream === "one" && this.#stream === 0) {
      throw new RdvError("protocol", `A ${frameName(type)} frame names stream 0`)
    }
  }
}

interface Rule {
  readonly least: number
  readonly most: number
  readonly stream: "zero" | "one" | "any"
}

const rules: (Rule | undefined)[] = []
rules[frameType.open] = { least: 7, most: maxFramePayload, stream: "one" }
rules[frameType.meta] = { least: 2, most: maxFramePayload, stream: "one" }
rules[frameType.credit] = { least: 4, most: 4, stream: "one" }
rules[frameType.end] = { least: 0, most: 0, stream: "one" }
rules[frameType.reset] = { least: 2, most: 2 + maxReasonBytes, stream: "any" }
rules[frameType.drain] = { least: 0, most: 0, stream: "zero" }
rules[frameType.hello] = { least: 2, most: maxHelloPayload, stream: "zero" }
rules[frameType.ack] = { least: 8, most: 8, stream: "zero" }
rules[frameType.ping] = { least: 8, most: 8, stream: "zero" }
rules[frameType.pong] = { least: 8, most: 8, stream: "zero" }
rules[frameType.dgram] = { least: 0, most: maxFramePayload, stream: "one" }
rules[frameType.check] = { least: 4, most: 4, stream: "zero" }

function tooLong(type: number, length: number, most: number): RdvError {
  return new RdvError("protocol", `A ${frameName(type)} frame of ${length} bytes is over the limit of ${most}`)
}

export function readU32(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) |
      ((bytes[at + 1] as number) << 16) |
      ((bytes[at + 2] as number) << 8) |
      (bytes[at + 3] as number)) >>>
    0
  )
}

/** A count of bytes; throws `protocol` beyond 2^53, which no session reaches. */
export function readU64(bytes: Uint8Array, at: number): number {
  const value = readU32(bytes, at) * 2 ** 32 + readU32(bytes, at + 4)
  if (!Number.isSafeInteger(value)) throw new RdvError("protocol", "A 64-bit number is beyond 2^53")
  return value
}
