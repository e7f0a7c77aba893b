/**
 * A rate for each address, for as many addresses as are kept: who was not heard of for longest is forgotten first. Of IPv6,
 * where everybody has as many as they like, a network (64 bits) counts as one.
 */

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
    const place = networkOf(address)
    const bucket = this.#buckets.get(place) ?? new Bucket({ clock, perSecond, size: burst })
    this.#buckets.delete(place)
    this.#buckets.set(place, bucket)
    if (this.#buckets.size > addresses) this.#buckets.delete(this.#buckets.keys().next().value as string)
    return bucket.take(1)
  }
}

/** `[2001:db8::1]` and `2001:db8::2` are of one network; an IPv4 address is one by itself. */
function networkOf(address: string): string {
  const text = address.replace(/^\[|\]$/g, "")
  if (!text.includes(":") || text.includes(".")) return text
  const [first = "", last] = text.toLowerCase().split("::")
  const groups = first === "" ? [] : first.split(":")
  const missing = last === undefined ? 0 : 8 - groups.length - (last === "" ? 0 : last.split(":").length)
  const all = [...groups, ...Array.from({ length: Math.max(0, missing) }, () => "0"), ...(last?.split(":") ?? [])]
  return all.slice(0, 4).join(":")
}
