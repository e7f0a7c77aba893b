/** A rate for each address, for as many addresses as are kept: who was not heard of for longest is forgotten first. */

import { Bucket } from "../../../base/bucket.ts"
import type { Clock } from "../../../base/clock.ts"

export interface AddressBucketsOptions {
  readonly clock: Clock
  readonly perSecond: number
  /** At once. */
  readonly burst: number
  /** Addresses that are remembered; about 200 bytes each. */
  readonly addresses: number
}

export class AddressBuckets {
  readonly #options: AddressBucketsOptions
  readonly #buckets: Map<string, Bucket> = new Map()

  constructor(options: AddressBucketsOptions) {
    this.#options = options
  }

  /** Takes one; false when this address has had its share. */
  take(address: string): boolean {
    const { clock, perSecond, burst, addresses } = this.#options
    const bucket = this.#buckets.get(address) ?? new Bucket({ clock, perSecond, size: burst })
    this.#buckets.delete(address)
    this.#buckets.set(address, bucket)
    if (this.#buckets.size > addresses) this.#buckets.delete(this.#buckets.keys().next().value as string)
    return bucket.take(1)
  }
}
