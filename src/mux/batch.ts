/**
 * Frames on their way to one write. They are copied side by side into segments: a copy of bytes that were just read costs
 * a hundredth of what it costs to keep the memory they were read into, and one run of bytes is one system call, one
 * checksum and one entry of the replay log.
 */

import { segmentBytes } from "../base/segments.ts"
import type { SegmentPool } from "../base/segments.ts"
import { utf8Encode, utf8Write } from "../base/text.ts"
import { writeHeader } from "../wire/encode.ts"
import { frameType, headerBytes } from "../wire/frame.ts"
import { openPayloadBound, writeOpenPayload } from "../wire/open.ts"

export class FrameBatch {
  readonly #pool: SegmentPool
  /** Called when a segment is full. At most the first `bytes` of the present batch are in it or in earlier ones. */
  readonly #onLeft: (segment: Uint8Array, bytes: number) => void
  #parts: Uint8Array[] = []
  #bytes = 0
  #segment: Uint8Array | undefined
  /** The run that is not yet a part. */
  #runFrom = 0
  #at = 0

  constructor(pool: SegmentPool, onLeft: (segment: Uint8Array, bytes: number) => void) {
    this.#pool = pool
    this.#onLeft = onLeft
  }

  /** Bytes gathered since the last `take`. */
  get bytes(): number {
    return this.#bytes
  }

  /** A frame; its payload is copied. */
  add(type: number, stream: number, payload: Uint8Array): void {
    const length = payload.length
    let segment = this.#room(headerBytes)
    writeHeader(type, length, stream, segment, this.#at)
    this.#at += headerBytes
    this.#bytes += headerBytes + length
    let from = 0
    while (from < length) {
      segment = this.#room(1)
      const take = Math.min(length - from, segment.length - this.#at)
      segment.set(take === length ? payload : payload.subarray(from, from + take), this.#at)
      this.#at += take
      from += take
    }
  }

  /** A frame whose payload is one 32-bit number. */
  addU32(type: number, stream: number, value: number): void {
    const segment = this.#room(headerBytes + 4)
    const at = this.#at
    writeHeader(type, 4, stream, segment, at)
    segment[at + 8] = value >>> 24
    segment[at + 9] = value >>> 16
    segment[at + 10] = value >>> 8
    segment[at + 11] = value
    this.#at = at + headerBytes + 4
    this.#bytes += headerBytes + 4
  }

  addEmpty(type: number, stream: number): void {
    const segment = this.#room(headerBytes)
    writeHeader(type, 0, stream, segment, this.#at)
    this.#at += headerBytes
    this.#bytes += headerBytes
  }

  /** A frame of JSON text. Returns the length of its payload. */
  addJson(type: number, stream: number, json: string): number {
    if (3 * json.length > segmentBytes - headerBytes) {
      const payload = utf8Encode(json)
      this.add(type, stream, payload)
      return payload.length
    }
    const segment = this.#room(headerBytes + 3 * json.length)
    const length = utf8Write(json, segment, this.#at + headerBytes)
    writeHeader(type, length, stream, segment, this.#at)
    this.#at += headerBytes + length
    this.#bytes += headerBytes + length
    return length
  }

  /** An OPEN frame without first bytes. Throws `limit` when the header is too long for a frame. */
  addOpen(stream: number, window: number, service: string, headerJson: string): void {
    const bound = openPayloadBound(service, headerJson)
    if (bound > segmentBytes - headerBytes) {
      const payload = new Uint8Array(bound)
      this.add(frameType.open, stream, payload.subarray(0, writeOpenPayload(window, service, headerJson, payload, 0)))
      return
    }
    const segment = this.#room(headerBytes + bound)
    const payloadAt = this.#at + headerBytes
    const end = writeOpenPayload(window, service, headerJson, segment, payloadAt)
    writeHeader(frameType.open, end - payloadAt, stream, segment, this.#at)
    this.#bytes += end - this.#at
    this.#at = end
  }

  /**
   * What was gathered, as parts in order; the batch is empty afterwards. The parts stay as they are until `reuse` or until
   * their segment was given back.
   */
  take(): Uint8Array[] {
    this.#closeRun()
    const parts = this.#parts
    this.#parts = []
    this.#bytes = 0
    return parts
  }

  /** Everything that was ever taken is of no more interest: an idle session holds no memory. */
  reuse(): void {
    if (this.#segment === undefined || this.#bytes > 0) return
    this.#pool.give(this.#segment)
    this.#segment = undefined
  }

  /** The present segment, with room for so many bytes in a row. */
  #room(bytes: number): Uint8Array {
    const segment = this.#segment
    if (segment !== undefined) {
      if (this.#at + bytes <= segment.length) return segment
      this.#closeRun()
      this.#onLeft(segment, this.#bytes)
    }
    this.#runFrom = this.#at = 0
    return (this.#segment = this.#pool.take())
  }

  #closeRun(): void {
    if (this.#segment === undefined || this.#at === this.#runFrom) return
    this.#parts.push(this.#segment.subarray(this.#runFrom, this.#at))
    this.#runFrom = this.#at
  }
}
