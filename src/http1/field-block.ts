/**
 * Lines up to an empty one: a head, or the trailers of a chunked body. It finds the end however the bytes are cut, and
 * refuses on the way what no line may hold. A block that lies whole in one chunk is read in place; one that does not is
 * copied together, and the copy is never larger than the limits.
 *
 * Which error is given does not depend on the cuts: a byte is judged when it has arrived, in order, and limits count
 * bytes of the block, not of chunks.
 */

import { latin1Decode } from "../base/text.ts"
import { emptyBytes } from "../base/bytes.ts"
import { isName } from "../base/header-fields.ts"
import { quote } from "./http-error.ts"
import { textByte, tokenByte } from "./grammar.ts"
import type { Fail } from "./http-error.ts"

export interface FieldBlockOptions {
  /** The longest first line, bytes with its line end; 0 when the block has no line before its fields. */
  readonly startLineBytes: number
  /** The most bytes of fields, with line ends, without the empty line. */
  readonly fieldBytes: number
  /**
   * Takes LF alone as a line end and white space before a colon, as RFC 9112 sections 2.2 and 5.1 allow towards
   * responses. Requests are never read so: two readers that differ here are how requests are smuggled.
   */
  readonly lenient: boolean
  readonly fail: Fail
}

const tab = 9
const lf = 10
const cr = 13
const space = 32
const colon = 58

/** More line positions than this are not kept for the next block, so that one odd head does not cost memory for long. */
const keptLines = 64

export class FieldBlock {
  readonly #options: FieldBlockOptions
  #held: Uint8Array = emptyBytes
  #heldBytes = 0
  /** Where the block stands: in the caller's chunk, or in `#held`. Positions below are relative to `#base`. */
  #bytes: Uint8Array = emptyBytes
  #base = 0
  #scanned = 0
  #lineStart = 0
  #limit = 0
  #lineEnds: number[] = []
  #lines = 0
  #leadingEmptyLine = false

  constructor(options: FieldBlockOptions) {
    this.#options = options
    this.reset()
  }

  /** Bytes of an unfinished block have arrived. */
  get started(): boolean {
    return this.#heldBytes > 0
  }

