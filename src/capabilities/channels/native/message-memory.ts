/**
 * Memory of messages that come in: fresh memory costs more than the bytes that are put into it, so what is free is used
 * again. A message's memory is free when a native receiver has proven it and nobody else was ever given it: such a receiver
 * copies what it gets. Other receivers may keep what they got; their messages are left to the collector.
 */

/** Sizes are powers of two; smaller messages stand side by side in a `Slab`. */
const smallest = 11
const largest = 17
/** Kept for the next messages, of each size. */
const spareBytes = 2 ** 20

export class MessageMemory {
  readonly #spares: Uint8Array[][] = Array.from({ length: largest + 1 }, () => [])
  /** Set while a receiver proves what it was given first and alone, and has copied. */
  proving: Uint8Array | undefined

  /** A copy of `bytes[start, end)`. */
  copy(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start
    const size = sizeOf(length)
    if (size > largest) return bytes.slice(start, end)
    const memory = this.#spares[size]?.pop() ?? new Uint8Array(2 ** size)
    const copy = memory.subarray(0, length)
    copy.set(bytes.subarray(start, end))
    return copy
  }

  /** The sender of these bytes hears of a proof: they are used again where this is the proof of a sole receiver. */
  settled(bytes: Uint8Array): void {
    if (this.proving !== bytes || bytes.length < ownMemoryBytes) return
    this.proving = undefined
    const size = sizeOf(bytes.length)
    const spares = this.#spares[size]
    if (spares === undefined || bytes.buffer.byteLength !== 2 ** size) return
    if (spares.length * 2 ** size < spareBytes) spares.push(new Uint8Array(bytes.buffer as ArrayBuffer))
  }
}

/** Messages from here on have memory of their own; smaller ones share it with others. */
export const ownMemoryBytes: number = 2 ** (smallest - 1)

/** Two to the power of it is enough. */
function sizeOf(length: number): number {
  return Math.max(smallest, 32 - Math.clz32(length - 1))
}
