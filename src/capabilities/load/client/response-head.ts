/**
 * The head of a response: what of it decides where the answer ends, found in the bytes where they lie. A head that comes
 * in parts is gathered, and read when its empty line is there. Lines may end in LF alone; everything else is strict.
 */

import { tokenByte } from "../../../http1/grammar.ts"
import { broken, more } from "./answer-reader.ts"
import { oneLine } from "./load-error.ts"

/** The most bytes of one head. */
const headBytes = 64 * 1024
/** A larger memory is not kept from head to head. */
const keptBytes = 4096

const cr = 13
const lf = 10
const tab = 9
const space = 32
const comma = 44
const colon = 58
const start = Buffer.from("HTTP/1.")
const fieldContentLength = Buffer.from("content-length")
const fieldTransferEncoding = Buffer.from("transfer-encoding")
const fieldConnection = Buffer.from("connection")
const valueChunked = Buffer.from("chunked")
const valueClose = Buffer.from("close")
const valueKeepAlive = Buffer.from("keep-alive")

export class ResponseHead {
  status = 0
  minor = 1
  /** -1: no Content-Length. */
  length = -1
  chunked = false
  /** What `Connection` says. */
  close = false
  keepAlive = false
  /** Why it is `broken`: follows the target's name. */
  fault = ""
  /** The beginning of a head of which more is to come. */
  #gathered: Buffer | undefined
  #gatheredLength = 0

  /** The offset behind the head when it is complete, `more`, or `broken`. */
  push(bytes: Buffer, from: number, to: number): number {
    return this.#gatheredLength === 0 ? this.#read(bytes, from, to) : this.#readSplit(bytes, from, to)
  }

  #readSplit(bytes: Buffer, from: number, to: number): number {
    const before = this.#gatheredLength
    const end = this.#gather(bytes, from, to)
    const head = this.#gathered as Buffer
    if (end < 0) {
      if (this.#gatheredLength > headBytes) return this.#tooLong()
      return this.#startsRight(head, 0, this.#gatheredLength) ? more : this.#noHttp(head, 0, this.#gatheredLength)
    }
    this.#gatheredLength = 0
    const used = this.#read(head, 0, end)
    if (head.length > keptBytes) this.#gathered = undefined
    // It ends at another place than it was looked for: no head has its empty line before its end.
    if (used !== end) return used === broken ? broken : this.#fail("sent a head that is not well-formed")
    return from + end - before
  }

  /** Keeps bytes for the head; where it ends in what is kept, or -1. */
  #gather(bytes: Buffer, from: number, to: number): number {
    const before = this.#gatheredLength
    const taken = Math.min(to - from, headBytes + 1 - before)
    const needed = before + taken
    const old = this.#gathered
    if (old === undefined || old.length < needed) {
      this.#gathered = Buffer.allocUnsafeSlow(Math.max(1024, needed, 2 * (old?.length ?? 0)))
      old?.copy(this.#gathered, 0, 0, before)
    }
    const head = this.#gathered as Buffer
    bytes.copy(head, before, from, from + taken)
    this.#gatheredLength = needed
    for (let at = Math.max(1, before); at < needed; at++) {
      if (head[at] !== lf) continue
      if (head[at - 1] === lf || (at > 1 && head[at - 1] === cr && head[at - 2] === lf)) return at + 1
    }
    return -1
  }

  /** The offset behind a head that is complete between the offsets, `more` or `broken`. */
  #read(bytes: Buffer, from: number, to: number): number {
    if (!this.#startsRight(bytes, from, to)) return this.#noHttp(bytes, from, to)
    this.length = -1
    this.chunked = false
    this.close = false
    this.keepAlive = false
    let at = from
    for (;;) {
      const line = at
      // Control characters end the loop: only the end of the line may be one.
      let byte = 0
      while (at < to && ((byte = bytes[at] as number) >= space || byte === tab)) at++
      const end = at
      if (at < to && byte === cr) byte = ++at < to ? (bytes[at] as number) : lf
      if (at >= to) return this.#unfinished(bytes, from, to)
      if (byte !== lf) return this.#fail("sent a head with a control character in it")
      at++
      if (line === from) {
        if (!this.#statusLine(bytes, line, end)) return this.#noHttp(bytes, line, end)
      } else if (end === line) {
        return at - from > headBytes ? this.#tooLong() : at
      } else if (!this.#field(bytes, line, end)) {
        return broken
      }
    }
  }

  #unfinished(bytes: Buffer, from: number, to: number): number {
    // What was gathered before is complete by its own account.
    if (bytes === this.#gathered) return more
    if (to - from > headBytes) return this.#tooLong()
    this.#gather(bytes, from, to)
    return more
  }

  #startsRight(bytes: Buffer, from: number, to: number): boolean {
    const length = Math.min(start.length, to - from)
    for (let at = 0; at < length; at++) if (bytes[from + at] !== start[at]) return false
    return true
  }

