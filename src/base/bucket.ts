/**
 * A rate that allows bursts, as arithmetic: the bucket fills with time up to its size. Who asks for more than it holds is
 * refused, or takes it all the same and leaves a debt that time pays: then nothing more is there until it is paid.
 */

import type { Clock } from "./clock.ts"

export interface BucketOptions {
  readonly clock: Clock
  /** How fast it fills. */
  readonly perSecond: number
  /** What it holds at most, and at first. Default: what one second brings. */
  readonly size?: number
}

/** What sums of fractions may be off. */
const rounding = 1e-6

export class Bucket {
  readonly perSecond: number
  readonly #clock: Clock
  readonly #size: number
  #level: number
  #at: number

  constructor({ clock, perSecond, size = perSecond }: BucketOptions) {
    this.perSecond = perSecond
    this.#clock = clock
    this.#size = size
    this.#level = size
    this.#at = clock.now()
  }

  /** What is there now; below 0 is a debt. */
  get level(): number {
    const now = this.#clock.now()
    this.#level = Math.min(this.#size, this.#level + ((now - this.#at) * this.perSecond) / 1000)
    this.#at = now
    return this.#level
  }

  /** Takes all of it or nothing; false when there is less. */
  take(amount: number): boolean {
    if (this.level + rounding < amount) return false
    this.#level -= amount
    return true
  }

  /** Takes it in any case. */
  spend(amount: number): void {
    this.#level = this.level - amount
  }

  /** When so much will be there, ms from now; 0 when it is. More than its size is never there. */
  waitMs(amount: number): number {
    if (amount > this.#size) return Infinity
    return (Math.max(0, amount - this.level) * 1000) / this.perSecond
  }
}
