/**
 * How much may be under way to a member: what comes in during the time between an assignment and its arrival, twice. Less
 * leaves the network idle, more is memory and chunks that another member could have had first. The shortest of the recent
 * times counts: the mean contains the wait behind the window itself, and a window that follows it only grows.
 *
 * What other members give waits in their uplinks before it comes, whatever the round trip: the relay keeps a sixth of a
 * second of work before each of them. A window that has no room for that is full of what a few busy members will give, and
 * all others rest.
 */

import type { Clock } from "../../../base/clock.ts"

export const leastWindowBytes: number = 1024 * 1024
export const firstWindowBytes: number = 4 * 1024 * 1024
export const mostWindowBytes: number = 32 * 1024 * 1024

export class Window {
  readonly #clock: Clock
  #bytes = firstWindowBytes
  /** bytes/ms. */
  #rate = 0
  #arrived = 0
  /** Of these, from other members. */
  #arrivedDirectly = 0
  #since: number
  /** The shortest delay of this period and of the one before, ms. */
  #shortest = Infinity
  #shortestBefore = Infinity
  #periodSince: number
  #backlog = 0
  #isBehind = false

  constructor(clock: Clock) {
    this.#clock = clock
    this.#since = clock.now()
    this.#periodSince = this.#since
  }

  /** What to grant now, bytes; 0 while the disk is behind. */
  get bytes(): number {
    return this.#isBehind ? 0 : this.#bytes
  }

  /** Bytes that arrived and are not yet stored. */
  set backlog(bytes: number) {
    this.#backlog = bytes
    if (this.#isBehind) this.#isBehind = bytes > mostBacklogBytes / 2
    else this.#isBehind = bytes > mostBacklogBytes
  }

  get backlog(): number {
    return this.#backlog
  }

  /** A chunk came. `delayMs`: since it was assigned, or the round trip of its path; undefined when nobody knows. True: `bytes` changed by enough to say so. */
  arrived(bytes: number, delayMs: number | undefined, way: "relay" | "direct" = "relay"): boolean {
    const now = this.#clock.now()
    if (delayMs !== undefined) this.#shortest = Math.min(this.#shortest, delayMs)
    this.#arrived += bytes
    if (way === "direct") this.#arrivedDirectly += bytes
    const elapsed = now - this.#since
    if (elapsed < measureMs) return false
    const rate = this.#arrived / elapsed
    // What came before a long pause says nothing about the rate.
    this.#rate =
      elapsed > 4 * measureMs ? Math.max(rate, this.#rate / 2) : this.#rate === 0 ? rate : (this.#rate + rate) / 2
    const isDirect = this.#arrivedDirectly > this.#arrived / 2
    this.#arrived = 0
    this.#arrivedDirectly = 0
    this.#since = now
    if (now - this.#periodSince >= periodMs) {
      this.#shortestBefore = this.#shortest
      this.#shortest = Infinity
      this.#periodSince = now
    }
    return this.#adapt(isDirect ? leastDirectMs : leastDelayMs)
  }

  #adapt(leastMs: number): boolean {
    const shortest = Math.min(this.#shortest, this.#shortestBefore)
    const delayMs = Math.max(leastMs, shortest === Infinity ? unknownDelayMs : shortest)
    const wanted = Math.min(mostWindowBytes, Math.max(leastWindowBytes, this.#rate * delayMs * 2))
    if (Math.abs(wanted - this.#bytes) < this.#bytes / 4) return false
    this.#bytes = Math.round(wanted > this.#bytes ? Math.min(wanted, this.#bytes * 2) : (wanted + this.#bytes) / 2)
    return true
  }
}

const measureMs = 200
const periodMs = 5_000
/** An assignment waits for a batch of `have` and for the relay's turn. */
const leastDelayMs = 30
/** And the wait before the uplink that gives it (`swarm/load.ts`). */
const leastDirectMs = 200
const unknownDelayMs = 100
/** Waits for the disk; above it nothing new is asked for. */
const mostBacklogBytes = 16 * 1024 * 1024
