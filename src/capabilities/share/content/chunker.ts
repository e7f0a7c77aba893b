/**
 * Cuts content into pieces, as it comes along. Two ways: pieces of one size, and pieces whose ends the content itself decides,
 * so that bytes which move keep their pieces (FastCDC: Xia et al., USENIX ATC 2016; a gear hash, with a stricter rule before the
 * average length and a looser one behind it).
 */

import { emptyBytes } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { utf8Encode } from "../../../base/text.ts"
import type { ChunkCrypto } from "./chunk-crypto.ts"
import { largestChunk } from "./chunk-crypto.ts"
import type { ChunkBounds } from "./chunk-size.ts"

export interface Chunker {
  /** The pieces that are whole now: views, of `bytes` or of the chunker's memory, valid until the next call. */
  push(bytes: Uint8Array): Uint8Array[]
  /** The last piece, shorter than others; undefined when nothing is left. Valid until the next call. */
  end(): Uint8Array | undefined
}

/** Pieces of one size, 1 to `largestChunk` bytes. */
export function fixedChunker(size: number): Chunker {
  return new CuttingChunker(size, new FixedCutter(size))
}

/**
 * Pieces that the content delimits. Where it cuts follows from a key of the swarm: lengths of chunks, which everybody may see,
 * tell nobody whether this is a content that he knows.
 */
export function contentChunker(bounds: ChunkBounds, crypto: Pick<ChunkCrypto, "identify">): Chunker {
  return new CuttingChunker(bounds.max, new GearCutter(bounds, gearTable(crypto)))
}

/** True when all bytes are 0; then they need no chunk. As a rule, one look at a few bytes answers it. */
export function isZeros(bytes: Uint8Array): boolean {
  const length = bytes.length
  if (length === 0) return true
  if (bytes[0] !== 0 || bytes[length - 1] !== 0 || bytes[length >> 1] !== 0) return false
  // Four bytes at a time from where they are aligned; the rest singly.
  const from = (4 - (bytes.byteOffset & 3)) & 3
  if (length < from + 4) return bytes.every((byte) => byte === 0)
  const words = (length - from) >> 2
  for (let at = 0; at < from; at++) if (bytes[at] !== 0) return false
  const view = new Int32Array(bytes.buffer, bytes.byteOffset + from, words)
  for (let at = 0; at < words; at++) if (view[at] !== 0) return false
  for (let at = from + words * 4; at < length; at++) if (bytes[at] !== 0) return false
  return true
}

/** Where pieces end. */
interface Cutter {
  /** Goes on with the current piece: the place in `bytes`, from `from` on, where it ends, or -1 when it is longer than these. */
  next(bytes: Uint8Array, from: number): number
  /** A piece begins; so it does behind each end. */
  reset(): void
}

class CuttingChunker implements Chunker {
  readonly #max: number
  readonly #cutter: Cutter
  /** The beginning of a piece whose end has not come. */
  #held: Uint8Array = emptyBytes
  #heldBytes = 0
  /** What was held and is with the caller now. */
  #given: Uint8Array = emptyBytes

  constructor(max: number, cutter: Cutter) {
    if (!(max >= 1 && max <= largestChunk)) throw new RdvError("usage", `Chunks have 1 to ${largestChunk} bytes`)
    this.#max = max
    this.#cutter = cutter
  }

