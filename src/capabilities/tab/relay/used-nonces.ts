/**
 * Nonces of proofs that let somebody in: none lets anybody in twice. They are kept in two generations, so that forgetting
 * costs nothing; each is kept for at least as long as its proof is of this time.
 */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"

export interface UsedNoncesOptions {
  readonly clock: Clock
  /** For so long at least, ms. */
  readonly keepMs: number
  /** Of both generations together. */
  readonly most: number
}

export class UsedNonces {
  readonly #options: UsedNoncesOptions
  #young: Set<string> = new Set()
  #old: Set<string> = new Set()
  #turnedAt: number

  constructor(options: UsedNoncesOptions) {
    this.#options = options
    this.#turnedAt = options.clock.now()
  }

  has(nonce: string): boolean {
    this.#turn()
    return this.#young.has(nonce) || this.#old.has(nonce)
  }

  /** Throws `rate_limited` when there is no room: forgetting one would let somebody in who is not meant. */
  add(nonce: string): void {
    this.#turn()
    if (this.#young.size + this.#old.size >= this.#options.most) {
      throw new RdvError("rate_limited", "Too many came with proofs within a few minutes: wait")
    }
    this.#young.add(nonce)
  }

  #turn(): void {
    const { clock, keepMs } = this.#options
    const age = clock.now() - this.#turnedAt
    if (age < keepMs) return
    this.#old = age < 2 * keepMs ? this.#young : new Set()
    this.#young = new Set()
    this.#turnedAt = clock.now()
  }
}
