/**
 * How many connections should stand ready at a target. At least as many as the settings say; each client that finds none
 * makes it one more, up to a multiple of that. What was never needed during a while is given back by halves, so that one
 * quiet moment does not undo what a busy day has taught.
 */

/** So many times the least. */
const mostTimes = 4
/** Need is measured over so long, ms. */
const windowMs = 5_000

export class WarmSize {
  #least: number
  #wanted: number
  /** The fewest that were left after a client had taken one in this window; undefined: nobody came. */
  #lowest: number | undefined
  #since: number

  constructor(least: number, now: number) {
    this.#least = least
    this.#wanted = least
    this.#since = now
  }

  get wanted(): number {
    return this.#wanted
  }

  /** Another setting; what was learnt stays as far as it fits. */
  set least(least: number) {
    const learnt = this.#wanted - this.#least
    this.#least = least
    this.#wanted = Math.min(least + learnt, least * mostTimes)
  }

  /** A client has taken one, and so many are left. */
  taken(left: number): void {
    this.#lowest = Math.min(this.#lowest ?? Infinity, left)
  }

  /** A client came, and there was none. */
  missed(): void {
    this.#lowest = 0
    this.#wanted = Math.min(this.#wanted + 1, this.#least * mostTimes)
  }

  /** To be called now and then: gives back what was not needed. */
  look(now: number): void {
    if (now - this.#since < windowMs) return
    const spare = Math.ceil(Math.min(this.#lowest ?? Infinity, this.#wanted) / 2)
    this.#wanted = Math.max(this.#least, this.#wanted - spare)
    this.#lowest = undefined
    this.#since = now
  }
}
