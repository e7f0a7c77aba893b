/**
 * The order in which the relay carries chunks. All members go through it, each at its own place: so they want the same
 * chunks at about the same time, and a small cache serves them all. Who falls behind further than the list is long goes on
 * at its beginning, and gets what it missed later.
 */

export class Lead {
  #chunks: number[] = []
  /** How many have been forgotten. */
  #start = 0

  get start(): number {
    return this.#start
  }

  get end(): number {
    return this.#start + this.#chunks.length
  }

  at(place: number): number | undefined {
    return this.#chunks[place - this.#start]
  }

  append(chunk: number): void {
    this.#chunks.push(chunk)
    if (this.#chunks.length < mostPlaces) return
    this.#chunks = this.#chunks.slice(mostPlaces / 2)
    this.#start += mostPlaces / 2
  }
}

const mostPlaces = 8_192
