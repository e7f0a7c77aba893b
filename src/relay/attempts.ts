/**
 * Slows down who guesses tokens: failures per address fill a bucket that empties with time. The table is bounded; when it
 * is full the oldest address is forgotten, so that a flood of addresses costs memory for none of them.
 */

import type { Clock } from "../base/clock.ts"

export interface AttemptsOptions {
  readonly clock: Clock
  /** Failures that an address may have at once. */
  readonly burst: number
  /** One failure is forgiven after so long, ms. */
  readonly forgiveMs: number
  /** Addresses that are remembered. */
  readonly addresses: number
}

interface Bucket {
  failures: number
  at: number
}

export class Attempts {
  readonly #options: AttemptsOptions
  readonly #buckets: Map<string, Bucket> = new Map()

  constructor(options: AttemptsOptions) {
    this.#options = options
  }

  /** How long the address must wait before it may try, ms; 0 now. */
  waitMs(address: string): number {
    const bucket = this.#buckets.get(address)
    if (bucket === undefined) return 0
    const left = this.#level(bucket) - this.#options.burst + 1
    return left <= 0 ? 0 : Math.ceil(left * this.#options.forgiveMs)
  }

  failed(address: string): void {
    const bucket = this.#buckets.get(address) ?? { failures: 0, at: 0 }
    bucket.failures = this.#level(bucket) + 1
    bucket.at = this.#options.clock.now()
    this.#buckets.delete(address)
    this.#buckets.set(address, bucket)
    if (this.#buckets.size > this.#options.addresses) {
      const oldest = this.#buckets.keys().next().value
      if (oldest !== undefined) this.#buckets.delete(oldest)
    }
  }

  succeeded(address: string): void {
    this.#buckets.delete(address)
  }

  #level(bucket: Bucket): number {
    return Math.max(0, bucket.failures - (this.#options.clock.now() - bucket.at) / this.#options.forgiveMs)
  }
}
