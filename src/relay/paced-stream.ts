/**
 * A stream whose bytes, both ways together with those of others, keep to a pace. It stands between a visitor and a session
 * and neither notices: what has to wait is held in order with all that comes behind it, credit for it does not go back,
 * and the visitor's side hears "full". Held are at most the stream's window on one side, and on the other what was read
 * before that side stopped. Metadata has no window: a session that sends too much of it behind bytes that wait loses the
 * stream.
 *
 *     visitor ── write, meta, end ─▶ up ──▶ session
 *             ◀─ data, meta, end ── down ◀──
 */

import { RdvError } from "../base/error.ts"
import type { ErrorCode } from "../base/error.ts"
import { Fifo } from "../base/fifo.ts"
import type { Json, JsonObject } from "../base/json.ts"
import type { Stream, StreamSink } from "../base/stream.ts"
import type { Pace, Waiting } from "./pace.ts"

export class PacedStream implements Stream {
  readonly id: number
  readonly service: string
  readonly header: JsonObject
  readonly #inner: Stream
  readonly #pace: Pace
  readonly #up: Lane
  readonly #down: Lane
  #sink: StreamSink | undefined
  /** The visitor's side has heard "full". */
  #stopped = false
  /** The session has said "full". */
  #innerFull = false
  #ended = false
  /** Of the metadata that waits on its way down. */
  #heldMeta = 0
  /** The session's side is over; what came before may still be held. */
  #over = false
  #told = false

  constructor(inner: Stream, pace: Pace) {
    this.id = inner.id
    this.service = inner.service
    this.header = inner.header
    this.#inner = inner
    this.#pace = pace
    const failed = (thrown: unknown) =>
      this.reset("internal", thrown instanceof Error ? thrown.message : String(thrown))
    const up = { move: (bytes: Uint8Array) => this.#note(inner.write(bytes)), emptied: () => this.#goOn(), failed }
    const down = { move: (bytes: Uint8Array) => this.#sink?.data(bytes), emptied: () => undefined, failed }
    this.#up = new Lane(pace, up)
    this.#down = new Lane(pace, down)
    pace.spend(textLength(inner.header))
  }

  attach(sink: StreamSink): void {
    this.#sink = sink
    this.#inner.attach({
      data: (chunk) => this.#down.bytes(chunk),
      meta: (block) => this.#hear(block, sink),
      end: () => this.#down.behind(() => sink.end()),
      drain: () => {
        this.#innerFull = false
        this.#goOn()
      },
      closed: (error) => {
        this.#over = true
        if (error === undefined) this.#down.behind(() => this.#tell(undefined))
        else this.#tell(error)
      },
    })
  }

  write(chunk: Uint8Array): boolean {
    if (this.#ended || this.#over || this.#told) return !this.#stopped
    if (this.#up.isOpen) this.#up.bytes(chunk)
    // The caller uses its memory again.
    else this.#up.bytes(new Uint8Array(chunk))
    return this.#verdict()
  }

  meta(block: { readonly [key: string]: Json | undefined }): boolean {
    if (this.#ended || this.#over || this.#told) return !this.#stopped
    this.#up.behind(() => {
      this.#pace.spend(textLength(block))
      this.#note(this.#inner.meta(block))
    })
    return this.#verdict()
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#up.behind(() => this.#inner.end())
  }

  reset(code: ErrorCode, reason?: string): void {
    if (this.#told) return
    this.#inner.reset(code, reason)
    // It was over already, and only its end had not been told yet.
    if (this.#over) this.#tell(new RdvError(code, reason))
  }

  consumed(bytes: number): void {
    this.#inner.consumed(bytes)
  }

  #hear(block: JsonObject, sink: StreamSink): void {
    const length = textLength(block)
    this.#heldMeta += length + blockBytes
    this.#down.behind(() => {
      this.#heldMeta -= length + blockBytes
      this.#pace.spend(length)
      sink.meta(block)
    })
    if (this.#heldMeta > heldMetaBytes) this.reset("limit", "Metadata came faster than the bytes before it may go on")
  }

  #tell(error: RdvError | undefined): void {
    if (this.#told) return
    this.#told = true
    this.#up.drop()
    this.#down.drop()
    this.#sink?.closed(error)
  }

  #note(hasRoom: boolean): void {
    if (!hasRoom) this.#innerFull = true
  }

  #verdict(): boolean {
    if (!this.#up.isOpen) this.#up.ask()
    else if (!this.#innerFull) return true
    this.#stopped = true
    return false
  }

  #goOn(): void {
    if (this.#told || !this.#stopped || this.#innerFull || !this.#up.isEmpty) return
    this.#stopped = false
    this.#sink?.drain()
  }
}

/** Metadata that may wait; an answer has one block of trailers behind its bytes. */
const heldMetaBytes = 256 * 1024
/** What a block takes beside its texts. */
const blockBytes = 64

interface LaneEnds {
  move(bytes: Uint8Array): void
  /** Its turn came, and nothing waits any more. */
  emptied(): void
  /** What was called has thrown. */
  failed(thrown: unknown): void
}

/** One direction: bytes by the pace, in order with what else happens. */
class Lane implements Waiting {
  readonly #pace: Pace
  readonly #ends: LaneEnds
  readonly #held: Fifo<Uint8Array | (() => void)> = new Fifo()
  #inLine = false
  /** Asked for since its last turn began. */
  #wantsTurn = false

  constructor(pace: Pace, ends: LaneEnds) {
    this.#pace = pace
    this.#ends = ends
  }

  get isEmpty(): boolean {
    return this.#held.length === 0
  }

  /** What comes now would move at once. */
  get isOpen(): boolean {
    return this.#held.length === 0 && this.#pace.open
  }

  bytes(chunk: Uint8Array): void {
    if (this.isOpen) {
      this.#pace.spend(chunk.length)
      this.#ends.move(chunk)
    } else {
      this.#held.push(chunk)
      this.ask()
    }
  }

  /** Acts when everything before has moved. */
  behind(act: () => void): void {
    if (this.#held.length === 0) act()
    else this.#held.push(act)
  }

  /** Asks for a turn, although nothing may wait: to hear when something could move. */
  ask(): void {
    this.#wantsTurn = true
    if (this.#inLine) return
    this.#inLine = true
    this.#pace.wait(this)
  }

  drop(): void {
    this.#held.clear()
  }

  turn(most: number): boolean {
    this.#wantsTurn = false
    try {
      this.#move(most)
    } catch (thrown) {
      // Here nobody is behind us who would catch it.
      this.#held.clear()
      this.#ends.failed(thrown)
    }
    this.#inLine = this.#wantsTurn || this.#held.length > 0
    return this.#inLine
  }

  #move(most: number): void {
    const first = this.#held.shift()
    if (first instanceof Uint8Array) {
      if (first.length > most) this.#held.unshift(first.subarray(most))
      const piece = first.length > most ? first.subarray(0, most) : first
      this.#pace.spend(piece.length)
      this.#ends.move(piece)
    }
    for (let act = this.#held.peek(); typeof act === "function"; act = this.#held.peek()) {
      this.#held.shift()
      act()
    }
    if (this.#held.length === 0) this.#ends.emptied()
  }
}

/** About what a head takes on the wire, without writing it: the characters of its texts. */
function textLength(value: Json | undefined): number {
  if (typeof value === "string") return value.length
  if (typeof value !== "object" || value === null) return 0
  let length = 0
  for (const each of Array.isArray(value) ? value : Object.values(value)) length += textLength(each as Json | undefined)
  return length
}
