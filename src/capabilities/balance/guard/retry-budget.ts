/**
 * How many retries are good for an app as a whole. When one target of many fails, each of its dials may be retried; when all
 * fail, retries would only multiply the load on what is left. So they are at most a share of the dials of the last ten
 * seconds, and a few per second in any case, so that an app with little traffic has retries too.
 */

import { Bucket } from "../../../base/bucket.ts"
import type { Clock } from "../../../base/clock.ts"
import type { RetrySettings } from "../config/settings.ts"
import { SlidingCount } from "./sliding-count.ts"

const windowMs = 10_000
const alwaysPerSecond = 10

export interface RetryBudgetOptions {
  readonly settings: () => RetrySettings
  readonly clock: Clock
}

export class RetryBudget {
  readonly #options: RetryBudgetOptions
  /** Connections' first dials, and retries. */
  readonly #count: SlidingCount
  readonly #always: Bucket

  constructor(options: RetryBudgetOptions) {
    this.#options = options
    this.#count = new SlidingCount(options.clock, windowMs)
    this.#always = new Bucket({ clock: options.clock, perSecond: alwaysPerSecond })
  }

  /** A connection makes its first dial. */
  dialled(): void {
    this.#count.addToAll()
  }

  /** Takes one retry, or says that there is none. How often one connection retries is the caller's to count. */
  take(): boolean {
    const { budget } = this.#options.settings()
    if (budget === undefined) return true
    const withinShare = this.#count.some + 1 <= budget * this.#count.all
    // The share uses up what is always allowed too: the two are not added.
    if (!this.#always.take(1) && !withinShare) return false
    this.#count.addToSome()
    return true
  }
}