  /** Forgets the block, so that the next one can be read. */
  reset(): void {
    this.#held = emptyBytes
    this.#heldBytes = 0
    this.#bytes = emptyBytes
    this.#base = 0
    this.#scanned = 0
    this.#lineStart = 0
    this.#lines = 0
    this.#leadingEmptyLine = false
    const { startLineBytes, fieldBytes } = this.#options
    this.#limit = startLineBytes > 0 ? startLineBytes : fieldBytes + 2
    if (this.#lineEnds.length > keptLines) this.#lineEnds = []
  }

  /**
   * Takes bytes of `chunk` from `from` on. Answers the offset behind the block's last byte, or -1 when more is needed (all
   * bytes are taken then). Throws what `fail` makes.
   */
  push(chunk: Uint8Array, from: number): number {
    if (this.#heldBytes === 0) {
      this.#bytes = chunk
      this.#base = from
      const end = this.#scan(chunk.length - from)
      if (end < 0) this.#hold(chunk, from, chunk.length)
      return end < 0 ? -1 : from + end
    }
    const before = this.#heldBytes
    const room = this.#options.startLineBytes + this.#options.fieldBytes + 4 - before
    this.#hold(chunk, from, Math.min(chunk.length, from + room))
    const end = this.#scan(this.#heldBytes)
    return end >= 0 ? from + end - before : -1
  }

  /** The first line without its end, once it is complete. Only for blocks that have one. */
  startLine(): string | undefined {
    if (this.#lines === 0) return undefined
    const start = this.#leadingEmptyLine ? 2 : 0
    const end = this.#contentEnd(this.#lineEnds[0] as number)
    return latin1Decode(this.#bytes, this.#base + start, this.#base + end)
  }

  /** The fields of a complete block, as a flat array. Throws what `fail` makes. */
  fields(): string[] {
    const headers: string[] = []
    const bytes = this.#bytes
    const base = this.#base
    const hasStartLine = this.#options.startLineBytes > 0
    const first = hasStartLine ? 1 : 0
    if (this.#lines === first) return headers
    let lineStart = hasStartLine ? (this.#lineEnds[0] as number) + 1 : 0
    const offset = lineStart
    const text = latin1Decode(bytes, base + offset, base + (this.#lineEnds[this.#lines - 1] as number))
    for (let line = first; line < this.#lines; line++) {
      const lineFeed = this.#lineEnds[line] as number
      let to = this.#contentEnd(lineFeed)
      let at = lineStart
      while (tokenByte[bytes[base + at] as number] === 1) at++
      const nameEnd = at
      if (this.#options.lenient && at > lineStart) while (isSpace(bytes[base + at] as number)) at++
      if (bytes[base + at] !== colon || at === lineStart) throw this.#badName(lineStart, at, to, line === first)
      const name = text.slice(lineStart - offset, nameEnd - offset)
      let value = at + 1
      while (value < to && isSpace(bytes[base + value] as number)) value++
      const untrimmed = to
      while (to > value && isSpace(bytes[base + to - 1] as number)) to--
      const plain = to === untrimmed && (value === at + 1 || (value === at + 2 && bytes[base + at + 1] === space))
      if (!plain && !this.#options.lenient) this.#refuseOddSpace(name)
      headers.push(name, text.slice(value - offset, to - offset))
      lineStart = lineFeed + 1
    }
    return headers
  }

  /** Looks at the bytes that were not seen yet, up to `available`; the end of the block, or -1. */
  #scan(available: number): number {
    const { lenient, fail } = this.#options
    const bytes = this.#bytes
    const base = this.#base
    let stop = Math.min(available, this.#limit)
    let at = this.#scanned
    for (; at < stop; at++) {
      const byte = bytes[base + at] as number
      // Nearly all bytes are visible ASCII; the table is for the rest.
      if (((byte & 0x60) !== 0 && byte !== 127) || textByte[byte] === 1) continue
      if (byte === cr) {
        if (at + 1 >= stop) break
        if (bytes[base + at + 1] !== lf) throw fail(400, `a bare CR ${this.#place()}`)
        at++
      } else if (byte !== lf) {
        throw fail(400, `the control character 0x${byte.toString(16).padStart(2, "0")} ${this.#place()}`)
      } else if (!lenient) {
        throw fail(400, `a line ends in LF without CR ${this.#place()}`)
      }
      const empty = this.#contentEnd(at) === this.#lineStart
      this.#lineStart = at + 1
      if (!empty) {
        this.#lineEnds[this.#lines++] = at
        if (this.#lines === 1 && this.#options.startLineBytes > 0) {
          this.#limit = at + 1 + this.#options.fieldBytes + 2
          stop = Math.min(available, this.#limit)
        }
      } else if (this.#lines > 0 || this.#options.startLineBytes === 0) {
        return at + 1
      } else {
        // RFC 9112 section 2.2: an empty line before a request line is skipped. One, and only in requests.
        if (lenient || this.#leadingEmptyLine) throw fail(400, "an empty line where the first line should be")
        this.#leadingEmptyLine = true
      }
    }
    this.#scanned = at
    if (available >= this.#limit) throw this.#tooLong()
    return -1
  }

  /** Positions count from the block's start, so the copy has them unchanged. */
  #hold(chunk: Uint8Array, from: number, to: number): void {
    const wanted = this.#heldBytes + to - from
    if (wanted > this.#held.length) {
      const larger = new Uint8Array(Math.max(wanted, 2 * this.#held.length, 256))
      larger.set(this.#held.subarray(0, this.#heldBytes))
      this.#held = larger
    }
    this.#held.set(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to), this.#heldBytes)
    this.#heldBytes = wanted
    this.#bytes = this.#held
    this.#base = 0
  }

  #contentEnd(lineFeed: number): number {
    return lineFeed > 0 && this.#bytes[this.#base + lineFeed - 1] === cr ? lineFeed - 1 : lineFeed
  }

  #place(): string {
    const { startLineBytes } = this.#options
    if (startLineBytes === 0) return `in trailer line ${this.#lines + 1}`
    return this.#lines === 0 ? "in the first line" : `in header line ${this.#lines}`
  }

  #tooLong(): Error {
    const { startLineBytes, fieldBytes, fail } = this.#options
    if (startLineBytes > 0 && this.#lines === 0)
      return fail(414, `the first line is longer than ${startLineBytes} bytes`)
    return fail(431, `the ${startLineBytes > 0 ? "header" : "trailer"} fields are longer than ${fieldBytes} bytes`)
  }

  #badName(lineStart: number, at: number, lineEnd: number, first: boolean): Error {
    const bytes = this.#bytes
    const line = quote(latin1Decode(bytes, this.#base + lineStart, this.#base + lineEnd))
    const { fail } = this.#options
    if (at === lineStart && isSpace(bytes[this.#base + at] as number)) {
      return fail(400, first ? `white space before the first field: ${line}` : `a folded line: ${line}`)
    }
    if (at === lineStart && bytes[this.#base + at] === colon) return fail(400, `a field without a name: ${line}`)
    if (at === lineEnd) return fail(400, `a field without a colon: ${line}`)
    if (isSpace(bytes[this.#base + at] as number)) return fail(400, `white space in or behind a field's name: ${line}`)
    return fail(400, `a character that no field name may hold: ${line}`)
  }

  /**
   * More than one space before the value, or anything behind it: legal, but only ever seen where somebody hopes that two
   * readers disagree on a field that frames the message.
   */
  #refuseOddSpace(name: string): void {
    if (!isName(name, "transfer-encoding") && !isName(name, "content-length")) return
    throw this.#options.fail(400, `odd white space around the value of ${name}`)
  }
}

function isSpace(byte: number): boolean {
  return byte === space || byte === tab
}
