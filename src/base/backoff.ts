/**
 * Delays between attempts: exponential with full jitter, so that a thousand agents that lost the same relay do not
 * return in one wave (AWS Architecture Blog, "Exponential Backoff And Jitter").
 */

export interface BackoffOptions {
  /** The first delay's upper bound, ms. */
  readonly firstMs: number
  /** No delay is longer, ms. */
  readonly maxMs: number
  /** A number in [0, 1). Default `Math.random`. */
  readonly random?: () => number
}

export class Backoff {
  readonly #options: BackoffOptions
  #attempt = 0

  constructor(options: BackoffOptions) {
    this.#options = options
  }

  /** The delay before the next attempt, ms: uniform in the upper half of the current bound. */
  next(): number {
    const bound = Math.min(this.#options.maxMs, this.#options.firstMs * 2 ** this.#attempt)
    this.#attempt = Math.min(this.#attempt + 1, 30)
    return bound / 2 + ((this.#options.random ?? Math.random)() * bound) / 2
  }

  /** After a success: the next delay is short again. */
  reset(): void {
    this.#attempt = 0
  }
}
