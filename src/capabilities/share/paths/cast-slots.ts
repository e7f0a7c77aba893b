/**
 * What a receiver has of one pass: a few chunks that are being put together, and which pieces of them and of wholly missed
 * ones it lacks. Memory is bounded by what the sink gives and by the number of open slots: who cannot keep up gives up the
 * oldest, and gets it the normal way.
 */

import { largestChunk, sealBytes } from "../content/chunk-crypto.ts"
import { allPieces, mostMissingRanges } from "./cast-packet.ts"
import type { CastPiece, MissingSlot } from "./cast-packet.ts"
import type { CastSink } from "./chunk-cast.ts"
import type { ChunkName } from "./chunk-path.ts"
import { Ranges } from "./datagram-ranges.ts"

const mostOpen = 64
/** Asked for so often, and it did not come. */
const mostAsks = 8

interface OpenSlot {
  readonly name: ChunkName
  readonly memory: Uint8Array
  readonly pieces: number
  readonly got: Ranges
  asks: number
  askedAt: number
}

/** Nothing of it has come. */
interface UnseenSlot {
  asks: number
  askedAt: number
}

export class CastSlots {
  readonly pass: number
  readonly version: number
  receivedBytes = 0
  readonly #pieceBytes: number
  readonly #sink: CastSink
  readonly #open = new Map<number, OpenSlot>()
  readonly #unseen = new Map<number, UnseenSlot>()
  /** What has been sent for the first time: all before this slot, and before this piece of it. */
  #slot: number
  #piece = 0
  /** The first of which nothing has been sent. */
  #next: number

  /** `first`: earlier ones are not this receiver's business. */
  constructor(pass: number, version: number, pieceBytes: number, first: number, sink: CastSink) {
    this.pass = pass
    this.version = version
    this.#pieceBytes = pieceBytes
    this.#slot = first
    this.#next = first
    this.#sink = sink
  }

  /** Nothing is missing of what was sent. */
  get isComplete(): boolean {
    return this.#unseen.size === 0 && this.#open.size === 0
  }

  /** The sender has come so far. */
  advance(slot: number, piece: number): void {
    if (slot < this.#slot || (slot === this.#slot && piece <= this.#piece)) return
    // A slot of which nothing came before the next one began. Those that it cannot keep anyway are not even noted.
    const sent = piece > 0 ? slot + 1 : slot
    for (let passed = Math.max(this.#next, sent - mostOpen); passed < sent; passed++) this.#note(passed)
    this.#next = Math.max(this.#next, sent)
    this.#slot = slot
    this.#piece = piece
  }

  piece(head: CastPiece, bytes: Uint8Array): void {
    const { slot, piece, length, chunk, version } = head
    if (length === 0 || length > largestChunk + sealBytes || version !== this.version) return
    const pieces = Math.ceil(length / this.#pieceBytes)
    if (piece >= pieces || bytes.length !== Math.min(this.#pieceBytes, length - piece * this.#pieceBytes)) return
    this.advance(slot, piece + 1)
    let open = this.#open.get(slot)
    if (open === undefined) {
      if (!this.#unseen.delete(slot)) return
      if (this.#open.size >= mostOpen) this.#giveUp(this.#open.keys().next().value as number)
      const name: ChunkName = { version, chunk }
      const memory = this.#sink.room(name, length)
      // It is there already, or there is no room now.
      if (memory === undefined) return
      open = { name, memory, pieces, got: new Ranges(), asks: 0, askedAt: -Infinity }
      this.#open.set(slot, open)
    }
    if (open.memory.length !== length || open.name.chunk !== chunk) return
    if (open.got.add(piece, piece + 1) === 0) return
    open.memory.set(bytes, piece * this.#pieceBytes)
    if (open.got.size < pieces) return
    this.#open.delete(slot)
    this.receivedBytes += length
    this.#sink.chunk(open.name, open.memory)
  }

  /** What is missing and was not asked for within `patienceMs`; it counts as asked for now. */
  missing(now: number, patienceMs: number): MissingSlot[] {
    const all: MissingSlot[] = []
    for (const [slot, unseen] of this.#unseen) {
      if (now - unseen.askedAt < patienceMs) continue
      if (unseen.asks++ >= mostAsks) this.#unseen.delete(slot)
      else {
        unseen.askedAt = now
        all.push({ slot, ranges: [[0, slot === this.#slot ? this.#piece : allPieces]] })
      }
    }
    for (const [slot, open] of this.#open) {
      const sent = slot === this.#slot ? this.#piece : open.pieces
      const ranges: (readonly [number, number])[] = []
      for (const range of open.got.missing(0, Math.min(sent, open.pieces))) {
        if (ranges.push(range) === mostMissingRanges) break
      }
      if (ranges.length === 0 || now - open.askedAt < patienceMs) continue
      if (open.asks++ >= mostAsks) this.#giveUp(slot)
      else {
        open.askedAt = now
        all.push({ slot, ranges })
      }
    }
    return all
  }

  /** Something is missing of what was sent. */
  get hasGaps(): boolean {
    if (this.#unseen.size > 0) return true
    for (const [slot, { got, pieces }] of this.#open) {
      const sent = slot === this.#slot ? Math.min(this.#piece, pieces) : pieces
      if (!got.covers(0, sent) && sent > 0) return true
    }
    return false
  }

  cancel({ version, chunk }: ChunkName): void {
    for (const [slot, { name }] of this.#open) {
      if (name.chunk === chunk && name.version === (version & 0xffff)) this.#open.delete(slot)
    }
  }

  /** Nothing more comes. */
  close(): void {
    for (const slot of this.#open.keys()) this.#giveUp(slot)
    this.#unseen.clear()
  }

  /** Something of this slot has been sent. */
  #note(slot: number): void {
    if (this.#unseen.size >= mostOpen) this.#unseen.delete(this.#unseen.keys().next().value as number)
    this.#unseen.set(slot, { asks: 0, askedAt: -Infinity })
  }

  #giveUp(slot: number): void {
    const open = this.#open.get(slot)
    if (open === undefined) return
    this.#open.delete(slot)
    this.#sink.lost(open.name)
  }
}
