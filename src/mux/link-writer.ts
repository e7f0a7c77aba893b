/**
 * What leaves on a session's links: gathers frames into batches, keeps them until they are acknowledged, sends them again
 * on the next link, and never has more on the way than the path can use.
 */

import type { Clock, Timer } from "../base/clock.ts"
import { asRdvError, codeNumber } from "../base/error.ts"
import type { ErrorCode, RdvError } from "../base/error.ts"
import { emptyBytes } from "../base/bytes.ts"
import { Fifo } from "../base/fifo.ts"
import type { SegmentPool } from "../base/segments.ts"
import type { Checksum } from "../wire/crc32.ts"
import {
  checkBytes,
  encodeCheck,
  encodeU64Frame,
  resetPayload,
  u64FrameBytes,
  writeCheck,
  writeU64Frame,
} from "../wire/encode.ts"
import { frameType } from "../wire/frame.ts"
import { FrameBatch } from "./batch.ts"
import { FlightLimit } from "./flight.ts"
import { ackDelayMs, ackEveryBytes, batchBytes, minFlightBytes } from "./limits.ts"
import type { Link } from "./link.ts"
import { ReplayLog } from "./replay-log.ts"

export interface LinkWriterOptions {
  readonly clock: Clock
  readonly checksum: Checksum
  /** Where frames are kept until they are acknowledged. */
  readonly segments: SegmentPool
  /** Runs a callback after the present round of input. */
  readonly defer: (callback: () => void) => void
  readonly logBytes: number
  /** Puts frames of streams into the batch, about `most` bytes in all. */
  readonly fill: (batch: FrameBatch, most: number) => void
  /** True while `fill` would find something. */
  readonly pending: () => boolean
  /** Bytes of the peer's sequenced frames that are applied. */
  readonly applied: () => number
  /** Something threw while frames were made. */
  readonly onFailure: (error: RdvError) => void
}

export class LinkWriter {
  readonly #options: LinkWriterOptions
  readonly #batch: FrameBatch
  /** Full segments in order; each is free when everything before `until` is acknowledged. */
  readonly #filled: Fifo<{ readonly segment: Uint8Array; readonly until: number }> = new Fifo()
  readonly #log: ReplayLog = new ReplayLog()
  readonly #flight: FlightLimit
  #link: Link | undefined
  #checked = false
  #full = false
  /** Frames in the batch that came by `direct`. */
  #frames = 0
  #stopped = false
  #due = false
  #pumping = false
  /** PING and PONG for the next write; at most `maxPrefixFrames`. */
  #prefix: Uint8Array[] = []
  #drainDue = false
  /** The position behind DRAIN; Infinity before it is sent. */
  #drainEnd = Infinity
  #endDue: { readonly code: ErrorCode; readonly reason: string } | undefined
  #ackedIn = 0
  /** Enough time has passed for an ACK. */
  #ackDue = false
  #ackTimer: Timer | undefined
  /** Where small writes are put together, filled up to `#jointAt`. */
  #joint: Uint8Array = emptyBytes
  #jointAt = 0

