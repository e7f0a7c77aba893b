/**
 * Slows down who tries codes: wrong ones of an address add up and are forgiven with time. The list is bounded; a flood of
 * addresses makes it forget the oldest.
 */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"

export interface GuessesOptions {
  readonly clock: Clock
  /** Wrong codes at once. */
  readonly burst: number
  /** One of them counts for so long, ms. */
  readonly forgiveMs: number
}

export class Guesses {
  readonly #options: GuessesOptions
  /** When all wrong ones of an address are forgiven, ms. */
  readonly #until: Map<string, number> = new Map()

  constructor(options: GuessesOptions) {
    this.#options = options
  }

  /** Throws `rate_limited`. */
  check(address: string): void {
    const { clock, burst, forgiveMs } = this.#options
    const waitMs = (this.#until.get(address) ?? 0) - clock.now() - (burst - 1) * forgiveMs
    if (waitMs <= 0) return
    throw new RdvError("rate_limited", `Too many wrong codes from your address: wait ${Math.ceil(waitMs / 1000)} s`)
  }

  wrong(address: string): void {
    const now = this.#options.clock.now()
    const until = Math.max(now, this.#until.get(address) ?? 0) + this.#options.forgiveMs
    this.#until.delete(address)
    this.#until.set(address, until)
    if (this.#until.size <= rememberedAddresses) return
    const [oldest] = this.#until.keys()
    if (oldest !== undefined) this.#until.delete(oldest)
  }
}

/** About 100 bytes each. */
const rememberedAddresses = 10_000
