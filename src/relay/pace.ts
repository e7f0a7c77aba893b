/**
 * One rate that many streams share: who finds it used up waits in line, and each in turn moves a piece. Nothing is lost;
 * whoever waits stops reading, and that is felt back to the sender.
 */

import { Bucket } from "../base/bucket.ts"
import type { Clock } from "../base/clock.ts"
import { Fifo } from "../base/fifo.ts"

/** One direction of a stream that waits. */
export interface Waiting {
  /** Moves up to `most` bytes and spends them. True when more waits: then it is in line again. */
  turn(most: number): boolean
}

/** A turn moves no more, so that a small answer does not wait behind large ones. */
const pieceBytes = 16 * 1024
/** Many small waits cost more than a longer one, ms. */
const leastWaitMs = 4
/** Timers of more than 24 days end at once: a longer debt is looked at again, ms. */
const mostWaitMs = 60_000

export class Pace {
  readonly #clock: Clock
  readonly #bucket: Bucket
  /** Each is in it once; who has nothing left when its turn comes leaves it. */
  readonly #line: Fifo<Waiting> = new Fifo()
  readonly #pieceBytes: number
  #sleeps = false

  constructor(clock: Clock, bytesPerSecond: number) {
    this.#clock = clock
    this.#bucket = new Bucket({ clock, perSecond: bytesPerSecond })
    // At a slow rate something still moves each second.
    this.#pieceBytes = Math.min(pieceBytes, bytesPerSecond)
  }

  /** Something may move now, and nobody waits for that. */
  get open(): boolean {
    return this.#line.length === 0 && this.#bucket.level > 0
  }

  /** How long nothing may move because of what has moved already, ms. */
  get debtMs(): number {
    return this.#bucket.waitMs(1)
  }

  /** Counts what has moved. */
  spend(bytes: number): void {
    this.#bucket.spend(bytes)
  }

  /** Puts it into the line, in which it is not yet. */
  wait(waiting: Waiting): void {
    this.#line.push(waiting)
    this.#sleep()
  }

  #sleep(): void {
    if (this.#sleeps || this.#line.length === 0) return
    this.#sleeps = true
    this.#clock.after(Math.min(Math.max(leastWaitMs, this.debtMs), mostWaitMs), () => {
      this.#sleeps = false
      while (this.#line.length > 0 && this.#bucket.level > 0) {
        const first = this.#line.shift() as Waiting
        if (first.turn(this.#pieceBytes)) this.#line.push(first)
      }
      this.#sleep()
    })
  }
}
