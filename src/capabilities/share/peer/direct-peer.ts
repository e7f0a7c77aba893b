/**
 * Another member that is reached directly, as the one who is asked: which chunks are awaited from it, and when it is too
 * late for one. The deadline follows from what was measured, the round trip and the rate, so that a slow one is not taken
 * for a dead one, and a dead one is noticed in about a second.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import type { ChunkName, ChunkPath } from "../paths/chunk-path.ts"

export interface DirectPeerOptions {
  readonly clock: Clock
  readonly member: string
  readonly path: ChunkPath
  /** It is late; it was told that nobody waits for it. */
  readonly late: (name: ChunkName) => void
  /** Several in a row were late and nothing came. */
  readonly silent: () => void
}

interface Ask {
  readonly name: ChunkName
  readonly bytes: number
  readonly since: number
  timer: Timer
  /** What had come over the path when the deadline was set. */
  receivedBytes: number
}

export class DirectPeer {
  readonly member: string
  readonly path: ChunkPath
  readonly #options: DirectPeerOptions
  readonly #asks = new Map<number, Ask>()
  #askedBytes = 0
  /** bytes/ms while something was awaited. */
  #rate: number | undefined
  #busySince = 0
  #busyBytes = 0
  #lateInRow = 0

  constructor(options: DirectPeerOptions) {
    this.#options = options
    this.member = options.member
    this.path = options.path
  }

  get asks(): number {
    return this.#asks.size
  }

  isAsked(chunk: number): boolean {
    return this.#asks.has(chunk)
  }

  ask(name: ChunkName, bytes: number): void {
    if (this.#asks.has(name.chunk)) return
    const { clock } = this.#options
    if (this.#asks.size === 0) {
      this.#busySince = clock.now()
      this.#busyBytes = 0
    }
    this.#askedBytes += bytes
    const ask: Ask = {
      name,
      bytes,
      since: clock.now(),
      timer: clock.after(this.#patienceMs(), () => this.#due(ask)),
      receivedBytes: this.path.receivedBytes,
    }
    this.#asks.set(name.chunk, ask)
    this.path.ask(name)
  }

  /** It came. How long it took, ms; undefined when it was not asked for. */
  arrived(chunk: number): number | undefined {
    const ask = this.#take(chunk)
    if (ask === undefined) return undefined
    this.#lateInRow = 0
    const now = this.#options.clock.now()
    this.#busyBytes += ask.bytes
    const elapsed = now - this.#busySince
    if (elapsed >= measureMs || (this.#asks.size === 0 && elapsed > 0)) {
      const rate = this.#busyBytes / elapsed
      this.#rate = this.#rate === undefined ? rate : (this.#rate + rate) / 2
      this.#busySince = now
      this.#busyBytes = 0
    }
    return now - ask.since
  }

  /** It does not give this one. True when it was awaited. */
  refused(chunk: number): boolean {
    const ask = this.#take(chunk)
    if (ask !== undefined) this.#lateInRow = 0
    return ask !== undefined
  }

  /** Nobody needs it any more. */
  cancel(chunk: number): void {
    const ask = this.#take(chunk)
    if (ask !== undefined) this.path.cancel(ask.name)
  }

  /** Waits for nothing more: the path is gone, or another version is worked on. What was awaited. */
  forget(): ChunkName[] {
    const names: ChunkName[] = []
    for (const ask of this.#asks.values()) {
      ask.timer.cancel()
      names.push(ask.name)
    }
    this.#asks.clear()
    this.#askedBytes = 0
    return names
  }

  #take(chunk: number): Ask | undefined {
    const ask = this.#asks.get(chunk)
    if (ask === undefined) return undefined
    ask.timer.cancel()
    this.#asks.delete(chunk)
    this.#askedBytes -= ask.bytes
    return ask
  }

  #patienceMs(): number {
    const rate = this.#rate ?? unknownRate
    const queueMs = (2 * this.#askedBytes) / Math.max(rate, leastRate)
    return Math.max(leastPatienceMs, 4 * (this.path.rttMs ?? 0) + queueMs)
  }

  #due(ask: Ask): void {
    const { clock, late, silent } = this.#options
    const received = this.path.receivedBytes
    // Bytes come: it is slower than thought, and asking elsewhere would fetch twice what is on its way.
    if (received > ask.receivedBytes && clock.now() - ask.since < mostPatienceMs) {
      const elapsed = clock.now() - this.#busySince
      if (elapsed > measureMs && this.#rate !== undefined) this.#rate = Math.max(leastRate, this.#rate / 2)
      ask.receivedBytes = received
      ask.timer = clock.after(this.#patienceMs(), () => this.#due(ask))
      return
    }
    this.#take(ask.name.chunk)
    this.path.cancel(ask.name)
    late(ask.name)
    if (++this.#lateInRow >= mostLate) silent()
  }
}

const leastPatienceMs = 1_000
/** However slowly bytes come: somebody else is asked then. */
const mostPatienceMs = 20_000
const measureMs = 50
/** Before anything is known, bytes/ms: 0.5 MB/s. */
const unknownRate = 500
const leastRate = 16
const mostLate = 4