  /** `HTTP/1.x SP 3 digits [SP reason]`, RFC 9112 section 4. */
  #statusLine(bytes: Buffer, from: number, end: number): boolean {
    if (end - from < 12 || (end - from > 12 && bytes[from + 12] !== space) || bytes[from + 8] !== space) return false
    const minor = (bytes[from + 7] as number) - 48
    const hundreds = (bytes[from + 9] as number) - 48
    const tens = (bytes[from + 10] as number) - 48
    const ones = (bytes[from + 11] as number) - 48
    if ((minor !== 0 && minor !== 1) || hundreds < 1 || hundreds > 9) return false
    if (tens < 0 || tens > 9 || ones < 0 || ones > 9) return false
    this.minor = minor
    this.status = hundreds * 100 + tens * 10 + ones
    return true
  }

  #field(bytes: Buffer, from: number, end: number): boolean {
    let at = from
    while (tokenByte[bytes[at] as number] === 1) at++
    if (at >= end || at === from || bytes[at] !== colon) {
      this.#fail(`sent a header line without a name: ${quoted(bytes, from, end)}`)
      return false
    }
    const length = at - from
    if (length !== fieldContentLength.length && length !== fieldTransferEncoding.length && length !== 10) return true
    let first = at + 1
    let last = end
    while (first < last && isBlank(bytes[first] as number)) first++
    while (last > first && isBlank(bytes[last - 1] as number)) last--
    if (isWord(bytes, from, at, fieldContentLength)) return this.#readLength(bytes, first, last)
    if (isWord(bytes, from, at, fieldTransferEncoding)) return this.#readCoding(bytes, first, last)
    if (isWord(bytes, from, at, fieldConnection)) this.#readConnection(bytes, first, last)
    return true
  }

  #readLength(bytes: Buffer, from: number, end: number): boolean {
    let length = 0
    let right = end > from
    for (let at = from; at < end; at++) {
      const digit = (bytes[at] as number) - 48
      if (digit < 0 || digit > 9) right = false
      length = length * 10 + digit
    }
    if (!right || length > Number.MAX_SAFE_INTEGER) {
      this.#fail(`sent a Content-Length that is no number: ${quoted(bytes, from, end)}`)
      return false
    }
    if (this.length >= 0 && this.length !== length) {
      this.#fail(`sent two Content-Lengths: ${this.length} and ${length}`)
      return false
    }
    this.length = length
    return true
  }

  #readCoding(bytes: Buffer, from: number, end: number): boolean {
    if (this.chunked || !isWord(bytes, from, end, valueChunked)) {
      this.#fail(`sent a Transfer-Encoding that was not asked for: ${quoted(bytes, from, end)}`)
      return false
    }
    this.chunked = true
    return true
  }

  #readConnection(bytes: Buffer, from: number, end: number): void {
    for (let at = from; at < end;) {
      while (at < end && (isBlank(bytes[at] as number) || bytes[at] === comma)) at++
      const word = at
      while (at < end && !isBlank(bytes[at] as number) && bytes[at] !== comma) at++
      if (isWord(bytes, word, at, valueClose)) this.close = true
      else if (isWord(bytes, word, at, valueKeepAlive)) this.keepAlive = true
    }
  }

  #noHttp(bytes: Buffer, from: number, to: number): number {
    return this.#fail(`does not begin with "HTTP/1.1" and a status: ${quoted(bytes, from, to)}`)
  }

  #tooLong(): number {
    return this.#fail(`sent a head of more than ${headBytes} bytes`)
  }

  #fail(what: string): typeof broken {
    this.fault = what
    return broken
  }
}

function isBlank(byte: number): boolean {
  return byte === space || byte === tab
}

/** Whether the bytes are this word, in whatever case; `word` is in lower case and has only letters and hyphens. */
function isWord(bytes: Buffer, from: number, end: number, word: Buffer): boolean {
  if (end - from !== word.length) return false
  for (let at = 0; at < word.length; at++) {
    const byte = bytes[from + at] as number
    // The bit that makes a letter small is set in a hyphen already; a CR would become one, but never comes here.
    if ((byte | 32) !== word[at]) return false
  }
  return true
}

/** The beginning of what a server said, for an error. */
function quoted(bytes: Buffer, from: number, to: number): string {
  const text = oneLine(bytes.toString("latin1", from, Math.min(to, from + 40)))
  return `"${text}${to - from > 40 ? "…" : ""}"`
}
