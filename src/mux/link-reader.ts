/**
 * What arrives on a session's links, applied exactly once: counts the sequenced bytes, holds back what is not checked yet,
 * and after a cut skips what of the torn frame was applied before.
 */

import { RdvError } from "../base/error.ts"
import { Lease } from "./lease.ts"
import { CheckReader } from "../wire/check.ts"
import type { Checksum } from "../wire/crc32.ts"
import { FrameDecoder } from "../wire/decode.ts"
import type { FrameSink } from "../wire/decode.ts"
import { headerBytes, isSequenced } from "../wire/frame.ts"

export interface LinkReaderSink {
  /** A piece of a DATA payload. True when it is still referenced after the call. */
  piece(stream: number, chunk: Uint8Array): boolean
  /** Any other frame that is applied now; the payload is `bytes[start, end)` and valid only during the call. */
  apply(type: number, stream: number, bytes: Uint8Array, start: number, end: number): void
}

export class LinkReader implements FrameSink {
  readonly #sink: LinkReaderSink
  readonly #checksum: Checksum
  #decoder: FrameDecoder
  #check: CheckReader | undefined
  #kept = false
  /** What the present `push` was given, and the lease on it once somebody keeps a part. */
  #bytes: Uint8Array | undefined
  #lease: Lease | undefined
  /** The same for the check's own memory, which it gives up as soon as a part is kept. */
  #scratchLease: Lease | undefined
  #recycle: (bytes: Uint8Array) => void = () => undefined
  /** Bytes of sequenced frames applied, and of the DATA frame under way. */
  #applied = 0
  #frameDelivered = 0
  /** After a cut within a DATA frame: that frame comes again, and its first `skip` payload bytes are already applied. */
  #torn: { readonly stream: number; readonly length: number } | undefined
  #skip = 0

  constructor(sink: LinkReaderSink, checksum: Checksum) {
    this.#sink = sink
    this.#checksum = checksum
    this.#decoder = new FrameDecoder(this)
  }

  /** Bytes of sequenced frames applied since the session began. Always at a frame's end. */
  get applied(): number {
    return this.#applied
  }

  /** A new link begins; `recycle` takes memory back that a `push` had kept. */
  start(checked: boolean, recycle: (bytes: Uint8Array) => void): void {
    this.#recycle = recycle
    const decoder = this.#decoder
    const deliver = (bytes: Uint8Array) => {
      this.#kept = false
      decoder.push(bytes)
      return this.#kept
    }
    this.#check = checked ? new CheckReader(this.#checksum, deliver) : undefined
  }

  /** The link is over, or the session: nothing more of it is applied, not even from within a call. */
  stop(): void {
    // What the dead link left half-read comes again whole; what of it was applied already is skipped then.
    this.#decoder.stop()
    this.#decoder = new FrameDecoder(this)
    this.#check = undefined
    if (this.#frameDelivered > 0) this.#skip = this.#frameDelivered
  }

  /**
   * Takes the next bytes of the link. Returns whether they tell that the link lives: not when they only feed a check that
   * gets nowhere. Throws `corrupt` and `protocol`.
   */
  push(bytes: Uint8Array): boolean {
    this.#kept = false
    this.#bytes = bytes
    const check = this.#check
    let alive = true
    try {
      if (check === undefined) this.#decoder.push(bytes)
      else {
        const { progress } = check
        check.push(bytes)
        alive = check.progress !== progress
      }
    } finally {
      this.#kept = this.#lease?.seal() ?? false
      this.#lease = undefined
      this.#bytes = undefined
      this.#scratchLease?.seal()
      this.#scratchLease = undefined
    }
    return alive
  }

  /** The lease on the memory of a piece that is kept. */
  lease(piece: Uint8Array): Lease {
    const bytes = this.#bytes
    if (bytes !== undefined && piece.buffer === bytes.buffer) {
      const recycle = this.#recycle
      return (this.#lease ??= new Lease(() => recycle(bytes)))
    }
    const check = this.#check
    const scratch = check?.scratch
    if (check === undefined || piece.buffer !== scratch?.buffer) return new Lease(() => undefined)
    return (this.#scratchLease ??= new Lease(() => check.recycle(scratch)))
  }

  /** Whether the last `push` left references into its bytes. */
  get kept(): boolean {
    return this.#kept
  }

  data(stream: number, bytes: Uint8Array, start: number, end: number, left: number, length: number): void {
    let from = start
    const torn = this.#torn
    if (torn !== undefined) {
      if (torn.stream !== stream || torn.length !== length) throw notTheTorn()
      const skipped = Math.min(this.#skip, end - start)
      this.#skip -= skipped
      from += skipped
    }
    this.#frameDelivered += end - from
    if (left === 0) {
      this.#applied += headerBytes + length
      this.#frameDelivered = 0
      this.#torn = undefined
    } else if (torn === undefined) this.#torn = { stream, length }
    if (this.#sink.piece(stream, from === 0 && end === bytes.length ? bytes : bytes.subarray(from, end))) {
      this.#kept = true
    }
  }

  frame(type: number, stream: number, bytes: Uint8Array, start: number, end: number): void {
    if (isSequenced(type)) {
      if (this.#torn !== undefined) throw notTheTorn()
      this.#applied += headerBytes + end - start
    }
    this.#sink.apply(type, stream, bytes, start, end)
  }
}

function notTheTorn(): RdvError {
  return new RdvError("protocol", "A replay does not begin with the frame that was cut")
}
