/**
 * The durable association of two peers. It carries streams over whatever link it has: frames are numbered, logged until
 * acknowledged, replayed on the next link and applied exactly once.
 *
 *     live ── link lost ──▶ suspended ── new link ──▶ live
 *       └───── close, failure ────┴── grace time over ──▶ closed
 *
 * This file keeps the streams and the session's state; `LinkWriter` and `LinkReader` are the two directions of its links,
 * `Scheduler` says which stream sends next, `Liveness` tells when a link is dead.
 */

import type { Clock, Timer } from "../base/clock.ts"
import { asRdvError, codeFromNumber, RdvError } from "../base/error.ts"
import type { ErrorCode } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { SegmentPool } from "../base/segments.ts"
import { utf8Decode } from "../base/text.ts"
import { readU32, readU64 } from "../wire/decode.ts"
import { checkServiceName, encodeFrame, encodeU64Frame } from "../wire/encode.ts"
import { frameName, frameType, isSequenced } from "../wire/frame.ts"
import { maxCreditBytes } from "../wire/limits.ts"
import { fitsOpen, readJsonObject, readOpenPayload } from "../wire/open.ts"
import type { FrameBatch } from "./batch.ts"
import { ReceiveWindow, WindowBudget } from "./credit.ts"
import { Liveness } from "./liveness.ts"
import { quantumBytes } from "./limits.ts"
import { LinkReader } from "./link-reader.ts"
import type { LinkReaderSink } from "./link-reader.ts"
import { LinkWriter } from "./link-writer.ts"
import type { Link, LinkSink } from "./link.ts"
import { Scheduler } from "./scheduler.ts"
import type { SessionOptions, SessionState } from "./session-options.ts"
import { SessionStats } from "./session-stats.ts"
import type { SessionStatus } from "./session-stats.ts"
import { SessionStream } from "./session-stream.ts"
import type { StreamOwner } from "./session-stream.ts"
import { StreamIds } from "./stream-ids.ts"

export class Session implements StreamOwner, LinkReaderSink {
  readonly id: string
  readonly #options: SessionOptions
  readonly #clock: Clock
  readonly #streams: Map<number, SessionStream> = new Map()
  /** How many of them the peer opened. */
  #theirs = 0
  readonly #ids: StreamIds
  readonly #scheduler: Scheduler<SessionStream> = new Scheduler(quantumBytes)
  readonly #budget: WindowBudget
  readonly #liveness: Liveness
  readonly #stats: SessionStats = new SessionStats()
  readonly #writer: LinkWriter
  readonly #reader: LinkReader

  #state: SessionState = "suspended"
  #link: Link | undefined
  #graceTimer: Timer | undefined
  #draining = false
  #peerDrains = false

