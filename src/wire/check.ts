/**
 * Checked links: on a transport that does not detect changed bytes, the sender follows each batch of frames with a CHECK
 * frame, and the receiver holds the batch back until its CRC-32 has matched. A mismatch costs the link, not the session:
 * nothing of the batch was applied, so the next link replays it. Lengths that make no sense and a CHECK that does not come
 * are what changed bytes look like, too.
 */

import { RdvError } from "../base/error.ts"
import type { Checksum } from "./crc32.ts"
import { readU32 } from "./decode.ts"
import { frameType, headerBytes } from "./frame.ts"
import { maxFramePayload, maxUncheckedBytes } from "./limits.ts"

export class CheckReader {
  readonly #checksum: Checksum
  readonly #deliver: (bytes: Uint8Array) => boolean
  /** Runs that wait for their CHECK, and the sum over them. Those before `#ownRuns` are copies that we own. */
  #waiting: Uint8Array[] = []
  #ownRuns = 0
  #waitingBytes = 0
  #crc = 0
  /** Memory for copies, filled up to `#scratchAt`; used again unless somebody kept what was delivered from it. */
  #scratch: Uint8Array | undefined
  #scratchAt = 0
  #kept = false
  /** A header that did not arrive whole. */
  readonly #header: Uint8Array = new Uint8Array(headerBytes + 4)
  #headerHeld = 0
  /** Payload bytes of the current frame still to pass. */
  #left = 0
  #progress = 0
  #progressAt = progressBytes

  /** `deliver` answers whether references into its bytes are kept. */
  constructor(checksum: Checksum, deliver: (bytes: Uint8Array) => boolean) {
    this.#checksum = checksum
    this.#deliver = deliver
  }

  /** Changes with each CHECK that matched and each `progressBytes` that arrived: signs of life that no stall can give. */
  get progress(): number {
    return this.#progress
  }

  /**
   * Takes the next bytes of the link. True when references to `bytes` are kept beyond the call.
   * Throws `corrupt` when a sum does not match, a length is over the limit or a CHECK is overdue.
   */
  push(bytes: Uint8Array): boolean {
    const end = bytes.length
    let at = 0
    let runFrom = 0
    this.#kept = false
    while (at < end) {
      if (this.#left > 0) {
        const take = Math.min(this.#left, end - at)
        this.#left -= take
        at += take
        continue
      }
      if (this.#headerHeld === 0 && end - at >= headerBytes + 4) {
        if (bytes[at] === frameType.check) {
          this.#hold(bytes, runFrom, at)
          this.#verify(bytes, at)
          at += headerBytes + 4
          runFrom = at
        } else {
          this.#left = payloadLength(bytes, at)
          at += headerBytes
        }
        continue
      }
      if (this.#headerHeld === 0) this.#hold(bytes, runFrom, at)
      at = this.#pushHeader(bytes, at, end)
      runFrom = at
    }
    this.#hold(bytes, runFrom, end)
    if (this.#waiting.length > this.#ownRuns) this.#copyRuns()
    else if (this.#waiting.length === 0 && end < quietBytes && this.#scratch !== undefined) {
      this.recycle(this.#scratch)
      this.#scratch = undefined
    }
    return this.#kept
  }

  /** What waits beyond this call is copied: keeping the whole chunk for the sake of its end costs more. */
  #copyRuns(): void {
    for (let index = this.#ownRuns; index < this.#waiting.length; index++) {
      const run = this.#waiting[index] as Uint8Array
      if (run.length <= quietBytes && this.#scratchAt === 0) {
        this.#waiting[index] = new Uint8Array(run)
        continue
      }
      this.#scratch ??= spares.pop() ?? new Uint8Array(maxUncheckedBytes)
      this.#scratch.set(run, this.#scratchAt)
      this.#waiting[index] = this.#scratch.subarray(this.#scratchAt, this.#scratchAt + run.length)
      this.#scratchAt += run.length
    }
    this.#ownRuns = this.#waiting.length
  }

  /** A header near the end of a chunk: gathered byte by byte, because a CHECK must not be summed. */
  #pushHeader(bytes: Uint8Array, from: number, end: number): number {
    let at = from
    while (at < end) {
      this.#header[this.#headerHeld++] = bytes[at++] as number
      if (this.#headerHeld < headerBytes) continue
      if (this.#header[0] === frameType.check) {
        if (this.#headerHeld < headerBytes + 4) continue
        this.#headerHeld = 0
        this.#verify(this.#header, 0)
      } else {
        this.#headerHeld = 0
        this.#left = payloadLength(this.#header, 0)
        this.#hold(this.#header.slice(0, headerBytes), 0, headerBytes)
      }
      return at
    }
    return at
  }

  #hold(bytes: Uint8Array, from: number, to: number): void {
    if (from === to) return
    const run = bytes.subarray(from, to)
    this.#crc = this.#checksum(run, this.#crc)
    this.#waiting.push(run)
    this.#waitingBytes += run.length
    if (this.#waitingBytes >= this.#progressAt) {
      this.#progressAt = this.#waitingBytes + progressBytes
      this.#progress++
    }
    if (this.#waitingBytes > maxUncheckedBytes) {
      throw new RdvError("corrupt", `No CHECK within ${maxUncheckedBytes} bytes`)
    }
  }

  #verify(bytes: Uint8Array, at: number): void {
    if (readU32(bytes, at) !== checkHeader || readU32(bytes, at + 4) !== 0) throw new RdvError("corrupt")
    if (readU32(bytes, at + headerBytes) !== this.#crc) throw new RdvError("corrupt")
    const verified = this.#waiting
    this.#waiting = []
    this.#waitingBytes = 0
    this.#crc = 0
    this.#progress++
    this.#progressAt = progressBytes
    const { length } = verified
    const ownRuns = this.#ownRuns
    this.#ownRuns = 0
    this.#scratchAt = 0
    let ownKept = false
    for (let index = 0; index < length; index++) {
      if (!this.#deliver(verified[index] as Uint8Array)) continue
      if (index < ownRuns) ownKept = true
      else this.#kept = true
    }
    if (ownKept) this.#scratch = undefined
  }

  /** Takes scratch memory back that somebody had kept: nobody looks into it any more. */
  recycle(scratch: Uint8Array): void {
    if (spares.length < spareCount) spares.push(scratch)
  }

  /** The memory that copies are in, for who keeps a part of it. */
  get scratch(): Uint8Array | undefined {
    return this.#scratch
  }
}

/** Type and length. */
const checkHeader = frameType.check * 2 ** 24 + 4

/** Four beats of PING, ACK and CHECK stay far below it; bulk on the slowest useful link does not. */
const progressBytes = 4096

/** 4 MiB: what some busy links with visitors a little slower than they keep at a time. */
const spareCount = 16

// Process-wide on purpose: links turn from busy to quiet and back many times a second, and fresh memory of this size both
// costs more than the bytes that are put into it and makes the collector run.
const spares: Uint8Array[] = []

/** Less than this in a chunk, and the link is not busy: small copies, and no memory held for the next one. */
const quietBytes = 16 * 1024

/** Refused before it is waited for: a flipped bit in a length must not stall the link. */
function payloadLength(bytes: Uint8Array, at: number): number {
  const length = ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
  if (length > maxFramePayload) throw new RdvError("corrupt", `A frame announces ${length} bytes, over the limit`)
  return length
}