  constructor(options: LinkWriterOptions) {
    this.#options = options
    this.#flight = new FlightLimit(minFlightBytes, options.logBytes)
    this.#batch = new FrameBatch(options.segments, (segment, bytes) => {
      this.#filled.push({ segment, until: this.#log.end + bytes })
    })
  }

  /** Sent and not acknowledged, bytes. */
  get unacknowledgedBytes(): number {
    return this.#log.bytes
  }

  /** Everything before it is acknowledged. */
  get acknowledged(): number {
    return this.#log.start
  }

  /** The peer has read our DRAIN: what it opens from now on, it opens against our wish. */
  get drainHeard(): boolean {
    return this.#log.start >= this.#drainEnd
  }

  get flightLimitBytes(): number {
    return this.#flight.limit
  }

  /**
   * Goes on with a new link: what follows `position` is sent again. Returns how many bytes that are; throws `protocol` for a
   * position that makes no sense.
   */
  start(link: Link, position: number, checked: boolean): number {
    const again = this.#log.rewind(position)
    this.#link = link
    this.#checked = checked
    this.#full = false
    this.#flight.reset()
    return again
  }

  /** The link is gone. */
  stop(): void {
    this.#link = undefined
    this.#prefix = []
    this.#ackDue = false
    this.#ackTimer?.cancel()
    this.#ackTimer = undefined
  }

  /** The session is over: forgets everything. */
  end(): void {
    this.#stopped = true
    this.stop()
    this.#batch.take()
    this.#log.clear()
    // The segments are left to the collector: the link may still be writing from them.
    this.#filled.clear()
  }

  /**
   * The batch, when a frame that is added now goes out with the next write: nothing waits, the link has room, and so has
   * the flight. Whoever adds to it calls `added`.
   */
  direct(): FrameBatch | undefined {
    if (this.#link === undefined || this.#full || this.#stopped || this.#log.replaying) return undefined
    const { bytes } = this.#batch
    return bytes < batchBytes && this.#log.bytes + bytes < this.#flight.limit ? this.#batch : undefined
  }

  /** Frames were added to the batch. */
  added(): void {
    if (++this.#frames >= eagerFrames || this.#batch.bytes >= batchBytes) this.#pump()
    else this.schedule()
  }

  /** The link has room again. */
  drained(): void {
    this.#full = false
    this.#pump()
  }

  /** Something is to be sent. */
  schedule(): void {
    if (this.#due) return
    this.#due = true
    this.#options.defer(this.#deferredPump)
  }

  /** PING and PONG do not wait for the flow of streams, only for the link's own room; a flood of them is not answered. */
  sendNow(frame: Uint8Array): void {
    // An idle session looks with each beat whether the link has let go of the last segments.
    if (this.#log.bytes === 0) this.#reuseSegments()
    if (this.#prefix.length >= maxPrefixFrames) return
    this.#prefix.push(frame)
    this.schedule()
  }

  /** The peer applied everything before `position`. Throws `protocol`. */
  acknowledge(position: number): void {
    // Who acknowledges what a replay has not sent yet says nothing about what the link still reads from: left to the collector.
    if (position > this.#log.sent) this.#filled.clear()
    this.#log.acknowledge(position)
    this.#flight.acknowledged(position, this.#options.clock.now())
    this.#reuseSegments()
    if (this.#options.pending()) this.schedule()
  }

  /** Input was applied: an ACK is due now or soon. */
  applied(): void {
    if (this.#link === undefined) return
    const unacked = this.#options.applied() - this.#ackedIn
    if (unacked >= ackEveryBytes) this.schedule()
    else if (unacked > 0 && this.#ackTimer === undefined) {
      this.#ackTimer = this.#options.clock.after(ackDelayMs, this.#ackLate)
    }
  }

  /**
   * The link writes from the segments themselves: whatever the peer claims to have, what waits in the link is not free, or
   * the peer would be sent what others put there.
   */
  #reuseSegments(): void {
    const queued = this.#link?.queuedBytes ?? 0
    const free = Math.min(this.#log.start, this.#log.sent - queued)
    for (let first = this.#filled.peek(); first !== undefined && first.until <= free; first = this.#filled.peek()) {
      this.#filled.shift()
      this.#options.segments.give(first.segment)
    }
    if (this.#log.bytes === 0 && queued === 0) this.#batch.reuse()
  }

  drain(): void {
    this.#drainDue = true
    this.schedule()
  }

  /**
   * Sends what ends the session, at once and however full the link is. Not in the middle of a replay: there it would be
   * out of place.
   */
  sayEnd(code: ErrorCode, reason: string): void {
    this.#endDue = { code, reason }
    this.#pumping = true
    try {
      if (this.#link !== undefined && !this.#log.replaying) this.#pumpFresh()
    } finally {
      this.#pumping = false
    }
  }

  readonly #deferredPump = (): void => {
    this.#due = false
    this.#pump()
  }

  readonly #ackLate = (): void => {
    this.#ackTimer = undefined
    if (this.#link === undefined || this.#ackedIn === this.#options.applied()) return
    this.#ackDue = true
    this.schedule()
  }

  /** Moves frames from the streams to the link until one of them has enough. */
  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (this.#link !== undefined && !this.#full) {
        if (this.#log.replaying) this.#send(this.#link, this.#log.next(batchBytes))
        else if (!this.#pumpFresh()) break
      }
    } catch (error) {
      this.#options.onFailure(asRdvError(error))
    } finally {
      this.#pumping = false
    }
  }

  /** Sends one batch of new frames. False when there is nothing that may be sent now. */
  #pumpFresh(): boolean {
    const batch = this.#batch
    if (this.#endDue !== undefined) {
      const { code, reason } = this.#endDue
      this.#endDue = undefined
      batch.add(frameType.reset, 0, resetPayload(codeNumber(code), reason))
    }
    if (this.#drainDue) {
      this.#drainDue = false
      batch.addEmpty(frameType.drain, 0)
      this.#drainEnd = this.#log.end + batch.bytes
    }
    const room = this.#flight.limit - this.#log.bytes
    if (room > 0) this.#options.fill(batch, Math.min(room, batchBytes))
    // A stream's sink may have closed the session, or put it on another link, from within its turn.
    if (this.#stopped) return false
    const bytes = batch.bytes
    if (bytes === 0 && this.#prefix.length === 0 && !this.#ackWanted) return false
    const parts = batch.take()
    this.#frames = 0
    if (bytes > 0) {
      const behind = this.#link === undefined || this.#log.replaying
      this.#log.append(parts, bytes)
      if (behind) return true
      this.#flight.sent(this.#log.end, this.#log.start, this.#options.clock.now())
    }
    if (this.#link !== undefined) this.#send(this.#link, parts)
    return bytes > 0
  }

  #send(link: Link, sequenced: readonly Uint8Array[]): void {
    const applied = this.#options.applied()
    const isAck = this.#ackedIn < applied && (sequenced.length > 0 || this.#ackWanted)
    if (isAck) {
      this.#ackedIn = applied
      this.#ackDue = false
    }
    const bytes =
      totalBytes(this.#prefix) + (isAck ? u64FrameBytes : 0) + totalBytes(sequenced) + (this.#checked ? checkBytes : 0)
    const parts = bytes > joinBytes ? this.#listed(isAck, sequenced) : this.#joined(isAck, sequenced, bytes)
    if (!link.send(parts)) this.#full = true
  }

  /** Bulk: by reference. */
  #listed(isAck: boolean, sequenced: readonly Uint8Array[]): readonly Uint8Array[] {
    if (!isAck && !this.#checked && this.#prefix.length === 0) return sequenced
    const parts = this.#prefix
    this.#prefix = []
    if (isAck) parts.push(encodeU64Frame(frameType.ack, this.#ackedIn))
    for (const part of sequenced) parts.push(part)
    if (!this.#checked) return parts
    let crc = 0
    for (const part of parts) crc = this.#options.checksum(part, crc)
    parts.push(encodeCheck(crc))
    return parts
  }

  /** Little: one write of one piece of memory, made with as little garbage as possible. */
  #joined(isAck: boolean, sequenced: readonly Uint8Array[], bytes: number): readonly Uint8Array[] {
    if (sequenced.length === 1 && sequenced[0]?.length === bytes) return sequenced
    if (this.#jointAt + bytes > this.#joint.length) {
      // Nobody writes there twice: the link may keep what it was given.
      this.#joint = new Uint8Array(Math.max(jointBytes, bytes))
      this.#jointAt = 0
    }
    const whole = this.#joint
    const from = this.#jointAt
    let at = from
    if (this.#prefix.length > 0) {
      for (const frame of this.#prefix) {
        whole.set(frame, at)
        at += frame.length
      }
      this.#prefix = []
    }
    if (isAck) {
      writeU64Frame(frameType.ack, this.#ackedIn, whole, at)
      at += u64FrameBytes
    }
    for (const part of sequenced) {
      whole.set(part, at)
      at += part.length
    }
    if (this.#checked) {
      writeCheck(this.#options.checksum(whole.subarray(from, at), 0), whole, at)
      at += checkBytes
    }
    this.#jointAt = at
    return [whole.subarray(from, at)]
  }

  get #ackWanted(): boolean {
    return this.#ackDue || this.#options.applied() - this.#ackedIn >= ackEveryBytes
  }
}

function totalBytes(parts: readonly Uint8Array[]): number {
  let bytes = 0
  for (const part of parts) bytes += part.length
  return bytes
}

/**
 * So many frames go out without waiting for the end of the present round of input: a peer that has its share early works
 * at the same time, where whole rounds would take turns.
 */
const eagerFrames = 12

/** Up to this, one part is cheaper to write than several. */
const joinBytes = 4096
/** Memory for what is joined comes in pieces of this size. */
const jointBytes = 4096

/** Two a beat are what honest peers need. */
const maxPrefixFrames = 16
