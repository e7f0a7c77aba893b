/**
 * Another member that is reached directly, as the one who is asked: which chunks are awaited from it, and when it is too
 * late for them. Patience follows from what was measured, the round trip and the time between two chunks, so that a slow
 * one is not taken for a dead one, and a dead one is noticed in about a second.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import type { ChunkName, ChunkPath } from "../paths/chunk-path.ts"

export interface DirectPeerOptions {
  readonly clock: Clock
  readonly member: string
  readonly path: ChunkPath
  /** It is late; it was told that nobody waits for it. */
  readonly late: (name: ChunkName) => void
  /** Nothing came, twice in a row. */
  readonly silent: () => void
}

interface Ask {
  readonly name: ChunkName
  readonly since: number
}

export class DirectPeer {
  readonly member: string
  readonly path: ChunkPath
  readonly #options: DirectPeerOptions
  /** In their order, in which they are answered as well. */
  readonly #asks = new Map<number, Ask>()
  #timer: Timer | undefined
  /** Bytes moved, or the first one was asked for, ms. */
  #movedAt = 0
  #receivedBytes = 0
  #arrivedAt = 0
  /** Between two chunks while some were awaited, smoothed, ms. */
  #gapMs: number | undefined
  #silences = 0

  constructor(options: DirectPeerOptions) {
    this.#options = options
    this.member = options.member
    this.path = options.path
  }

  get asks(): number {
    return this.#asks.size
  }

  ask(name: ChunkName): void {
    if (this.#asks.has(name.chunk)) return
    const now = this.#options.clock.now()
    if (this.#asks.size === 0) this.#movedAt = this.#arrivedAt = now
    this.#asks.set(name.chunk, { name, since: now })
    this.path.ask(name)
    this.#watch()
  }

  /** It came. How long it took, ms; undefined when it was not asked for. */
  arrived(chunk: number): number | undefined {
    const ask = this.#take(chunk)
    if (ask === undefined) return undefined
    const now = this.#options.clock.now()
    const gap = now - this.#arrivedAt
    this.#gapMs = this.#gapMs === undefined ? gap : this.#gapMs + (gap - this.#gapMs) * gapWeight
    this.#arrivedAt = this.#movedAt = now
    this.#silences = 0
    return now - ask.since
  }

  /** It does not give this one. True when it was awaited. */
  refused(chunk: number): boolean {
    if (this.#take(chunk) === undefined) return false
    this.#movedAt = this.#options.clock.now()
    this.#silences = 0
    return true
  }

  /** Nobody needs it any more. */
  cancel(chunk: number): void {
    const ask = this.#take(chunk)
    if (ask !== undefined) this.path.cancel(ask.name)
  }

  /** Waits for nothing more: the path is gone, or another version is worked on. What was awaited. */
  forget(): ChunkName[] {
    const names = [...this.#asks.values()].map(({ name }) => name)
    this.#asks.clear()
    this.#rest()
    return names
  }

  #take(chunk: number): Ask | undefined {
    const ask = this.#asks.get(chunk)
    this.#asks.delete(chunk)
    this.#rest()
    return ask
  }

  #rest(): void {
    if (this.#asks.size > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #watch(): void {
    this.#timer ??= this.#options.clock.after(lookMs, () => {
      this.#timer = undefined
      this.#look()
      if (this.#asks.size > 0) this.#watch()
    })
  }

  #look(): void {
    const now = this.#options.clock.now()
    const received = this.path.receivedBytes
    if (received !== this.#receivedBytes) {
      this.#receivedBytes = received
      this.#movedAt = now
    }
    if (now - this.#movedAt < this.#patienceMs) {
      for (const ask of this.#asks.values()) if (now - ask.since > mostPatienceMs) this.#giveUp(ask)
      return
    }
    // Nothing moves: what stands behind the first one is no better.
    for (const ask of this.#asks.values()) this.#giveUp(ask)
    this.#movedAt = now
    if (++this.#silences >= mostSilences) this.#options.silent()
  }

  get #patienceMs(): number {
    const gapMs = this.#gapMs ?? unknownGapMs
    return Math.max(leastPatienceMs, 4 * (this.path.rttMs ?? 0), 4 * gapMs)
  }

  #giveUp({ name }: Ask): void {
    this.#take(name.chunk)
    this.path.cancel(name)
    this.#options.late(name)
  }
}

const lookMs = 200
const leastPatienceMs = 1_000
/** Before a chunk has come: a limited uplink has others to serve as well. */
const unknownGapMs = 500
/** However well others come: an ask may have been lost. */
const mostPatienceMs = 20_000
const gapWeight = 0.2
const mostSilences = 2
