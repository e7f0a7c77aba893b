/**
 * Calls at planned instants, as exactly as an event loop can: a timer up to the last millisecond, then one turn of the
 * loop after the other. Timers alone are late by up to a millisecond, which would be counted as latency; the price is that
 * a generator above a few hundred messages a second keeps one core busy.
 */

/** How far before an instant turning begins: the resolution of timers, and a little, ms. */
const turningMs = 1.3
/** A turn of the loop that took no longer had nothing to do, ms. */
const emptyTurnMs = 0.03
/** The most calls in one turn, so that answers are read in between when the plan is ahead of us. */
const callsPerTurn = 256

export interface PacerOptions {
  /** The next instant, ms since the start; Infinity when there is none. */
  readonly next: () => number
  readonly nowMs: () => number
  /** An instant has come. */
  readonly fire: (plannedMs: number, nowMs: number) => void
  /** There are no more. */
  readonly done: () => void
}

export class Pacer {
  readonly #options: PacerOptions
  #plannedMs = 0
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  /** When the last turn ended that waits for another one at once; 0: it does not. */
  #turnedMs = 0
  #turningMs = 0

  constructor(options: PacerOptions) {
    this.#options = options
  }

  /** Time spent with turning and nothing else, ms: the core was busy and could have worked. */
  get idleMs(): number {
    return this.#turningMs
  }

  /** The instant that is waited for. */
  get plannedMs(): number {
    return this.#plannedMs
  }

  start(): void {
    this.#plannedMs = this.#options.next()
    this.#turn()
  }

  /** No further calls. */
  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  readonly #turn = (): void => {
    const { next, nowMs, fire, done } = this.#options
    if (this.#stopped) return
    const startMs = nowMs()
    if (this.#turnedMs > 0 && startMs - this.#turnedMs < emptyTurnMs) this.#turningMs += startMs - this.#turnedMs
    this.#turnedMs = 0
    for (let calls = 0; calls < callsPerTurn && !this.#stopped; calls++) {
      const now = nowMs()
      if (this.#plannedMs > now) break
      fire(this.#plannedMs, now)
      this.#plannedMs = next()
    }
    if (this.#stopped) return
    if (this.#plannedMs === Infinity) {
      done()
      return
    }
    const endMs = nowMs()
    const waitMs = this.#plannedMs - endMs
    if (waitMs <= turningMs) {
      this.#turnedMs = endMs
      setImmediate(this.#turn)
    }
    // A timer never waits longer than 2^31 ms; it is set again then.
    else this.#timer = setTimeout(this.#turn, Math.min(waitMs - turningMs, 2 ** 30))
  }
}
