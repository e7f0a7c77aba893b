/** How fast chunks leave the relay: rates that all members of a swarm share, and all swarms of an owner. */

import type { Bucket } from "../../../base/bucket.ts"
import type { Clock } from "../../../base/clock.ts"
import { Fifo } from "../../../base/fifo.ts"

export class Egress {
  readonly #clock: Clock
  readonly #buckets: readonly Bucket[]
  /** Each member is in it once, and sends one chunk when it is its turn. */
  readonly #line: Fifo<() => void> = new Fifo()
  #sleeps = false

  constructor(clock: Clock, buckets: readonly Bucket[]) {
    this.#clock = clock
    this.#buckets = buckets
  }

  /** Something may leave now, and nobody waits for that. */
  get isOpen(): boolean {
    return this.#line.length === 0 && this.#hasRoom
  }

  spend(bytes: number): void {
    for (const bucket of this.#buckets) bucket.spend(bytes)
  }

  /** Calls back when it is the caller's turn; `isOpen` is not to be asked then. */
  wait(turn: () => void): void {
    this.#line.push(turn)
    this.#sleep()
  }

  get #hasRoom(): boolean {
    for (const bucket of this.#buckets) if (bucket.level <= 0) return false
    return true
  }

  #sleep(): void {
    if (this.#sleeps || this.#line.length === 0) return
    this.#sleeps = true
    let waitMs = leastWaitMs
    for (const bucket of this.#buckets) waitMs = Math.max(waitMs, Math.min(mostWaitMs, bucket.waitMs(1)))
    this.#clock.after(waitMs, () => {
      this.#sleeps = false
      while (this.#line.length > 0 && this.#hasRoom) this.#line.shift()?.()
      this.#sleep()
    })
  }
}

const leastWaitMs = 4
/** Timers of more than 24 days end at once: a longer debt is looked at again. */
const mostWaitMs = 60_000
