/** A bounded queue of numbers that allocates only while it grows. */

export class NumberRing {
  readonly #most: number
  #values: Float64Array = new Float64Array(64)
  #first = 0
  #length = 0

  constructor(most: number) {
    this.#most = most
  }

  get length(): number {
    return this.#length
  }

  /** False when it is full. */
  push(value: number): boolean {
    if (this.#length >= this.#most) return false
    const size = this.#values.length
    if (this.#length === size) this.#grow()
    this.#values[(this.#first + this.#length) % this.#values.length] = value
    this.#length++
    return true
  }

  shift(): number | undefined {
    if (this.#length === 0) return undefined
    const value = this.#values[this.#first] as number
    this.#first = (this.#first + 1) % this.#values.length
    this.#length--
    return value
  }

  #grow(): void {
    const grown = new Float64Array(Math.min(this.#most, this.#values.length * 2))
    for (let at = 0; at < this.#length; at++)
      grown[at] = this.#values[(this.#first + at) % this.#values.length] as number
    this.#values = grown
    this.#first = 0
  }
}
