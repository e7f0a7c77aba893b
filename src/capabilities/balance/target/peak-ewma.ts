/**
 * A latency that remembers its peaks: a sample above the mean counts at once, those below it lower the mean with time only.
 * The way of Finagle's Peak EWMA: a target that stalls once is avoided before its average would show it.
 */

import type { Clock } from "../../../base/clock.ts"

/** How fast what was is forgotten: to 1/e within this, ms. */
const decayMs = 10_000

export class PeakEwma {
  readonly #clock: Clock
  #value: number | undefined
  #at = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** ms. */
  add(sample: number): void {
    const now = this.#clock.now()
    const before = this.#value
    if (before === undefined || sample > before) this.#value = sample
    else {
      const kept = Math.exp(-(now - this.#at) / decayMs)
      this.#value = before * kept + sample * (1 - kept)
    }
    this.#at = now
  }

  /** ms; undefined without a sample so far. */
  get value(): number | undefined {
    return this.#value
  }

  /**
   * What is left of it above `floor` when time passes without a sample, ms. Who chooses by latency does not ask the slow
   * one again, and so would never learn that it has become fast.
   */
  forgiven(floor: number): number {
    const value = this.#value
    if (value === undefined || value <= floor) return floor
    return floor + (value - floor) * Math.exp(-(this.#clock.now() - this.#at) / decayMs)
  }
}
