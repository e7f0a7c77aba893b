/**
 * Memory for chunks that come in. Fresh memory costs more than the bytes that are put into it, so pieces are used again;
 * and however much is sent here, no more than the limit is ever held: who gets nothing skips the chunk.
 */

export interface ChunkMemoryOptions {
  /** Taken at once, bytes. */
  readonly limitBytes: number
  /** Kept for the next taker, bytes. */
  readonly spareBytes: number
}

/** Sizes are rounded up to this, so that the chunks of one content fit into each other's memory. */
const gradeBytes = 16 * 1024

export class ChunkMemory {
  readonly #options: ChunkMemoryOptions
  /** By capacity. */
  readonly #spares = new Map<number, Uint8Array[]>()
  #spareBytes = 0
  #taken = 0

  constructor(options: ChunkMemoryOptions) {
    this.#options = options
  }

  /** Bytes that are out. */
  get taken(): number {
    return this.#taken
  }

  /** Exactly so long; undefined when the limit is reached. Its content is whatever was there before. */
  take(length: number): Uint8Array | undefined {
    const capacity = grade(length)
    if (this.#taken > 0 && this.#taken + capacity > this.#options.limitBytes) return undefined
    this.#taken += capacity
    const spare = this.#spares.get(capacity)?.pop()
    if (spare === undefined) return new Uint8Array(capacity).subarray(0, length)
    this.#spareBytes -= capacity
    return spare.subarray(0, length)
  }

  /** Nobody looks at it any more. Only what `take` gave. */
  give(memory: Uint8Array): void {
    const capacity = memory.buffer.byteLength
    this.#taken -= capacity
    if (this.#spareBytes + capacity > this.#options.spareBytes) return
    this.#spareBytes += capacity
    const whole = new Uint8Array(memory.buffer)
    const spares = this.#spares.get(capacity)
    if (spares === undefined) this.#spares.set(capacity, [whole])
    else spares.push(whole)
  }

  /** Lets go of what is kept. */
  clear(): void {
    this.#spares.clear()
    this.#spareBytes = 0
  }
}

function grade(length: number): number {
  return Math.max(1, Math.ceil(length / gradeBytes)) * gradeBytes
}
