/**
 * The receiving half of flow control, as arithmetic. Credit goes back when the application has consumed bytes. A window
 * that is emptied within two round trips was too small for bandwidth × delay and doubles, as long as the session's sum has room.
 */

/** What all streams of a session may have unread here. */
export class WindowBudget {
  readonly #capBytes: number
  #granted = 0

  constructor(capBytes: number) {
    this.#capBytes = capBytes
  }

  get granted(): number {
    return this.#granted
  }

  /** Takes up to `wanted` bytes, at least `least` even when the cap is reached: a stream must be able to move. */
  take(wanted: number, least: number): number {
    // No single stream gets more than a quarter of what is left: late streams find room.
    const room = Math.max(0, this.#capBytes - this.#granted) >> 2
    const taken = Math.max(least, Math.min(wanted, room))
    this.#granted += taken
    return taken
  }

  give(bytes: number): void {
    this.#granted -= bytes
  }
}

export class ReceiveWindow {
  readonly #budget: WindowBudget
  readonly #maxBytes: number
  #window: number
  /** Bytes that the peer may still send. */
  #open: number
  /** Consumed bytes for which no credit has been given yet. */
  #owed = 0
  #epochAt: number

  /** `window` is already taken from the budget. */
  constructor(window: number, maxBytes: number, budget: WindowBudget, nowMs: number) {
    this.#window = window
    this.#open = window
    this.#maxBytes = maxBytes
    this.#budget = budget
    this.#epochAt = nowMs
  }

  get window(): number {
    return this.#window
  }

  /** False when the peer sent more than it was allowed. */
  received(bytes: number): boolean {
    this.#open -= bytes
    return this.#open >= 0
  }

  /** The application is done with bytes. False while they are only saved up: then `consumed` would give nothing. */
  saved(bytes: number): boolean {
    this.#owed += bytes
    return this.#owed * 2 >= this.#window
  }

  /** The application is done with bytes. Returns the credit to send now, mostly 0: it is saved up to half a window. */
  consumed(bytes: number, nowMs: number, rttMs: number): number {
    this.#owed += bytes
    if (this.#owed * 2 < this.#window) return 0
    if (this.#window < this.#maxBytes && nowMs - this.#epochAt < 2 * rttMs) {
      const more = this.#budget.take(Math.min(this.#window, this.#maxBytes - this.#window), 0)
      this.#window += more
      this.#owed += more
    }
    this.#epochAt = nowMs
    const credit = this.#owed
    this.#owed = 0
    this.#open += credit
    return credit
  }

  /** Raises a small first window as soon as the stream is seen to carry a body. Returns the credit to send. */
  raise(target: number): number {
    if (target <= this.#window) return 0
    const more = this.#budget.take(target - this.#window, 0)
    this.#window += more
    this.#open += more
    return more
  }

  release(): void {
    this.#budget.give(this.#window)
    this.#window = 0
  }
}
