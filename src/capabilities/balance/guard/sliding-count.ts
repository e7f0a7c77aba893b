/** Two counts over the last while, in memory that does not grow with what is counted. Old events leave in tenths of it. */

import type { Clock } from "../../../base/clock.ts"

const slots = 10

export class SlidingCount {
  readonly #clock: Clock
  readonly #all: number[] = Array.from({ length: slots }, () => 0)
  readonly #some: number[] = Array.from({ length: slots }, () => 0)
  #windowMs: number
  /** Number of the slot that is filled, counted from the clock's zero. */
  #slot = -1
  #sumAll = 0
  #sumSome = 0

  constructor(clock: Clock, windowMs: number) {
    this.#clock = clock
    this.#windowMs = windowMs
  }

  /** Another window begins empty. */
  set windowMs(windowMs: number) {
    if (windowMs === this.#windowMs) return
    this.#windowMs = windowMs
    this.clear()
  }

  addToAll(): void {
    this.#move()
    const at = this.#slot % slots
    this.#all[at] = (this.#all[at] as number) + 1
    this.#sumAll++
  }

  addToSome(): void {
    this.#move()
    const at = this.#slot % slots
    this.#some[at] = (this.#some[at] as number) + 1
    this.#sumSome++
  }

  get all(): number {
    this.#move()
    return this.#sumAll
  }

  get some(): number {
    this.#move()
    return this.#sumSome
  }

  clear(): void {
    this.#all.fill(0)
    this.#some.fill(0)
    this.#sumAll = 0
    this.#sumSome = 0
    this.#slot = -1
  }

  /** Empties the slots whose time is over. */
  #move(): void {
    const slot = Math.floor((this.#clock.now() * slots) / this.#windowMs)
    if (slot - this.#slot >= slots || this.#slot < 0) {
      this.clear()
      this.#slot = slot
      return
    }
    while (this.#slot < slot) {
      this.#slot++
      const at = this.#slot % slots
      this.#sumAll -= this.#all[at] as number
      this.#sumSome -= this.#some[at] as number
      this.#all[at] = 0
      this.#some[at] = 0
    }
  }
}
