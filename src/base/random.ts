/**
 * Random numbers that a seed repeats: for runs that shall be the same twice, never for secrets. The generator is sfc32
 * (Doty-Humphrey, PractRand): 32 bits at a time, a period of about 2^127.
 */

export class SeededRandom {
  #a = 0
  #b = 0
  #c = 0
  #counter = 1

  /** `stream` separates generators of one seed: workers, connections. */
  constructor(seed: number, stream = 0) {
    this.#a = seed | 0
    this.#b = Math.trunc(seed / 2 ** 32) | 0
    this.#c = stream | 0
    // The state has to mix before its output can be used.
    for (let round = 0; round < 15; round++) this.u32()
  }

  /** 0 to 2^32 - 1. */
  u32(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }

  /** From 0 up to and without 1, with 32 random bits. */
  fraction(): number {
    return this.u32() / 2 ** 32
  }

  /** Exponentially distributed with mean 1: the gaps of a Poisson process. */
  exponential(): number {
    return -Math.log(1 - this.fraction())
  }

  fill(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at++) bytes[at] = this.u32() >>> 24
  }
}
