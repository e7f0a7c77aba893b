/**
 * One stream of a session: the public `Stream` on one side, frames on the other. It holds what waits to be sent, bounded
 * by credit and by "full" answers, and what arrived before a receiver was attached, bounded by its window.
 *
 *     send     opening ─▶ open ─▶ ended            receive     open ─▶ ended
 *                 └────────┴──── reset ────────────────────────┘
 */

import { codeNumber, RdvError } from "../base/error.ts"
import type { ErrorCode } from "../base/error.ts"
import { Fifo } from "../base/fifo.ts"
import type { Json, JsonObject } from "../base/json.ts"
import { segmentBytes } from "../base/segments.ts"
import type { SegmentPool } from "../base/segments.ts"
import type { Stream, StreamSink } from "../base/stream.ts"
import { utf8Encode } from "../base/text.ts"
import { resetPayload } from "../wire/encode.ts"
import { frameType, headerBytes } from "../wire/frame.ts"
import type { FrameBatch } from "./batch.ts"
import type { ReceiveWindow } from "./credit.ts"
import type { Lease } from "./lease.ts"
import { streamQueueBytes } from "./limits.ts"
import type { Scheduled, Turn } from "./scheduler.ts"

/** What a stream needs of its session. */
export interface StreamOwner {
  readonly framePayload: number
  readonly startWindowBytes: number
  readonly segments: SegmentPool
  /** The batch, when what is added to it now keeps its turn: nobody waits and the link has room. Then `added` follows. */
  direct(): FrameBatch | undefined
  added(bytes: number): void
  /** The stream has something to send that has to wait. */
  ready(stream: SessionStream): void
  /** A sink threw: somebody should know. */
  faulted(stream: SessionStream, thrown: unknown): void
  /** The stream is over in both directions and nothing more will be sent for it. */
  ended(stream: SessionStream): void
  nowMs(): number
  rttMs(): number
}

/** Bytes in the queue: a copy of its own, in a segment when it fills at least half of one. */
class BytesItem {
  bytes: Uint8Array
  readonly segment: Uint8Array | undefined
  constructor(bytes: Uint8Array, segment: Uint8Array | undefined) {
    this.bytes = bytes
    this.segment = segment
  }
}

interface Loan {
  readonly lease: Lease
  /** The count of consumed bytes at which the memory is looked into no more. */
  readonly until: number
}

/** A metadata block in the queue, already encoded. */
class MetaItem {
  readonly bytes: Uint8Array
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/** What arrived while no receiver was attached; a metadata block stands with its bytes on the wire. */
type Held = Uint8Array | HeldMeta | "end"

class HeldMeta {
  readonly block: JsonObject
  readonly bytes: number
  constructor(block: JsonObject, bytes: number) {
    this.block = block
    this.bytes = bytes
  }
}

export class SessionStream implements Stream, Scheduled {
  readonly id: number
  readonly service: string
  readonly header: JsonObject
  readonly turn: Turn = { place: "none", deficit: 0 }
  readonly #owner: StreamOwner
  readonly #window: ReceiveWindow
  #sink: StreamSink | undefined

  #openJson: string | undefined
  readonly #queue: Fifo<BytesItem | MetaItem> = new Fifo()
  #queuedBytes = 0
  #full = false
  #credit: number
  #endQueued = false
  #endSent = false
  #reset: { code: ErrorCode; reason: string } | undefined
  #creditOwed = 0

  #held: Held[] | undefined
  /** Received and consumed so far, of DATA: nobody looks into the memory of META, whose credit goes back by itself. */
  #received = 0
  #consumed = 0
  /** Memory that is looked into until everything before `until` is consumed. */
  readonly #leases: Fifo<Loan> = new Fifo()
  /** The newest chunk is a piece of the link's memory, not a copy. */
  #lent = true
  #endReceived = false
  #closed = false
  #closedWith: RdvError | undefined
  #closedTold = false

  /** `openJson` is set on the side that opens; `credit` is what the peer allows from the start. */
  constructor(
    owner: StreamOwner,
    id: number,
    service: string,
    header: JsonObject,
    window: ReceiveWindow,
    credit: number,
    openJson: string | undefined,
  ) {
    this.#owner = owner
    this.id = id
    this.service = service
    this.header = header
    this.#window = window
    this.#credit = credit
    this.#openJson = openJson
  }

