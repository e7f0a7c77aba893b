/** Time that stands still until a test moves it. Timers fire in order, each at its own moment. */

import type { Clock, Timer } from "../../src/base/clock.ts"

interface Due {
  readonly at: number
  readonly callback: () => void
}

export class FakeClock implements Clock {
  #now: number
  readonly #startWall: number
  #due: Due[] = []

  /** Monotonic time begins above 0, so that "never" and "at the start" are not the same number. */
  constructor(startMs: number = 1000, wallMs: number = Date.UTC(2025, 0, 1)) {
    this.#now = startMs
    this.#startWall = wallMs - startMs
  }

  /** Timers that did not fire and were not cancelled: 0 at a test's end means that nothing leaks. */
  get pending(): number {
    return this.#due.length
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#startWall + this.#now
  }

  after(delayMs: number, callback: () => void): Timer {
    // A delay is never lost to rounding: who waits for the rest of a moment would wait for ever.
    const due: Due = { at: this.#now + (delayMs > 0 ? Math.max(delayMs, 0.001) : 0), callback }
    // Stable: of two timers for one moment, the older one fires first.
    let at = this.#due.length
    while (at > 0 && (this.#due[at - 1] as Due).at > due.at) at--
    this.#due.splice(at, 0, due)
    return {
      cancel: () => {
        const index = this.#due.indexOf(due)
        if (index >= 0) this.#due.splice(index, 1)
      },
    }
  }

  /** Moves time step by step and fires what falls due; what a callback sets up for the same span fires too. */
  advance(ms: number): void {
    const until = this.#now + ms
    for (let next = this.#due[0]; next !== undefined && next.at <= until; next = this.#due[0]) {
      this.#due.shift()
      this.#now = Math.max(this.#now, next.at)
      next.callback()
    }
    this.#now = until
  }

  /** Like `advance`, but lets promises and immediates run after each timer, as a real loop does. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms
    await settle()
    for (let next = this.#due[0]; next !== undefined && next.at <= until; next = this.#due[0]) {
      this.#due.shift()
      this.#now = Math.max(this.#now, next.at)
      next.callback()
      await settle()
    }
    this.#now = until
  }

  /** The process stood still: time has gone on, and every overdue timer fires late, at the new time. */
  freeze(ms: number): void {
    this.#now += ms
    const overdue = this.#due.filter(({ at }) => at <= this.#now)
    this.#due = this.#due.filter(({ at }) => at > this.#now)
    for (const { callback } of overdue) callback()
  }
}

/** Lets everything run that needs no time: microtasks and immediates that set each other up. */
export async function settle(turns: number = 4): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
}