  push(bytes: Uint8Array): Uint8Array[] {
    const pieces: Uint8Array[] = []
    let at = 0
    while (at < bytes.length) {
      const end = this.#cutter.next(bytes, at)
      if (end < 0) {
        this.#hold(bytes.subarray(at))
        break
      }
      if (this.#heldBytes === 0) pieces.push(bytes.subarray(at, end))
      else {
        this.#hold(bytes.subarray(at, end))
        pieces.push(this.#give())
      }
      at = end
    }
    return pieces
  }

  end(): Uint8Array | undefined {
    this.#cutter.reset()
    return this.#heldBytes === 0 ? undefined : this.#give()
  }

  #hold(bytes: Uint8Array): void {
    if (this.#held.length === 0) this.#held = new Uint8Array(this.#max)
    this.#held.set(bytes, this.#heldBytes)
    this.#heldBytes += bytes.length
  }

  /** What comes is held in the other memory meanwhile. */
  #give(): Uint8Array {
    const given = this.#held
    this.#held = this.#given
    this.#given = given
    const piece = given.subarray(0, this.#heldBytes)
    this.#heldBytes = 0
    return piece
  }
}

class FixedCutter implements Cutter {
  readonly #size: number
  #length = 0

  constructor(size: number) {
    this.#size = size
  }

  next(bytes: Uint8Array, from: number): number {
    const end = from + this.#size - this.#length
    if (end > bytes.length) {
      this.#length += bytes.length - from
      return -1
    }
    this.#length = 0
    return end
  }

  reset(): void {
    this.#length = 0
  }
}

class GearCutter implements Cutter {
  readonly #bounds: ChunkBounds
  readonly #hash: GearHash
  readonly #strict: number
  readonly #loose: number
  #length = 0

  constructor(bounds: ChunkBounds, gear: Int32Array) {
    const { min, average, max } = bounds
    const bits = Math.log2(average)
    if (!(min >= 1 && min < average && average < max && bits >= 4 && bits <= 20 && Number.isInteger(bits))) {
      throw new RdvError("usage", "Chunks need a least, an average (a power of two) and a largest length")
    }
    this.#bounds = bounds
    this.#hash = new GearHash(gear)
    // High bits of the hash depend on more bytes. The highest is not looked at: see `scan`.
    this.#strict = ((1 << (bits + 2)) - 1) << (31 - (bits + 2))
    this.#loose = ((1 << (bits - 2)) - 1) << (31 - (bits - 2))
  }

  next(bytes: Uint8Array, from: number): number {
    const { min, average, max } = this.#bounds
    const start = from - this.#length
    // Nothing ends before the least length, so those bytes are not looked at.
    const first = Math.min(bytes.length, Math.max(from, start + min))
    const normal = Math.min(bytes.length, Math.max(first, start + average))
    const last = Math.min(bytes.length, start + max)
    let end = this.#hash.scan(bytes, first, normal, this.#strict)
    if (end < 0) end = this.#hash.scan(bytes, normal, last, this.#loose)
    if (end < 0) {
      this.#length += last - from
      if (this.#length < max) return -1
      end = last
    }
    this.reset()
    return end
  }

  reset(): void {
    this.#length = 0
    this.#hash.reset()
  }
}

class GearHash {
  readonly #gear: Int32Array
  readonly #doubled: Int32Array
  #hash = 0

  constructor(gear: Int32Array) {
    this.#gear = gear
    this.#doubled = gear.map((value) => value << 1)
  }

  reset(): void {
    this.#hash = 0
  }

  /** The place behind the first byte where the hash has none of these bits, or -1; then the next call goes on. */
  scan(bytes: Uint8Array, from: number, to: number, mask: number): number {
    const gear = this.#gear
    const doubled = this.#doubled
    const maskDoubled = mask << 1
    let hash = this.#hash
    let at = from
    // Two bytes a round, which is twice as fast. Behind the first, the hash is doubled already; its highest bit is lost.
    for (; at + 1 < to; at += 2) {
      hash = ((hash << 2) + (doubled[bytes[at] as number] as number)) | 0
      if ((hash & maskDoubled) === 0) return at + 1
      hash = (hash + (gear[bytes[at + 1] as number] as number)) | 0
      if ((hash & mask) === 0) return at + 2
    }
    if (at < to) {
      hash = ((hash << 1) + (gear[bytes[at] as number] as number)) | 0
      if ((hash & mask) === 0) return at + 1
    }
    this.#hash = hash
    return -1
  }
}

function gearTable(crypto: Pick<ChunkCrypto, "identify">): Int32Array {
  const table = new Int32Array(256)
  const label = utf8Encode("rdv/share/1 gear 0")
  for (let part = 0; part < table.length / 8; part++) {
    label[label.length - 1] = part
    const view = new DataView(crypto.identify(label).slice().buffer)
    for (let at = 0; at < 8; at++) table[part * 8 + at] = view.getInt32(at * 4)
  }
  return table
}
