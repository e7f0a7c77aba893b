/**
 * What leaves on a session's links: gathers frames into batches, keeps them until they are acknowledged, sends them again
 * on the next link, and never has more on the way than the path can use.
 */

import type { Clock, Timer } from "../base/clock.ts"
import { asRdvError, codeNumber } from "../base/error.ts"
import type { ErrorCode, RdvError } from "../base/error.ts"
import type { Checksum } from "../wire/crc32.ts"
import { encodeU64Frame, resetPayload } from "../wire/encode.ts"
import { frameType } from "../wire/frame.ts"
import { checkFrame, FrameBatch } from "./batch.ts"
import { FlightLimit } from "./flight.ts"
import { ackDelayMs, ackEveryBytes, batchBytes, minFlightBytes } from "./limits.ts"
import type { Link } from "./link.ts"
import { ReplayLog } from "./replay-log.ts"

export interface LinkWriterOptions {
  readonly clock: Clock
  readonly checksum: Checksum
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
  readonly #batch: FrameBatch = new FrameBatch()
  readonly #log: ReplayLog = new ReplayLog()
  readonly #flight: FlightLimit
  #link: Link | undefined
  #checked = false
  #full = false
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

  constructor(options: LinkWriterOptions) {
    this.#options = options
    this.#flight = new FlightLimit(minFlightBytes, options.logBytes)
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
    this.#log.clear()
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
    if (this.#prefix.length >= maxPrefixFrames) return
    this.#prefix.push(frame)
    this.schedule()
  }

  /** The peer applied everything before `position`. Throws `protocol`. */
  acknowledge(position: number): void {
    this.#log.acknowledge(position)
    this.#flight.acknowledged(position, this.#options.clock.now())
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
    let parts = sequenced
    if (this.#ackedIn < this.#options.applied() && (sequenced.length > 0 || this.#ackWanted)) this.#takeAck()
    if (this.#prefix.length > 0) {
      parts = [...this.#prefix, ...sequenced]
      this.#prefix = []
    }
    if (this.#checked) parts = [...parts, checkFrame(parts, this.#options.checksum)]
    if (!link.send(parts)) this.#full = true
  }

  get #ackWanted(): boolean {
    return this.#ackDue || this.#options.applied() - this.#ackedIn >= ackEveryBytes
  }

  #takeAck(): void {
    this.#ackedIn = this.#options.applied()
    this.#ackDue = false
    this.#ackTimer?.cancel()
    this.#ackTimer = undefined
    this.#prefix.push(encodeU64Frame(frameType.ack, this.#ackedIn))
  }
}

/** Two a beat are what honest peers need. */
const maxPrefixFrames = 16
