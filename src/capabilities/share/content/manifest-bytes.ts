/**
 * Bytes of a manifest, written and read one value after the other. Numbers are LEB128: 7 bits a byte, the lowest first, up to
 * 2^53 - 1, in the shortest form alone.
 */

import { RdvError } from "../../../base/error.ts"

export class ByteWriter {
  #bytes: Uint8Array = new Uint8Array(1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  byte(value: number): void {
    this.#room(1)
    this.#bytes[this.#length++] = value
  }

  number(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RdvError("internal", `A manifest cannot say ${value}`)
    this.#room(8)
    let left = value
    while (left >= 0x80) {
      this.#bytes[this.#length++] = 0x80 | (left % 0x80)
      left = Math.floor(left / 0x80)
    }
    this.#bytes[this.#length++] = left
  }

  bytes(bytes: Uint8Array): void {
    this.#room(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** A view; nothing may be written behind this. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length)
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more))
    larger.set(this.#bytes.subarray(0, this.#length))
    this.#bytes = larger
  }
}

/** Throws `protocol` where the bytes end too early or say what they may not. */
export class ByteReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get left(): number {
    return this.#bytes.length - this.#at
  }

  byte(): number {
    if (this.left < 1) throw tooShort()
    return this.#bytes[this.#at++] as number
  }

  number(): number {
    let value = 0
    let unit = 1
    for (let bytes = 1; bytes <= 8; bytes++) {
      const byte = this.byte()
      value += (byte & 0x7f) * unit
      if (byte < 0x80) {
        if (!Number.isSafeInteger(value)) throw badNumber()
        if (byte === 0 && bytes > 1) throw badNumber()
        return value
      }
      unit *= 0x80
    }
    throw badNumber()
  }

  /** A view. */
  bytes(length: number): Uint8Array {
    if (length > this.left) throw tooShort()
    const bytes = this.#bytes.subarray(this.#at, this.#at + length)
    this.#at += length
    return bytes
  }
}

function tooShort(): RdvError {
  return new RdvError("protocol", "The manifest ends too early")
}

function badNumber(): RdvError {
  return new RdvError("protocol", "The manifest has a malformed number")
}
