/**
 * Reads little-endian fields and never beyond the end. Lengths that a stranger wrote are compared with what is there before
 * anything is made of them.
 */

import { utf8Decode } from "../base/text.ts"
import type { U64, WireQid } from "./message.ts"
import { NinepProtocolError } from "./protocol-error.ts"

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const slash = 0x2f

export class ByteReader {
  readonly bytes: Uint8Array
  at: number
  /** Where the readable bytes end; never beyond the array's own end. */
  end: number

  constructor(bytes: Uint8Array, at = 0, end: number = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = Math.min(end, bytes.length)
  }

  get left(): number {
    return this.end - this.at
  }

  u8(): number {
    const at = this.#take(1)
    return this.bytes[at] as number
  }

  u16(): number {
    const at = this.#take(2)
    return (this.bytes[at] as number) | ((this.bytes[at + 1] as number) << 8)
  }

  u32(): number {
    return u32At(this.bytes, this.#take(4))
  }

  u64(): U64 {
    return u64At(this.bytes, this.#take(8))
  }

  qid(): WireQid {
    const at = this.#take(13)
    return {
      type: this.bytes[at] as number,
      version: u32At(this.bytes, at + 1),
      path: u64At(this.bytes, at + 5),
    }
  }

  /** `length[2]` and UTF-8: intro(5). `name` refuses `/` as well. */
  text(name: boolean): string {
    const length = this.u16()
    const start = this.#take(length)
    const end = start + length
    let ascii = true
    for (let at = start; at < end; at++) {
      const byte = this.bytes[at] as number
      if (byte === 0) throw new NinepProtocolError("text", "A text has a NUL")
      if (name && byte === slash) throw new NinepProtocolError("text", "A name has a /")
      if (byte > 0x7f) ascii = false
    }
    if (ascii) return utf8Decode(this.bytes, start, end)
    try {
      return strict.decode(this.bytes.subarray(start, end))
    } catch {
      throw new NinepProtocolError("text", "A text is not UTF-8")
    }
  }

  /** A view of the next bytes, not a copy. */
  view(length: number): Uint8Array {
    const at = this.#take(length)
    return this.bytes.subarray(at, at + length)
  }

  #take(length: number): number {
    const at = this.at
    if (length > this.end - at) throw new NinepProtocolError("broken", "The message ends within a field")
    this.at = at + length
    return at
  }
}

/** The caller has made sure that the bytes are there. */
export function u32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  )
}

/** The caller has made sure that the bytes are there. */
export function u64At(bytes: Uint8Array, at: number): U64 {
  const low = u32At(bytes, at)
  const high = u32At(bytes, at + 4)
  if (high < 0x20_0000) return high * 0x1_0000_0000 + low
  return (BigInt(high) << 32n) | BigInt(low)
}
