/** Writes little-endian fields into room that was measured before. */

import { utf8Write } from "../base/text.ts"
import { NinepError } from "./errno.ts"
import type { U64, WireQid } from "./message.ts"

export class ByteWriter {
  readonly bytes: Uint8Array
  at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.at = at
  }

  u8(value: number): void {
    this.bytes[this.at++] = value
  }

  u16(value: number): void {
    this.bytes[this.at] = value
    this.bytes[this.at + 1] = value >>> 8
    this.at += 2
  }

  u32(value: number): void {
    putU32(this.bytes, this.at, value)
    this.at += 4
  }

  u64(value: U64): void {
    putU64(this.bytes, this.at, value)
    this.at += 8
  }

  qid(qid: WireQid): void {
    this.u8(qid.type)
    this.u32(qid.version)
    this.u64(qid.path)
  }

  text(text: string): void {
    const written = utf8Write(text, this.bytes, this.at + 2)
    this.u16(written)
    this.at += written
  }

  data(bytes: Uint8Array): void {
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
  }
}

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
}

export function putU64(bytes: Uint8Array, at: number, value: U64): void {
  if (typeof value === "number") {
    putU32(bytes, at, value % 0x1_0000_0000)
    putU32(bytes, at + 4, Math.floor(value / 0x1_0000_0000))
    return
  }
  putU32(bytes, at, Number(value & 0xffff_ffffn))
  putU32(bytes, at + 4, Number((value >> 32n) & 0xffff_ffffn))
}

/**
 * Bytes that `text` takes with its length. Throws `ENAMETOOLONG` above 65535, `EINVAL` for what no 9P text may have: NUL,
 * half a surrogate pair, and `/` in a name.
 */
export function textBytes(text: string, name: boolean): number {
  let bytes = 2
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at)
    if (unit < 0x80) {
      if (unit === 0 || (name && unit === 0x2f))
        throw new NinepError("EINVAL", unit === 0 ? "A 9P text has a NUL" : `The 9P name "${text}" has a /`)
      bytes += 1
    } else if (unit < 0x800) bytes += 2
    else if (unit < 0xd800 || unit > 0xdfff) bytes += 3
    else {
      const next = unit < 0xdc00 ? text.charCodeAt(++at) : Number.NaN
      if (!(next >= 0xdc00 && next <= 0xdfff)) throw new NinepError("EINVAL", "A 9P text has half a character")
      bytes += 4
    }
  }
  if (bytes > 0xffff + 2) throw new NinepError("ENAMETOOLONG", "A 9P text is longer than 65535 bytes")
  return bytes
}
