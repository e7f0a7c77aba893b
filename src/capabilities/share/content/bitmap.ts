/** Which chunks somebody has: one bit each, the first chunk in the lowest bit of the first byte. */

import { RdvError } from "../../../base/error.ts"

export class Bitmap {
  readonly length: number
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array
  #count = 0

  constructor(length: number) {
    this.length = length
    this.#words = new Uint32Array((length + 31) >>> 5)
    this.#bytes = new Uint8Array(this.#words.buffer, 0, (length + 7) >> 3)
  }

  /** Reads what `bytes` gave. Throws `protocol` when it is of another length or sets bits behind the end. */
  static from(bytes: Uint8Array, length: number): Bitmap {
    const bitmap = new Bitmap(length)
    if (bytes.length !== bitmap.#bytes.length) throw new RdvError("protocol", "A bitmap has the wrong length")
    const spare = bytes.length * 8 - length
    if (spare > 0 && (bytes.at(-1) as number) >> (8 - spare) !== 0) {
      throw new RdvError("protocol", "A bitmap names chunks behind the last one")
    }
    bitmap.#bytes.set(bytes)
    for (const byte of bytes) bitmap.#count += ones[byte] as number
    return bitmap
  }

  /** How many chunks are there. */
  get count(): number {
    return this.#count
  }

  get isFull(): boolean {
    return this.#count === this.length
  }

  has(chunk: number): boolean {
    return (((this.#bytes[chunk >> 3] as number) >> (chunk & 7)) & 1) === 1
  }

  /** Chunks from `32 * at` on, one bit each in an order that all bitmaps of this process have. */
  word(at: number): number {
    return this.#words[at] as number
  }

  /** True when it was not there before. */
  add(chunk: number): boolean {
    if (this.has(chunk)) return false
    this.#bytes[chunk >> 3] = (this.#bytes[chunk >> 3] as number) | (1 << (chunk & 7))
    this.#count++
    return true
  }

  /** True when it was there before. */
  remove(chunk: number): boolean {
    if (!this.has(chunk)) return false
    this.#bytes[chunk >> 3] = (this.#bytes[chunk >> 3] as number) & ~(1 << (chunk & 7))
    this.#count--
    return true
  }

  fill(): void {
    for (let chunk = 0; chunk < this.length; chunk++) this.add(chunk)
  }

  /** A copy. */
  bytes(): Uint8Array {
    return this.#bytes.slice()
  }

  *missing(): Iterable<number> {
    for (let chunk = 0; chunk < this.length; chunk++) {
      // Eight at a time where all are there.
      if ((chunk & 7) === 0 && this.#bytes[chunk >> 3] === 255) chunk += 7
      else if (!this.has(chunk)) yield chunk
    }
  }
}

const ones: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => byte.toString(2).replaceAll("0", "").length)
