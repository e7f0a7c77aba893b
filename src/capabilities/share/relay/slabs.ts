/**
 * Memory for chunks, bounded and used again. Memory that is left to the garbage collector stays with the process for a
 * while: at a gigabyte a second that would be far more than the bound. So what a chunk lay in goes to the next one.
 */

/** Chunks of one sharing have the same length or a few lengths near each other. */
const grainBytes = 4096

export class Slabs {
  readonly mostBytes: number
  /** By size. */
  readonly #spare: Map<number, ArrayBuffer[]> = new Map()
  #spareBytes = 0
  #usedBytes = 0
  /** Of what is used, what is promised and not taken: what lies here is for it, and must not count twice. */
  #promisedBytes = 0

  constructor(mostBytes: number) {
    this.mostBytes = mostBytes
  }

  /** Promised or in use. */
  get usedBytes(): number {
    return this.#usedBytes
  }

  /** What a chunk of this length costs. */
  static cost(length: number): number {
    return Math.ceil(length / grainBytes) * grainBytes
  }

  /** Promises memory. False when there is no room; with nothing in use there always is. */
  reserve(length: number): boolean {
    const cost = Slabs.cost(length)
    if (this.#usedBytes > 0 && this.#usedBytes + cost > this.mostBytes) return false
    this.#usedBytes += cost
    this.#promisedBytes += cost
    return true
  }

  /** As `reserve`, beyond the bound. */
  force(length: number): void {
    const cost = Slabs.cost(length)
    this.#usedBytes += cost
    this.#promisedBytes += cost
  }

  /** A promise that is not needed. */
  release(length: number): void {
    const cost = Slabs.cost(length)
    this.#usedBytes -= cost
    this.#promisedBytes -= cost
  }

  /** The memory that was promised. Its content is whatever was there before. */
  take(length: number): Uint8Array {
    const cost = Slabs.cost(length)
    this.#promisedBytes -= cost
    for (let size = cost; size <= cost * 1.25; size += grainBytes) {
      const spare = this.#spare.get(size)?.pop()
      if (spare === undefined) continue
      this.#spareBytes -= size
      return new Uint8Array(spare, 0, length)
    }
    // What lies here in other sizes must not add up with what is new.
    if (this.#heldBytes > this.mostBytes) this.#letGo()
    return new Uint8Array(Buffer.allocUnsafeSlow(cost).buffer, 0, length)
  }

  /** Nobody may look into it any more. */
  give(memory: Uint8Array): void {
    this.#usedBytes -= Slabs.cost(memory.length)
    const { buffer } = memory
    const size = buffer.byteLength
    if (this.#heldBytes + size > this.mostBytes) return
    const spares = this.#spare.get(size)
    if (spares === undefined) this.#spare.set(size, [buffer as ArrayBuffer])
    else spares.push(buffer as ArrayBuffer)
    this.#spareBytes += size
  }

  /** Memory that is there, in use or not. */
  get #heldBytes(): number {
    return this.#spareBytes + this.#usedBytes - this.#promisedBytes
  }

  #letGo(): void {
    this.#spare.clear()
    this.#spareBytes = 0
  }
}
