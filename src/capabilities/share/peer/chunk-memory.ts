/**
 * Memory for chunks that come in. Fresh memory costs more than the bytes that are put into it, so pieces are used again;
 * and however much is sent here, no more than the limit is ever held: who gets nothing skips the chunk.
 *
 * While others ask for chunks, what waits to be used again still holds the chunks that were here last: whoever is asked for
 * one of them need not read it from the disk and seal it again.
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
  /** By capacity; nobody cares what is in them. */
  readonly #spares = new Map<number, Uint8Array[]>()
  /** Spare as well, and they hold these chunks; the oldest first. */
  readonly #chunks = new Map<number, Uint8Array>()
  /** So many of the next chunks are worth finding again: each that was looked for speaks for some more. */
  #demand = 0
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
    const spare = this.#spares.get(capacity)?.pop() ?? this.#oldest(capacity)
    if (spare === undefined) return new Uint8Array(capacity).subarray(0, length)
    this.#spareBytes -= capacity
    return new Uint8Array(spare.buffer, 0, length)
  }

  /** Nobody looks at it any more. Only what `take` or `find` gave. `chunk`: what lies in it, whole and checked. */
  give(memory: Uint8Array, chunk?: number): void {
    const capacity = memory.buffer.byteLength
    this.#taken -= capacity
    const isChunk = chunk !== undefined && this.#demand > 0 && !this.#chunks.has(chunk)
    if (isChunk) {
      this.#demand--
      for (const oldest of this.#chunks.keys()) {
        if (this.#spareBytes + capacity <= this.#options.spareBytes) break
        this.#spareBytes -= (this.#chunks.get(oldest) as Uint8Array).buffer.byteLength
        this.#chunks.delete(oldest)
      }
    }
    if (this.#spareBytes + capacity > this.#options.spareBytes) return
    this.#spareBytes += capacity
    const spares = this.#spares.get(capacity)
    if (isChunk) this.#chunks.set(chunk, memory)
    else if (spares === undefined) this.#spares.set(capacity, [memory])
    else spares.push(memory)
  }

  /** The memory in which this chunk still lies; taken until it is given back, and not to be written to. */
  find(chunk: number): Uint8Array | undefined {
    this.#demand = Math.min(mostDemand, this.#demand + demandOfOne)
    const memory = this.#chunks.get(chunk)
    if (memory === undefined) return undefined
    const capacity = memory.buffer.byteLength
    this.#chunks.delete(chunk)
    this.#spareBytes -= capacity
    this.#taken += capacity
    return memory
  }

  /** Numbers of chunks mean others from now on. */
  forget(): void {
    for (const memory of this.#chunks.values()) {
      const capacity = memory.buffer.byteLength
      const spares = this.#spares.get(capacity)
      if (spares === undefined) this.#spares.set(capacity, [memory])
      else spares.push(memory)
    }
    this.#chunks.clear()
    this.#demand = 0
  }

  /** Lets go of what is kept. */
  clear(): void {
    this.#spares.clear()
    this.#chunks.clear()
    this.#spareBytes = 0
  }

  /** What was here longest, when there is no room for more. */
  #oldest(capacity: number): Uint8Array | undefined {
    if (this.#spareBytes + capacity <= this.#options.spareBytes) return undefined
    for (const [chunk, memory] of this.#chunks) {
      if (memory.buffer.byteLength !== capacity) continue
      this.#chunks.delete(chunk)
      return memory
    }
    return undefined
  }
}

function grade(length: number): number {
  return Math.max(1, Math.ceil(length / gradeBytes)) * gradeBytes
}

const demandOfOne = 2
const mostDemand = 64
