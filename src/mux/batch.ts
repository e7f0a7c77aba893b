/**
 * Frames on their way to one write. Small frames are copied side by side into a slab; larger payloads become parts of
 * their own, by reference. The parts of sequenced frames are what the replay log keeps.
 */

import type { Checksum } from "../wire/crc32.ts"
import { encodeCheck, writeHeader } from "../wire/encode.ts"
import { frameType, headerBytes } from "../wire/frame.ts"
import { openPayloadBound, writeOpenPayload } from "../wire/open.ts"
import { copyBytes, slabBytes } from "./limits.ts"

export class FrameBatch {
  #parts: Uint8Array[] = []
  #bytes = 0
  #slab: Uint8Array = new Uint8Array(0)
  /** The run of the slab that is not yet a part. */
  #runFrom = 0
  #at = 0

  /** Bytes gathered since the last `take`. */
  get bytes(): number {
    return this.#bytes
  }

  /** A frame with a payload that belongs to the caller and will not change. */
  add(type: number, stream: number, payload: Uint8Array): void {
    const length = payload.length
    if (length > copyBytes) {
      this.#reserve(headerBytes)
      writeHeader(type, length, stream, this.#slab, this.#at)
      this.#at += headerBytes
      this.#closeRun()
      this.#parts.push(payload)
    } else {
      this.#reserve(headerBytes + length)
      writeHeader(type, length, stream, this.#slab, this.#at)
      this.#slab.set(payload, this.#at + headerBytes)
      this.#at += headerBytes + length
    }
    this.#bytes += headerBytes + length
  }

  /** A frame whose payload is one 32-bit number. */
  addU32(type: number, stream: number, value: number): void {
    this.#reserve(headerBytes + 4)
    const at = this.#at
    writeHeader(type, 4, stream, this.#slab, at)
    this.#slab[at + 8] = value >>> 24
    this.#slab[at + 9] = value >>> 16
    this.#slab[at + 10] = value >>> 8
    this.#slab[at + 11] = value
    this.#at = at + headerBytes + 4
    this.#bytes += headerBytes + 4
  }

  addEmpty(type: number, stream: number): void {
    this.#reserve(headerBytes)
    writeHeader(type, 0, stream, this.#slab, this.#at)
    this.#at += headerBytes
    this.#bytes += headerBytes
  }

  /** An OPEN frame without first bytes. Throws `limit` when the header is too long for a frame. */
  addOpen(stream: number, window: number, service: string, headerJson: string): number {
    this.#reserve(headerBytes + openPayloadBound(service, headerJson))
    const payloadAt = this.#at + headerBytes
    const end = writeOpenPayload(window, service, headerJson, this.#slab, payloadAt)
    writeHeader(frameType.open, end - payloadAt, stream, this.#slab, this.#at)
    const bytes = end - this.#at
    this.#at = end
    this.#bytes += bytes
    return bytes
  }

  /** What was gathered, as parts in order; the batch is empty afterwards. */
  take(): Uint8Array[] {
    this.#closeRun()
    const parts = this.#parts
    this.#parts = []
    this.#bytes = 0
    return parts
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#slab.length) return
    this.#closeRun()
    this.#slab = new Uint8Array(Math.max(slabBytes, bytes))
    this.#runFrom = this.#at = 0
  }

  #closeRun(): void {
    if (this.#at === this.#runFrom) return
    this.#parts.push(this.#slab.subarray(this.#runFrom, this.#at))
    this.#runFrom = this.#at
  }
}

/** The CHECK frame for these parts. */
export function checkFrame(parts: readonly Uint8Array[], checksum: Checksum): Uint8Array {
  let crc = 0
  for (const part of parts) crc = checksum(part, crc)
  return encodeCheck(crc)
}
