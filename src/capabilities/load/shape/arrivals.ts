/**
 * The exact instants at which messages start: the rate is integrated over time, and message k starts where the integral
 * reaches k. For Poisson arrivals the steps between are exponentially distributed instead of 1, which makes it a Poisson
 * process of the same rate (the time-change theorem).
 */

import type { SeededRandom } from "../../../base/random.ts"
import type { Phase } from "../scenario/scenario.ts"
import { pieces } from "./pieces.ts"
import type { Piece } from "./pieces.ts"
import type { Share } from "./share.ts"

export interface ArrivalOptions {
  readonly phases: readonly Phase[]
  /** Per second, whatever the phases say. */
  readonly maxRate?: number
  /** Poisson when given, else even. */
  readonly random?: SeededRandom
  /** This one of so many generators, which together follow the plan. */
  readonly share?: Share
}

export class Arrivals {
  readonly #pieces: Iterator<Piece>
  readonly #random: SeededRandom | undefined
  readonly #of: number
  readonly #gapMs: number
  #piece: Piece | undefined
  /** The integral at the piece's start, and where the next message stands in it. */
  #total = 0
  #next: number
  #instant: number
  /** Of a replay: which instant is next, in the piece and for this generator. */
  #at = 0
  #lastMs = -Infinity

  constructor(options: ArrivalOptions) {
    const { phases, maxRate = Infinity, random, share = { index: 0, of: 1 } } = options
    this.#pieces = pieces(phases, maxRate)
    this.#random = random
    this.#of = share.of
    this.#gapMs = (1000 / maxRate) * share.of
    // Each generator of a Poisson process has its own share of the rate, of an even plan every n-th message.
    this.#next = random === undefined ? share.index : random.exponential() * share.of
    this.#instant = share.index
    this.#advance()
  }

  /** ms since the start of the run; Infinity when there are no more. */
  next(): number {
    for (let piece = this.#piece; piece !== undefined; piece = this.#advance()) {
      const atMs = piece.instants === undefined ? this.#reached(piece) : this.#replayed(piece.instants)
      if (atMs !== undefined) return atMs
    }
    return Infinity
  }

  /** Where the integral reaches the next message; undefined when not in this piece. */
  #reached(piece: Piece): number | undefined {
    const missing = this.#next - this.#total
    const lengthMs = piece.toMs - piece.fromMs
    // Rounding must not add a message at the very end.
    if (missing > count(piece) - 1e-9) return undefined
    const from = piece.from / 1000
    const slope = piece.from === piece.to ? 0 : (piece.to - piece.from) / 1000 / lengthMs
    // from·t + slope·t²/2 = missing, in the form that loses no digits when the slope is small.
    const root = Math.sqrt(Math.max(0, from * from + 2 * slope * missing))
    this.#next += this.#random === undefined ? this.#of : this.#random.exponential() * this.#of
    return piece.fromMs + (missing <= 0 ? 0 : Math.min(lengthMs, (2 * missing) / (from + root)))
  }

  #replayed(instants: readonly number[]): number | undefined {
    if (this.#at + this.#instant >= instants.length) {
      this.#instant -= instants.length - this.#at
      return undefined
    }
    this.#at += this.#instant
    const atMs = Math.max(instants[this.#at] as number, this.#lastMs + this.#gapMs)
    this.#instant = this.#of
    this.#lastMs = atMs
    return atMs
  }

  #advance(): Piece | undefined {
    if (this.#piece !== undefined && this.#piece.instants === undefined) this.#total += count(this.#piece)
    this.#at = 0
    const { value, done } = this.#pieces.next()
    this.#piece = done === true ? undefined : value
    return this.#piece
  }
}

/** Messages in the piece. */
function count({ from, to, fromMs, toMs }: Piece): number {
  return from + to === 0 ? 0 : ((from + to) / 2000) * (toMs - fromMs)
}
