/**
 * A path of chunks over ordered bytes: a connection, or a stream of a session. Chunks go out by reference and come in with
 * one copy. What is small (who wants what) overtakes the chunks that wait, so that an ask never stands behind more than
 * one part of a chunk and what the operating system holds.
 *
 *     send ─▶ chunks ─┐
 *     ask, … ─▶ small ┴─(part by part, while the pipe takes)─▶ pipe ─▶ operating system
 */

import { systemClock } from "../../../base/clock.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import type { ChunkName, ChunkPath, ChunkPathSink, Refusal } from "./chunk-path.ts"
import {
  dataHead,
  headBytes,
  largestSealed,
  partBytes,
  PieceReader,
  pieceType,
  refusalFrom,
  refusalNumber,
  writeSmall,
} from "./piece-frames.ts"
import type { SmallType } from "./piece-frames.ts"
import type { Pipe } from "../../../base/pipe.ts"

export interface StreamPathOptions {
  readonly clock?: Clock
  /** `send` answers false while so much waits, bytes. Default 1 MiB. */
  readonly highWaterBytes?: number
  /** A path over which something is awaited and nothing moves is over after so long, ms. Default 30,000. */
  readonly silentMs?: number
  /** Also awaits a sign of life while nothing goes on: for those who are sent to without asking. Default false. */
  readonly probes?: boolean
}

/** The pipe is the path's from now on. */
export function streamPath(pipe: Pipe, options: StreamPathOptions = {}): ChunkPath {
  return new StreamPath(pipe, options)
}

const defaultHighWaterBytes = 1_048_576
const defaultSilentMs = 30_000
/** Whoever sends on after `false` has a fault; so many bytes show it. */
const mostQueuedBytes = 256 * 1_048_576
/** A peer that asks for so much and does not read the answers has a fault, frames. */
const mostSmall = 16_384
/** Between measurements of the round trip while something goes on, ms. */
const pingEveryMs = 5_000
/** Between looks whether the operating system has the last bytes, where the pipe does not tell, ms. */
const lookMs = 10

class Outgoing {
  readonly name: ChunkName
  readonly sealed: Uint8Array
  readonly sent: (() => void) | undefined
  /** How far it was handed to the pipe. */
  from = 0
  /** Where it ends in all that was handed to the pipe; 0 before. */
  end = 0

  constructor(name: ChunkName, sealed: Uint8Array, sent: (() => void) | undefined) {
    this.name = name
    this.sealed = sealed
    this.sent = sent
  }
}

class StreamPath implements ChunkPath {
  readonly kind = "stream"
  readonly #pipe: Pipe
  readonly #clock: Clock
  readonly #highWater: number
  readonly #silentMs: number
  readonly #probes: boolean
  readonly #reader: PieceReader
  #sink: ChunkPathSink | undefined

  /** Chunks that wait, and the one of which a part has gone, first. */
  readonly #chunks: Fifo<Outgoing> = new Fifo()
  #chunksBytes = 0
  /** Frames without bytes that wait, in place. */
  #small: Uint8Array = new Uint8Array(0)
  #smallBytes = 0
  /** Whole with the pipe, and perhaps not yet with the operating system. */
  readonly #handed: Fifo<Outgoing> = new Fifo()
  /** All bytes that the pipe ever took. */
  #handedBytes = 0
  #sentBytes = 0
  #pipeFull = false
  #full = false
  #pumping = false
  #pumpAgain = false

  #closing = false
  #over = false
  #told = false
  #error: RdvError | undefined
  /** Of `abort`: the pipe may end with another one. */
  #reason: RdvError | undefined

  #rttMs: number | undefined
  #pingNumber = 0
  /** When the ping that waits for its answer went out. */
  #pingedAt: number | undefined
  #lastPingAt = Number.NEGATIVE_INFINITY
  /** Asked and neither come nor refused nor cancelled. */
  #owed = 0
  #moved = false
  #quietSince = 0
  #watchTimer: Timer | undefined
  #lookTimer: Timer | undefined

