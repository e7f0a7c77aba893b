/**
 * The chunked transfer coding (RFC 9112 section 7.1), read byte by byte where it frames and passed on by reference where
 * it is data. Extensions are checked and dropped, within a limit for the whole body; line ends are CRLF and nothing else,
 * for responses too, as this is where lenient readers have been fooled.
 */

import { latin1Encode } from "../base/text.ts"
import { RdvError } from "../base/error.ts"
import { FieldBlock } from "./field-block.ts"
import { textByte, tokenByte } from "./grammar.ts"
import { trailersAllowed } from "./trailers.ts"
import type { Fail } from "./http-error.ts"

export interface ChunkedSink {
  /** Bytes of the body: a part of the chunk that was pushed, not a copy. */
  data(sub: Uint8Array): void
  /** The body is over; `trailers` is a flat array of name, value. */
  end(trailers: string[]): void
}

/** Extension bytes in one body: room for a few on every chunk, too few to hide traffic in them. */
const extensionBytes = 16 * 1024
const trailerBytes = 16 * 1024
/** 2^53 needs 14 digits; leading zeros may fill up to here. */
const sizeDigits = 16

const cr = 13
const lf = 10
const quoteMark = 34
const semicolon = 59
const equals = 61
const backslash = 92

const atSize = 0
const inSize = 1
const atName = 2
const inName = 3
const atValue = 4
const inValue = 5
const inQuotes = 6
const afterBackslash = 7
const afterQuotes = 8
const atSizeLf = 9
const inData = 10
const atDataCr = 11
const atDataLf = 12
const inTrailers = 13
const over = 14

export class ChunkedDecoder {
  readonly #fail: Fail
  #state = atSize
  /** The size while its digits come in, then the data bytes of the chunk that are still to come. */
  #left = 0
  #digits = 0
  #extensions = 0
  #trailers: FieldBlock | undefined

  /** `fail` makes what `push` throws: `badRequest` or `badResponse`. */
  constructor(fail: Fail) {
    this.#fail = fail
  }

  /** `end` was called. */
  get done(): boolean {
    return this.#state === over
  }

  /**
   * Takes bytes of `chunk` from `from` on. Returns the offset behind the last byte that belongs to the body: less than the
   * chunk's length only when the body is over. Throws what `fail` makes; the decoder is of no use afterwards.
   */
  push(chunk: Uint8Array, sink: ChunkedSink, from = 0): number {
    const length = chunk.length
    let at = from
    while (at < length) {
      if (this.#state === inData) {
        const end = Math.min(length, at + this.#left)
        const sub = at === 0 && end === length ? chunk : chunk.subarray(at, end)
        this.#left -= end - at
        if (this.#left === 0) this.#state = atDataCr
        at = end
        sink.data(sub)
      } else if (this.#state === inTrailers) {
        return this.#readTrailers(chunk, at, sink)
      } else if (this.#state === over) {
        return at
      } else {
        this.#frame(chunk[at++] as number)
      }
    }
    return at
  }

  #readTrailers(chunk: Uint8Array, from: number, sink: ChunkedSink): number {
    this.#trailers ??= new FieldBlock({
      startLineBytes: 0,
      fieldBytes: trailerBytes,
      lenient: false,
      fail: this.#fail,
    })
    const used = this.#trailers.push(chunk, from)
    if (used < 0) return chunk.length
    const trailers = trailersAllowed(this.#trailers.fields(), this.#fail)
    this.#trailers = undefined
    this.#state = over
    sink.end(trailers)
    return used
  }

  /** One byte that is not data. */
  #frame(byte: number): void {
    switch (this.#state) {
      case atSize:
        this.#left = this.#hexDigit(byte)
        this.#digits = 1
        this.#state = inSize
        return
      case inSize:
        if (byte === cr || byte === semicolon) {
          this.#state = byte === cr ? atSizeLf : atName
          return
        }
        this.#left = this.#left * 16 + this.#hexDigit(byte)
        if (++this.#digits > sizeDigits || this.#left > Number.MAX_SAFE_INTEGER) {
          throw this.#fail(400, "a chunk's size is too large")
        }
        return
      case atSizeLf:
        if (byte !== lf) throw this.#fail(400, "the line of a chunk's size does not end in CRLF")
        this.#state = this.#left === 0 ? inTrailers : inData
        return
      case atDataCr:
        if (byte !== cr) throw this.#fail(400, "a chunk's data is longer than its size says")
        this.#state = atDataLf
        return
      case atDataLf:
        if (byte !== lf) throw this.#fail(400, "a chunk's data does not end in CRLF")
        this.#state = atSize
        return
      default:
        this.#extension(byte)
    }
  }

  #hexDigit(byte: number): number {
    if (byte >= 48 && byte <= 57) return byte - 48
    const lower = byte | 32
    if (lower >= 97 && lower <= 102) return lower - 87
    throw this.#fail(400, "a chunk's size is not a plain hexadecimal number")
  }

  /** `;name`, `;name=token` or `;name="text"`, without the white space that RFC 9112 section 7.1.1 calls bad. */
  #extension(byte: number): void {
    if (++this.#extensions > extensionBytes) {
      throw this.#fail(400, `the chunk extensions are longer than ${extensionBytes} bytes`)
    }
    const token = tokenByte[byte] === 1
    const state = this.#state
    if (state === inQuotes || state === afterBackslash) {
      if (textByte[byte] !== 1) throw this.#badExtension()
      if (state === afterBackslash) this.#state = inQuotes
      else if (byte === backslash) this.#state = afterBackslash
      else if (byte === quoteMark) this.#state = afterQuotes
    } else if (state === atName || state === atValue) {
      if (token) this.#state = state === atName ? inName : inValue
      else if (state === atValue && byte === quoteMark) this.#state = inQuotes
      else throw this.#badExtension()
    } else if (byte === cr) {
      this.#state = atSizeLf
    } else if (byte === semicolon) {
      this.#state = atName
    } else if (state === inName && byte === equals) {
      this.#state = atValue
    } else if (!token || state === afterQuotes) {
      throw this.#badExtension()
    }
  }

  #badExtension(): Error {
    return this.#fail(400, "a chunk extension that is not well-formed")
  }
}

/** The line before the data of a chunk; `chunkEnd` follows the data. Throws for 0, which would end the body. */
export function chunkHeader(size: number): Uint8Array {
  if (!(size > 0)) throw new RdvError("internal", `A chunk of ${size} bytes cannot be written`)
  return latin1Encode(`${size.toString(16)}\r\n`)
}

export const chunkEnd: Uint8Array = latin1Encode("\r\n")
