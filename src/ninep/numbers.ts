/** Tags and fids: small numbers that are taken and given back, never more than a limit at once. */

export class Numbers {
  readonly #limit: number
  readonly #free: number[] = []
  #next = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** How many are taken. */
  get taken(): number {
    return this.#next - this.#free.length
  }

  /** Undefined when all are taken. `beyond` allows more than the limit, for what has to be possible all the same. */
  take(beyond = 0): number | undefined {
    if (this.taken >= this.#limit + beyond) return undefined
    return this.#free.pop() ?? this.#next++
  }

  give(number: number): void {
    this.#free.push(number)
  }
}
