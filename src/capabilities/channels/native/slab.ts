/**
 * Memory of small messages: they are copied side by side into pieces that are larger, because making an array of its own
 * costs more than copying the bytes. A message keeps its piece alive, so pieces are small, and large messages stand alone.
 */

/** The first piece is for who sends little; each further one is twice as large, up to the last size. */
const firstBytes = 512
const lastBytes = 8_192
/** Larger messages get memory of their own. */
const largestBytes = 1_024

export class Slab {
  #piece: Uint8Array = new Uint8Array(0)
  #at = 0
  #size = firstBytes

  /** A copy of `bytes[start, end)`. */
  copy(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const length = end - start
    if (length > largestBytes) return bytes.slice(start, end)
    if (this.#at + length > this.#piece.length) {
      this.#piece = new Uint8Array(Math.max(this.#size, length))
      this.#size = Math.min(2 * this.#size, lastBytes)
      this.#at = 0
    }
    const from = this.#at
    this.#at = from + length
    const copy = this.#piece.subarray(from, this.#at)
    // Without a view of the source, which costs more than the loop does.
    if (length <= 32) for (let at = 0; at < length; at++) copy[at] = bytes[start + at] as number
    else copy.set(bytes.subarray(start, end))
    return copy
  }
}