  constructor(pipe: Pipe, options: StreamPathOptions) {
    this.#pipe = pipe
    this.#clock = options.clock ?? systemClock
    this.#highWater = options.highWaterBytes ?? defaultHighWaterBytes
    this.#silentMs = options.silentMs ?? defaultSilentMs
    this.#probes = options.probes ?? false
    this.#reader = new PieceReader({
      room: (name, length) => this.#sink?.room(name, length),
      chunk: (name, sealed) => {
        if (this.#owed > 0) this.#owed--
        if (sealed !== undefined) this.#sink?.chunk(name, sealed)
      },
      small: (type, why, name) => this.#heard(type, why, name),
    })
  }

  get over(): string {
    return this.#pipe.kind
  }

  get peer(): string {
    return this.#pipe.peer
  }

  get queuedBytes(): number {
    return this.#over ? 0 : this.#chunksBytes + this.#smallBytes + this.#pipe.queuedBytes
  }

  get rttMs(): number | undefined {
    return this.#rttMs
  }

  get sentBytes(): number {
    return this.#sentBytes
  }

  get receivedBytes(): number {
    return this.#reader.receivedBytes
  }

  attach(sink: ChunkPathSink): void {
    const isFirst = this.#sink === undefined
    this.#sink = sink
    if (!isFirst) return
    if (this.#over) {
      this.#tell()
      return
    }
    this.#pipe.attach({
      borrows: true,
      data: (bytes) => {
        this.#moved = true
        try {
          this.#reader.push(bytes)
        } catch (error) {
          if (!(error instanceof RdvError)) throw error
          this.abort(error)
        }
        return false
      },
      drain: () => {
        this.#moved = true
        this.#pipeFull = false
        this.#pump()
      },
      closed: (error) => this.#end(error),
    })
    if (this.#probes) this.#watch()
  }

  /** Throws `usage` and `too_large` for what is no chunk. */
  send(name: ChunkName, sealed: Uint8Array, sent?: () => void): boolean {
    if (sealed.length === 0) throw new RdvError("usage", "A chunk of 0 bytes cannot be sent")
    if (sealed.length > largestSealed) throw new RdvError("too_large", `A chunk of ${sealed.length} bytes is too large`)
    if (this.#over || this.#closing) {
      sent?.()
      return false
    }
    this.#chunks.push(new Outgoing(name, sealed, sent))
    this.#chunksBytes += sealed.length
    if (this.#chunksBytes > mostQueuedBytes) {
      this.abort(new RdvError("limit", `More than ${mostQueuedBytes} bytes wait for ${this.peer}`))
      return false
    }
    this.#measure()
    this.#watch()
    this.#pump()
    if (this.queuedBytes < this.#highWater) return true
    this.#full = true
    return false
  }

  ask(name: ChunkName): void {
    this.#owed++
    this.#say(pieceType.ask, 0, name)
    this.#measure()
    this.#watch()
  }

  cancel(name: ChunkName): void {
    if (this.#owed > 0) this.#owed--
    this.#say(pieceType.cancel, 0, name)
  }

  refuse(name: ChunkName, why: Refusal): void {
    this.#say(pieceType.refuse, refusalNumber(why), name)
  }

  close(): void {
    if (this.#over || this.#closing) return
    this.#closing = true
    this.#watch()
    this.#pump()
  }

  abort(error: RdvError): void {
    if (this.#over || this.#reason !== undefined) return
    this.#reason = error
    // First: then nobody looks into the memory of chunks any more.
    this.#pipe.abort(error)
    this.#end(error)
  }

  #heard(type: SmallType, why: number, name: ChunkName): void {
    switch (type) {
      case pieceType.ask:
        this.#sink?.asked(name)
        break
      case pieceType.cancel:
        this.#forget(name)
        this.#sink?.cancelled(name)
        break
      case pieceType.refuse:
        if (this.#owed > 0) this.#owed--
        this.#sink?.refused(name, refusalFrom(why))
        break
      case pieceType.ping:
        this.#say(pieceType.pong, 0, name)
        break
      case pieceType.pong:
        if (this.#pingedAt === undefined || name.chunk !== this.#pingNumber) return
        this.#sampled(this.#clock.now() - this.#pingedAt)
        this.#pingedAt = undefined
    }
  }

  /** RFC 6298: an eighth of the new sample. */
  #sampled(sampleMs: number): void {
    this.#rttMs = this.#rttMs === undefined ? sampleMs : this.#rttMs + (sampleMs - this.#rttMs) / 8
  }

  /** What nobody waits for and has not begun need not go out. */
  #forget(name: ChunkName): void {
    const kept: Outgoing[] = []
    const gone: Outgoing[] = []
    while (this.#chunks.length > 0) {
      const next = this.#chunks.shift() as Outgoing
      const isIt = next.from === 0 && next.name.chunk === name.chunk && (next.name.version & 0xffff) === name.version
      ;(isIt ? gone : kept).push(next)
    }
    for (const next of kept) this.#chunks.push(next)
    for (const next of gone) this.#chunksBytes -= next.sealed.length
    for (const next of gone) next.sent?.()
    if (gone.length > 0) this.#pump()
  }

  #say(type: SmallType, why: number, name: ChunkName): void {
    if (this.#over || this.#closing) return
    if (this.#smallBytes >= mostSmall * headBytes) {
      this.abort(new RdvError("limit", `${this.peer} asks for much and does not read the answers`))
      return
    }
    if (this.#smallBytes === this.#small.length) {
      const larger = new Uint8Array(Math.max(headBytes * 8, this.#small.length * 2))
      larger.set(this.#small)
      this.#small = larger
    }
    writeSmall(this.#small, this.#smallBytes, type, why, name)
    this.#smallBytes += headBytes
    this.#pump()
  }

  /** Hands over what the pipe takes. Whoever is called back from here may send again. */
  #pump(): void {
    if (this.#pumping) {
      this.#pumpAgain = true
      return
    }
    this.#pumping = true
    do {
      this.#pumpAgain = false
      while (!this.#pipeFull && !this.#over && (this.#smallBytes > 0 || this.#chunks.length > 0)) {
        if (this.#smallBytes > 0) this.#handSmall()
        else this.#handPart(this.#chunks.peek() as Outgoing)
      }
      this.#release()
    } while (this.#pumpAgain)
    this.#pumping = false
    if (this.#over) return
    if (this.#full && this.queuedBytes < this.#highWater) {
      this.#full = false
      this.#sink?.ready()
    }
    if (this.#closing && this.#chunks.length === 0 && this.#smallBytes === 0) this.#pipe.close()
  }

  #handSmall(): void {
    const frames = this.#small.subarray(0, this.#smallBytes)
    // By reference: the next ones need memory of their own.
    this.#small = new Uint8Array(0)
    this.#handedBytes += this.#smallBytes
    this.#smallBytes = 0
    if (!this.#pipe.send([frames])) this.#pipeFull = true
  }

  #handPart(next: Outgoing): void {
    const { sealed, from } = next
    const length = Math.min(sealed.length - from, partBytes)
    const isLast = from + length === sealed.length
    const head = dataHead(next.name, from, length, sealed.length)
    next.from += length
    this.#handedBytes += headBytes + length
    this.#chunksBytes -= length
    this.#sentBytes += length
    if (isLast) {
      next.end = this.#handedBytes
      this.#chunks.shift()
      this.#handed.push(next)
    }
    const part = length === sealed.length ? sealed : sealed.subarray(from, from + length)
    if (!this.#pipe.send([head, part])) this.#pipeFull = true
  }

  /** Tells of the chunks that the operating system has. */
  #release(): void {
    if (this.#handed.length === 0) return
    const gone = this.#handedBytes - this.#pipe.queuedBytes
    for (let next = this.#handed.peek(); next !== undefined && next.end <= gone; next = this.#handed.peek()) {
      this.#handed.shift()
      next.sent?.()
    }
    // A pipe that is not full calls no more. It is little, and seldom.
    if (this.#handed.length === 0 || this.#pipeFull || this.#over || this.#lookTimer !== undefined) return
    this.#lookTimer = this.#clock.after(lookMs, () => {
      this.#lookTimer = undefined
      this.#pump()
    })
  }

  #measure(): void {
    const now = this.#clock.now()
    if (this.#pingedAt === undefined && now - this.#lastPingAt >= pingEveryMs) this.#ping(now)
  }

  #ping(now: number): void {
    this.#pingedAt = this.#lastPingAt = now
    this.#pingNumber = (this.#pingNumber + 1) >>> 0
    this.#say(pieceType.ping, 0, { version: 0, chunk: this.#pingNumber })
  }

  /** Something is awaited: an answer, or that the peer takes what waits. */
  get #awaits(): boolean {
    return this.#owed > 0 || this.#pingedAt !== undefined || this.queuedBytes > 0 || this.#closing
  }

  #watch(): void {
    if (this.#watchTimer !== undefined || this.#over) return
    this.#moved = false
    this.#quietSince = this.#clock.now()
    this.#beat()
  }

  #beat(): void {
    this.#watchTimer = this.#clock.after(this.#silentMs / 4, () => {
      this.#watchTimer = undefined
      if (this.#over || !(this.#awaits || this.#probes)) return
      const now = this.#clock.now()
      if (this.#moved) {
        this.#moved = false
        this.#quietSince = now
      }
      if (now - this.#quietSince >= this.#silentMs) {
        this.abort(new RdvError("timeout", `Nothing came from ${this.peer} for ${Math.round(this.#silentMs / 1000)} s`))
        return
      }
      if (this.#pingedAt === undefined) this.#ping(now)
      this.#beat()
    })
  }

  #end(error: RdvError | undefined): void {
    if (this.#over) return
    this.#over = true
    this.#error = this.#reason ?? error
    this.#reader.stop()
    this.#watchTimer?.cancel()
    this.#lookTimer?.cancel()
    this.#smallBytes = 0
    this.#chunksBytes = 0
    for (const list of [this.#handed, this.#chunks]) {
      for (let next = list.shift(); next !== undefined; next = list.shift()) next.sent?.()
    }
    this.#tell()
  }

  #tell(): void {
    if (this.#told || this.#sink === undefined) return
    this.#told = true
    this.#sink.closed(this.#error)
  }
}
