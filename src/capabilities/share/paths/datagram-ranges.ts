/** A set of numbers as half-open ranges in order: packets that came, bytes that are acknowledged or lost. */

export class Ranges {
  readonly #from: number[] = []
  readonly #to: number[] = []
  #size = 0

  /** How many ranges. */
  get count(): number {
    return this.#from.length
  }

  /** How many numbers. */
  get size(): number {
    return this.#size
  }

  from(at: number): number {
    return this.#from[at] as number
  }

  to(at: number): number {
    return this.#to[at] as number
  }

  has(number: number): boolean {
    const at = this.#behind(number)
    return at > 0 && (this.#to[at - 1] as number) > number
  }

  covers(from: number, to: number): boolean {
    const at = this.#behind(from)
    return at > 0 && (this.#to[at - 1] as number) >= to
  }

  /** How many of them were not there. */
  add(from: number, to: number): number {
    const last = this.#to.length - 1
    // Nearly everything comes in order.
    if (last >= 0 && this.#to[last] === from) {
      this.#to[last] = to
      this.#size += to - from
      return to - from
    }
    // The ranges `first` up to and without `behind` touch the new one.
    const behind = this.#behind(to)
    let first = behind
    let start = from
    let end = to
    let there = 0
    while (first > 0 && (this.#to[first - 1] as number) >= from) {
      first--
      start = Math.min(start, this.#from[first] as number)
      end = Math.max(end, this.#to[first] as number)
      there += (this.#to[first] as number) - (this.#from[first] as number)
    }
    this.#from.splice(first, behind - first, start)
    this.#to.splice(first, behind - first, end)
    const added = end - start - there
    this.#size += added
    return added
  }

  /** Takes up to `most` numbers that follow each other away from the front; undefined when it is empty. */
  takeFirst(most: number): { readonly from: number; readonly to: number } | undefined {
    const from = this.#from[0]
    if (from === undefined) return undefined
    const to = Math.min(this.#to[0] as number, from + most)
    if (to === this.#to[0]) this.dropFirst()
    else {
      this.#from[0] = to
      this.#size -= to - from
    }
    return { from, to }
  }

  /** Forgets the lowest range. */
  dropFirst(): void {
    const from = this.#from.shift()
    const to = this.#to.shift()
    if (from !== undefined && to !== undefined) this.#size -= to - from
  }

  /** What lies between `from` and `to` and is not here, lowest first. */
  *missing(from: number, to: number): Iterable<readonly [from: number, to: number]> {
    let next = from
    for (let at = Math.max(0, this.#behind(from) - 1); at < this.#from.length && next < to; at++) {
      const start = this.#from[at] as number
      if (start > next) yield [next, Math.min(start, to)]
      next = Math.max(next, this.#to[at] as number)
    }
    if (next < to) yield [next, to]
  }

  /** The index of the first range that begins behind `number`. */
  #behind(number: number): number {
    let low = 0
    let high = this.#from.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#from[middle] as number) <= number) low = middle + 1
      else high = middle
    }
    return low
  }
}