  // The public face.

  attach(sink: StreamSink): void {
    this.#sink = sink
    const held = this.#held
    this.#held = undefined
    if (held !== undefined) {
      for (const item of held) {
        if (this.#closedWith !== undefined) break
        if (item === "end") sink.end()
        else if (item instanceof Uint8Array) sink.data(item)
        else {
          sink.meta(item.block)
          this.#giveBack(item.bytes)
        }
      }
    }
    if (this.#closed) this.#tellClosed()
  }

  /** The peer hears of the stream: at once where possible, else with its first turn. */
  start(): void {
    const batch = this.#owner.direct()
    if (batch === undefined) {
      this.#owner.ready(this)
      return
    }
    const before = batch.bytes
    this.#emitOpen(batch)
    this.#owner.added(batch.bytes - before)
  }

  write(chunk: Uint8Array): boolean {
    if (this.#endQueued || this.#closed || chunk.length === 0) return !this.#full
    const sent = this.#queuedBytes === 0 ? this.#writeDirect(chunk) : 0
    if (sent === chunk.length) return true
    // What has to wait is copied: the caller's memory will not.
    for (let at = sent; at < chunk.length; at += segmentBytes) this.#enqueue(chunk.subarray(at, at + segmentBytes))
    return this.#queued(chunk.length - sent)
  }

  #enqueue(bytes: Uint8Array): void {
    if (bytes.length < segmentBytes / 2) {
      this.#queue.push(new BytesItem(new Uint8Array(bytes), undefined))
      return
    }
    const segment = this.#owner.segments.take()
    segment.set(bytes)
    this.#queue.push(new BytesItem(segment.subarray(0, bytes.length), segment))
  }

  /** Sends what may go now, frame by frame. Returns how much that was. */
  #writeDirect(chunk: Uint8Array): number {
    const { length } = chunk
    const framePayload = this.#owner.framePayload
    let at = 0
    while (at < length && this.#credit > 0) {
      const batch = this.#owner.direct()
      if (batch === undefined) break
      const take = Math.min(length - at, framePayload, this.#credit)
      batch.add(frameType.data, this.id, at === 0 && take === length ? chunk : chunk.subarray(at, at + take))
      at += take
      this.#credit -= take
      this.#owner.added(headerBytes + take)
      // The session may have ended in the write that this caused.
      if (this.#closed) return length
    }
    return at
  }

  meta(block: { readonly [key: string]: Json | undefined }): boolean {
    if (this.#endQueued || this.#closed) return !this.#full
    const json = JSON.stringify(block)
    // A character takes up to three bytes: where that might not fit, the length is found out first.
    if (this.#queuedBytes === 0 && 3 * json.length <= Math.min(this.#credit, this.#owner.framePayload)) {
      const batch = this.#owner.direct()
      if (batch !== undefined) {
        const before = batch.bytes
        this.#credit -= batch.addJson(frameType.meta, this.id, json)
        this.#owner.added(batch.bytes - before)
        return true
      }
    }
    const bytes = utf8Encode(json)
    if (bytes.length > this.#owner.framePayload) {
      throw new RdvError("limit", `A metadata block has ${bytes.length} bytes: over what one frame can carry`)
    }
    this.#queue.push(new MetaItem(bytes))
    return this.#queued(bytes.length)
  }

  #queued(bytes: number): boolean {
    this.#queuedBytes += bytes
    if (this.#queuedBytes >= streamQueueBytes) this.#full = true
    if (this.#credit > 0) this.#owner.ready(this)
    return !this.#full
  }

  end(): void {
    if (this.#endQueued || this.#closed) return
    this.#endQueued = true
    const batch = this.#queuedBytes === 0 ? this.#owner.direct() : undefined
    if (batch !== undefined) {
      const before = batch.bytes
      this.#emitEnd(batch)
      this.#owner.added(batch.bytes - before)
    } else if (this.#queuedBytes === 0 || this.#credit > 0) this.#owner.ready(this)
  }

  reset(code: ErrorCode, reason = ""): void {
    if (this.#closed) return
    const neverOpened = this.#openJson !== undefined
    if (!neverOpened) this.#reset = { code, reason }
    this.#finish(new RdvError(code, reason === "" ? undefined : reason))
    if (neverOpened) this.#owner.ended(this)
    else this.#owner.ready(this)
  }

  consumed(bytes: number): void {
    this.#consumed += bytes
    while (this.#leases.length > 0 && (this.#leases.peek() as Loan).until <= this.#consumed) {
      ;(this.#leases.shift() as Loan).lease.drop()
    }
    this.#giveBack(bytes)
  }

  #giveBack(bytes: number): void {
    if (this.#endReceived || this.#closed) return
    if (!this.#window.saved(bytes)) return
    const credit = this.#window.consumed(0, this.#owner.nowMs(), this.#owner.rttMs())
    if (credit > 0) this.#giveCredit(credit)
  }

  // The session's face: receiving.

  /** Bytes of DATA or of OPEN. False when the peer sent more than its credit. */
  receive(chunk: Uint8Array): boolean {
    if (this.#closed) {
      // Nobody gets it, so nobody keeps it: a peer that goes on sending must not fill the memory.
      this.#lent = false
      return true
    }
    if (this.#endReceived || !this.#window.received(chunk.length)) return false
    const isBehind = this.#received > this.#consumed || this.#sink === undefined
    this.#received += chunk.length
    if (this.#window.window < this.#owner.startWindowBytes) {
      const credit = this.#window.raise(this.#owner.startWindowBytes)
      if (credit > 0) this.#giveCredit(credit)
    }
    // Who is behind keeps what comes for long: a small piece must not hold the large memory that it was read into.
    const isSmall = chunk.length * pinFactor < chunk.buffer.byteLength
    this.#lent = !(isBehind && isSmall)
    const bytes = this.#lent ? chunk : new Uint8Array(chunk)
    if (this.#sink === undefined) (this.#held ??= []).push(bytes)
    else {
      try {
        this.#sink.data(bytes)
      } catch (error) {
        this.#fault(error)
      }
    }
    return true
  }

  /** True while the newest bytes are still referenced: consumption is in order, so anything open includes them. */
  get keeps(): boolean {
    return this.#lent && this.#received > this.#consumed
  }

  /** The newest bytes are in this memory: it is given back when they are consumed. */
  lend(lease: Lease): void {
    lease.hold()
    this.#leases.push({ lease, until: this.#received })
  }

  receiveMeta(block: JsonObject, bytes: number): boolean {
    if (this.#closed) return true
    if (this.#endReceived || !this.#window.received(bytes)) return false
    if (this.#sink === undefined) {
      // No credit before somebody takes it: what is held stays within the window.
      ;(this.#held ??= []).push(new HeldMeta(block, bytes))
      return true
    }
    try {
      this.#sink.meta(block)
    } catch (error) {
      this.#fault(error)
    }
    // The block is parsed: the application took it over.
    this.#giveBack(bytes)
    return true
  }

  receiveEnd(): boolean {
    if (this.#closed) return true
    if (this.#endReceived) return false
    this.#endReceived = true
    if (this.#sink === undefined) (this.#held ??= []).push("end")
    else {
      try {
        this.#sink.end()
      } catch (error) {
        this.#fault(error)
      }
    }
    if (this.#endSent) {
      // Over in both directions: a reset out of the sink's `end` has nothing left to say.
      this.#reset = undefined
      this.#finishCleanly()
    }
    return true
  }

  /** A sink threw. What the peer did wrong ends the session; a fault of ours costs this stream and no other. */
  #fault(thrown: unknown): void {
    if (thrown instanceof RdvError && thrown.code === "protocol") throw thrown
    this.#owner.faulted(this, thrown)
    this.reset("internal")
  }

  /** The peer reset it, or the session is over: nothing will be sent any more. */
  receiveReset(error: RdvError): void {
    if (this.#closed) {
      this.#reset = undefined
      this.#owner.ended(this)
      return
    }
    this.#finish(error)
    this.#owner.ended(this)
  }

  receiveCredit(bytes: number): void {
    this.#credit += bytes
    if (this.#queuedBytes > 0) this.#owner.ready(this)
  }

  get credit(): number {
    return this.#credit
  }

  // The session's face: sending.

  /** True when `emit` would put something into a batch. */
  get sendable(): boolean {
    if (this.#reset !== undefined || this.#openJson !== undefined || this.#creditOwed > 0) return true
    if (this.#endSent || this.#closed) return false
    if (this.#queuedBytes === 0) return this.#endQueued
    const item = this.#queue.peek()
    return item instanceof MetaItem ? item.bytes.length <= this.#credit : this.#credit > 0
  }

  /** Puts frames into the batch, about `most` bytes. Returns the bytes added. */
  emit(batch: FrameBatch, most: number): number {
    const before = batch.bytes
    if (this.#openJson !== undefined) this.#emitOpen(batch)
    if (this.#reset !== undefined) {
      const { code, reason } = this.#reset
      this.#reset = undefined
      batch.add(frameType.reset, this.id, resetPayload(codeNumber(code), reason))
      this.#owner.ended(this)
      return batch.bytes - before
    }
    if (this.#creditOwed > 0) {
      if (!this.#endReceived && !this.#closed) batch.addU32(frameType.credit, this.id, this.#creditOwed)
      this.#creditOwed = 0
    }
    while (this.#queuedBytes > 0 && this.#credit > 0 && batch.bytes - before < most) {
      if (!this.#emitItem(batch)) break
    }
    if (this.#queuedBytes === 0 && this.#endQueued && !this.#endSent && !this.#closed) this.#emitEnd(batch)
    const added = batch.bytes - before
    if (this.#full && this.#queuedBytes * 2 < streamQueueBytes && !this.#closed) {
      this.#full = false
      this.#sink?.drain()
    }
    return added
  }

  #emitOpen(batch: FrameBatch): void {
    batch.addOpen(this.id, this.#window.window, this.service, this.#openJson as string)
    this.#openJson = undefined
  }

  #emitEnd(batch: FrameBatch): void {
    this.#endSent = true
    batch.addEmpty(frameType.end, this.id)
    if (this.#endReceived) this.#finishCleanly()
  }

  /** False when the next item needs more credit than there is. */
  #emitItem(batch: FrameBatch): boolean {
    const item = this.#queue.peek() as BytesItem | MetaItem
    const { bytes } = item
    if (item instanceof MetaItem) {
      if (bytes.length > this.#credit) return false
      this.#queue.shift()
      batch.add(frameType.meta, this.id, bytes)
      this.#sent(bytes.length)
      return true
    }
    const take = Math.min(bytes.length, this.#credit, this.#owner.framePayload)
    batch.add(frameType.data, this.id, take === bytes.length ? bytes : bytes.subarray(0, take))
    if (take < bytes.length) item.bytes = bytes.subarray(take)
    else {
      this.#queue.shift()
      if (item.segment !== undefined) this.#owner.segments.give(item.segment)
    }
    this.#sent(take)
    return true
  }

  #sent(bytes: number): void {
    this.#credit -= bytes
    this.#queuedBytes -= bytes
  }

  #giveCredit(bytes: number): void {
    const batch = this.#creditOwed === 0 && this.#openJson === undefined ? this.#owner.direct() : undefined
    if (batch !== undefined) {
      batch.addU32(frameType.credit, this.id, bytes)
      this.#owner.added(headerBytes + 4)
    } else {
      this.#creditOwed += bytes
      this.#owner.ready(this)
    }
  }

  #finishCleanly(): void {
    this.#finish(undefined)
    this.#owner.ended(this)
  }

  #finish(error: RdvError | undefined): void {
    if (this.#closed) return
    this.#closed = true
    this.#closedWith = error
    // A stream that was cancelled before its OPEN was sent never existed for the peer.
    this.#openJson = undefined
    for (let item = this.#queue.shift(); item !== undefined; item = this.#queue.shift()) {
      if (item instanceof BytesItem && item.segment !== undefined) this.#owner.segments.give(item.segment)
    }
    this.#queuedBytes = 0
    this.#window.release()
    // A receiver that comes later still gets what a clean stream held; a broken one only its error.
    if (error !== undefined) this.#held = undefined
    this.#tellClosed()
  }

  #tellClosed(): void {
    if (this.#closedTold || this.#sink === undefined) return
    this.#closedTold = true
    this.#sink.closed(this.#closedWith)
  }
}

/** What a stream holds back takes at most so many times its bytes in memory. */
const pinFactor = 8
