/**
 * Whose turn it is among the addresses of a name. One that took no connection is left out for a while, longer each time when
 * it fails again as soon as it is back; when all are left out, the one whose time is over first is tried.
 */

import type { Clock } from "../../../base/clock.ts"

const firstPenaltyMs = 5000
const longestPenaltyMs = 60_000

interface Failure {
  /** Clock time. */
  readonly until: number
  readonly ms: number
}

export class Turns {
  readonly #clock: Clock
  /** Of present addresses only. */
  readonly #failures = new Map<string, Failure>()
  #list: readonly string[] = []
  #turn = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  next(addresses: readonly string[]): string | undefined {
    this.#follow(addresses)
    const count = addresses.length
    if (count === 0) return undefined
    if (this.#failures.size === 0) return addresses[this.#turn++ % count]
    const now = this.#clock.now()
    let best: string | undefined
    let soonest = Infinity
    for (let step = 0; step < count; step++) {
      const address = addresses[(this.#turn + step) % count] as string
      const until = this.#failures.get(address)?.until ?? 0
      if (until <= now) {
        this.#turn += step + 1
        return address
      }
      if (until < soonest) [best, soonest] = [address, until]
    }
    return best
  }

  failed(address: string, addresses: readonly string[]): void {
    this.#follow(addresses)
    if (!addresses.includes(address)) return
    const now = this.#clock.now()
    const before = this.#failures.get(address)
    // Dials that were under way together are one failure; when all are left out, the one that was tried goes to the end.
    const ms =
      before === undefined || before.until + before.ms < now
        ? firstPenaltyMs
        : before.until > now
          ? before.ms
          : Math.min(longestPenaltyMs, before.ms * 2)
    this.#failures.set(address, { until: now + ms, ms })
  }

  allFailed(addresses: readonly string[]): boolean {
    const now = this.#clock.now()
    return addresses.every((address) => (this.#failures.get(address)?.until ?? 0) > now)
  }

  /** Forgets those that are gone. */
  #follow(addresses: readonly string[]): void {
    if (addresses === this.#list) return
    this.#list = addresses
    for (const address of this.#failures.keys()) if (!addresses.includes(address)) this.#failures.delete(address)
  }
}