  constructor(options: SessionOptions) {
    this.id = options.id
    this.#options = options
    this.#clock = options.runtime.clock
    this.#ids = new StreamIds(options.role === "dialer" ? 1 : 2)
    this.#budget = new WindowBudget(options.limits.sessionWindowBytes)
    const { checksum, defer, segments } = options.runtime
    this.#reader = new LinkReader(this, checksum)
    this.#writer = new LinkWriter({
      clock: this.#clock,
      checksum,
      segments,
      defer,
      logBytes: options.limits.logBytes,
      fill: (batch, most) => this.#fill(batch, most),
      pending: () => !this.#scheduler.empty,
      applied: () => this.#reader.applied,
      onFailure: (error) => this.#fail(error),
    })
    this.#liveness = new Liveness({
      clock: this.#clock,
      deadAfterMs: options.limits.deadAfterMs,
      ping: (stamp) => this.#writer.sendNow(encodeU64Frame(frameType.ping, stamp)),
      dead: (silentMs) => {
        this.#loseLink(new RdvError("link_lost", `Nothing arrived for ${Math.round(silentMs)} ms`))
      },
    })
  }

  get state(): SessionState {
    return this.#state
  }

  /** True from the moment that either side said DRAIN. */
  get draining(): boolean {
    return this.#draining || this.#peerDrains
  }

  /** Bytes of sequenced frames applied so far: what the handshake of the next link tells the peer. */
  get received(): number {
    return this.#reader.applied
  }

  get streamCount(): number {
    return this.#streams.size
  }

  get linkKind(): string {
    return this.#link?.kind ?? "none"
  }

  get peer(): string {
    return this.#link?.peer ?? "none"
  }

  // Links.

  /**
   * Puts the session on a link whose handshake is done. A live link is replaced (make before break). `peerReceived` is the
   * peer's count of applied bytes; `early` are bytes that arrived behind the handshake.
   */
  attachLink(link: Link, peerReceived: number, checked: boolean, early: Uint8Array): void {
    if (this.#state === "closed") {
      link.abort(new RdvError("closed"))
      return
    }
    const resumed = this.#stats.links > 0
    this.detachLink(new RdvError("replaced", "A newer link took over"))
    if (this.#options.role === "acceptor" && peerReceived < this.#writer.acknowledged) {
      // The word of a link that came too late: the dialer has had more since. It has, or will have, a newer one.
      link.abort(new RdvError("replaced"))
      return
    }
    try {
      this.#stats.retransmittedBytes += this.#writer.start(link, peerReceived, checked)
    } catch (error) {
      link.abort(new RdvError("protocol"))
      this.#finish(error as RdvError)
      return
    }
    this.#graceTimer?.cancel()
    this.#graceTimer = undefined
    this.#stats.links++
    if (resumed) this.#stats.resumes++
    this.#link = link
    this.#reader.start(checked, (bytes) => link.recycle?.(bytes))
    this.#state = "live"
    this.#liveness.start()
    const sink: LinkSink = {
      data: (bytes) => (this.#link === link ? this.#linkData(bytes) : false),
      drain: () => {
        if (this.#link === link) this.#writer.drained()
      },
      closed: (error) => {
        if (this.#link === link) this.#loseLink(error ?? new RdvError("link_lost", "The peer closed the link"))
      },
    }
    link.attach(sink)
    if (early.length > 0) this.#linkData(early)
    link.resume()
    if (resumed) this.#options.onResumed?.()
    this.#writer.schedule()
  }

  /** Stops reading from the current link, so that `received` is final; the session is suspended. */
  detachLink(reason: RdvError): void {
    const link = this.#link
    if (link === undefined) return
    this.#link = undefined
    this.#state = "suspended"
    this.#liveness.stop()
    this.#writer.stop()
    this.#reader.stop()
    this.#graceTimer ??= this.#clock.after(this.#options.limits.graceMs, () => {
      this.#finish(new RdvError("expired", `No link for ${this.#options.limits.graceMs} ms`))
    })
    link.abort(reason)
  }

  #loseLink(error: RdvError): void {
    if (this.#link === undefined || this.#state === "closed") return
    this.detachLink(error)
    this.#options.runtime.log.info("session.suspended", { session: this.id, code: error.code, reason: error.message })
    this.#options.onSuspended?.(error)
  }

  // Streams.

  /** Opens a stream; never throws for the state of the session: a stream on a closed one closes at once. */
  open(service: string, header: JsonObject): SessionStream {
    checkServiceName(service)
    const json = JSON.stringify(header)
    const refusal = this.#refusal(service, json)
    const id = refusal === undefined ? this.#ids.next((taken) => this.#streams.has(taken)) : 0
    const { startWindowBytes, maxWindowBytes, windowBytes } = this.#options.limits
    const granted = this.#budget.take(startWindowBytes, Math.min(windowBytes, startWindowBytes))
    const window = new ReceiveWindow(granted, maxWindowBytes, this.#budget, this.#clock.now())
    const credit = this.#options.peer.windowBytes
    const stream = new SessionStream(this, id, service, header, window, credit, json)
    if (refusal !== undefined) {
      stream.receiveReset(refusal)
      return stream
    }
    this.#streams.set(id, stream)
    this.#stats.streamsOpened++
    stream.start()
    return stream
  }

  #refusal(service: string, headerJson: string): RdvError | undefined {
    if (this.#state === "closed") return new RdvError("closed", "The session is closed")
    if (this.#peerDrains || this.#draining) return new RdvError("draining")
    if (this.#streams.size - this.#theirs >= this.#options.peer.streams) {
      return new RdvError("limit", `The session has ${this.#options.peer.streams} streams, as many as the peer takes`)
    }
    if (!fitsOpen(service, headerJson))
      return new RdvError("limit", "The header of a stream is over what one frame can carry")
    return undefined
  }

  /** Asks the peer to open no more streams; those that run finish. */
  drain(): void {
    if (this.#draining || this.#state === "closed") return
    this.#draining = true
    this.#writer.drain()
  }

  /** Ends the session and all its streams on both sides. What is queued is dropped. */
  close(code: ErrorCode = "closed", reason = ""): void {
    if (this.#state === "closed") return
    // The peer hears of it at once or never: a suspended session has nobody to tell.
    this.#writer.sayEnd(code, reason)
    this.#finish(code === "closed" ? undefined : new RdvError(code, reason === "" ? undefined : reason))
  }

  status(): SessionStatus {
    return {
      id: this.id,
      state: this.#state,
      link: this.linkKind,
      peer: this.peer,
      rttMs: this.#liveness.rttMs,
      streams: this.#streams.size,
      ...this.#stats.read(),
      unacknowledgedBytes: this.#writer.unacknowledgedBytes,
      flightLimitBytes: this.#writer.flightLimitBytes,
      windowGrantedBytes: this.#budget.granted,
    }
  }

  // What streams ask for.

  readonly framePayload: number = quantumBytes

  get segments(): SegmentPool {
    return this.#options.runtime.segments
  }

  get startWindowBytes(): number {
    return this.#options.limits.startWindowBytes
  }

  direct(): FrameBatch | undefined {
    return this.#scheduler.empty ? this.#writer.direct() : undefined
  }

  added(bytes: number): void {
    this.#stats.bytesOut += bytes
    this.#writer.added()
  }

  ready(stream: SessionStream): void {
    // Streams that ended wait in their list for their turn; while nothing can be sent, they must not pile up.
    if (this.#scheduler.length > 2 * this.#streams.size + 1024) this.#scheduler.sweep((each) => each.sendable)
    this.#scheduler.ready(stream)
    this.#writer.schedule()
  }

  faulted(stream: SessionStream, thrown: unknown): void {
    const reason = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
    this.#options.runtime.log.error("stream.failed", { session: this.id, service: stream.service, reason })
  }

  ended(stream: SessionStream): void {
    if (this.#streams.get(stream.id) !== stream) return
    this.#streams.delete(stream.id)
    if (!this.#ids.isOurs(stream.id)) this.#theirs--
  }

  nowMs(): number {
    return this.#clock.now()
  }

  rttMs(): number {
    return this.#liveness.rttMs
  }

  /** The streams' turns within one batch. */
  #fill(batch: FrameBatch, most: number): void {
    while (batch.bytes < most) {
      const stream = this.#scheduler.next()
      if (stream === undefined) return
      const added = stream.emit(batch, Math.min(stream.turn.deficit, most - batch.bytes))
      this.#scheduler.done(stream, added, stream.sendable)
      this.#stats.bytesOut += added
    }
  }

  // Receiving.

  #linkData(bytes: Uint8Array): boolean {
    try {
      if (this.#reader.push(bytes)) this.#liveness.heard()
    } catch (error) {
      const failure = asRdvError(error)
      if (failure.code === "corrupt") this.#loseLink(failure)
      else this.#fail(failure)
      return true
    }
    this.#writer.applied()
    return this.#reader.kept
  }

  /** `LinkReaderSink`: a piece of a DATA payload. */
  piece(id: number, chunk: Uint8Array): boolean {
    const stream = this.#streams.get(id)
    if (stream === undefined) {
      this.#stray(id, frameType.data)
      return false
    }
    if (chunk.length === 0) return false
    this.#stats.bytesIn += chunk.length
    if (!stream.receive(chunk)) throw creditExceeded(id)
    if (!stream.keeps) return false
    stream.lend(this.#reader.lease(chunk))
    return true
  }

  /** `LinkReaderSink`: any other frame. */
  apply(type: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (isSequenced(type)) {
      this.#sequenced(type, id, bytes, start, end)
      return
    }
    switch (type) {
      case frameType.ack:
        this.#writer.acknowledge(readU64(bytes, start))
        return
      case frameType.ping:
        this.#writer.sendNow(encodeFrame(frameType.pong, 0, bytes.subarray(start, end)))
        return
      case frameType.pong:
        this.#liveness.pong(readU32(bytes, start) * 2 ** 32 + readU32(bytes, start + 4))
        return
      case frameType.check:
      case frameType.dgram:
        return
      default:
        throw new RdvError("protocol", `A ${frameName(type)} frame after the handshake`)
    }
  }

  #sequenced(type: number, id: number, bytes: Uint8Array, start: number, end: number): void {
    if (type === frameType.open) {
      this.#accept(id, bytes, start, end)
      return
    }
    if (type === frameType.drain) {
      this.#peerDrains = true
      this.#options.onDrain?.()
      return
    }
    const stream = this.#streams.get(id)
    if (type === frameType.reset) {
      const code = codeFromNumber(((bytes[start] as number) << 8) | (bytes[start + 1] as number))
      const reason = utf8Decode(bytes, start + 2, end)
      const error = new RdvError(code, reason === "" ? undefined : reason, { origin: "remote" })
      if (id === 0) this.#finish(error.code === "closed" ? undefined : error)
      else if (stream === undefined) this.#stray(id, type)
      else stream.receiveReset(error)
      return
    }
    if (stream === undefined) {
      this.#stray(id, type)
      return
    }
    if (type === frameType.meta) {
      if (!stream.receiveMeta(readJsonObject(bytes, start, end), end - start)) throw creditExceeded(id)
    } else if (type === frameType.end) {
      if (!stream.receiveEnd()) throw new RdvError("protocol", `Two END frames on stream ${id}`)
    } else if (type === frameType.credit) {
      stream.receiveCredit(readU32(bytes, start))
      if (stream.credit > maxCreditBytes) {
        throw new RdvError("protocol", `The credit of stream ${id} is over ${maxCreditBytes}`)
      }
    }
  }

  #accept(id: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.#ids.isOurs(id) || this.#streams.has(id)) {
      throw new RdvError("protocol", `The peer opens stream ${id}, which is not its to open`)
    }
    this.#ids.seen(id)
    const open = readOpenPayload(bytes, start, end)
    const { windowBytes, maxWindowBytes, streams } = this.#options.limits
    const granted = this.#budget.take(windowBytes, windowBytes)
    const window = new ReceiveWindow(granted, maxWindowBytes, this.#budget, this.#clock.now())
    const stream = new SessionStream(this, id, open.service, open.header, window, open.window, undefined)
    this.#stats.streamsAccepted++
    const full = this.#theirs >= streams
    if (this.#theirs >= streams + maxRefusals) {
      throw new RdvError("protocol", `The peer has ${maxRefusals} streams over the limit and reads no refusal`)
    }
    this.#streams.set(id, stream)
    this.#theirs++
    // A stream that was under way when DRAIN went out was opened in good faith.
    if (full || (this.#draining && this.#writer.drainHeard)) {
      stream.reset(full ? "limit" : "draining", full ? `No more than ${streams} streams at once` : "")
      return
    }
    this.#options.onStream(stream)
    if (open.firstAt < end) {
      if (!stream.receive(bytes.slice(open.firstAt, end))) throw creditExceeded(id)
    }
  }

  /** A frame for a stream that is not there: left over from one that was reset, or a lie. */
  #stray(id: number, type: number): void {
    if (!this.#ids.wasUsed(id)) {
      throw new RdvError("protocol", `A ${frameName(type)} frame for stream ${id}, which was never opened`)
    }
  }

  // Ending.

  /** The peer broke the protocol: it is told, and the session ends. */
  #fail(error: RdvError): void {
    if (this.#state === "closed") return
    this.#options.runtime.log.warn("session.failed", { session: this.id, code: error.code, reason: error.message })
    try {
      this.#writer.sayEnd(error.code, error.message)
    } finally {
      this.#finish(error)
    }
  }

  #finish(error: RdvError | undefined): void {
    if (this.#state === "closed") return
    this.#state = "closed"
    this.#liveness.stop()
    this.#graceTimer?.cancel()
    const link = this.#link
    this.#link = undefined
    this.#reader.stop()
    this.#writer.end()
    link?.close()
    const streamError = error ?? new RdvError("closed", "The session is closed")
    for (const stream of this.#streams.values()) stream.receiveReset(streamError)
    this.#streams.clear()
    this.#options.onClosed?.(error)
  }
}

/** Streams over the limit whose refusal could not be sent yet: an honest peer has none, because it counts its own. */
const maxRefusals = 1024

function creditExceeded(id: number): RdvError {
  return new RdvError("protocol", `The peer sent more on stream ${id} than its credit allows`)
}
