/**
 * Reads responses of HTTP/1.1 where they lie and makes nothing of them but a status, a length and a judgement: no strings,
 * no objects, in the usual case. Strict: whatever gives two answers to where a body ends is refused (RFC 9112 section 6.3),
 * and nothing is mended, because a tester shall say what is wrong with a server.
 */

import { ChunkedDecoder } from "../../../http1/chunked.ts"
import type { ChunkedSink } from "../../../http1/chunked.ts"
import { tokenByte } from "../../../http1/grammar.ts"
import { badResponse } from "../../../http1/http-error.ts"
import type { Message } from "../message/message.ts"
import { broken, more } from "./answer-reader.ts"
import type { AnswerReader } from "./answer-reader.ts"
import type { LoadError } from "./client.ts"
import { Judge } from "./judge.ts"
import { oneLine } from "./load-error.ts"

/** The most bytes of one head. */
const headBytes = 64 * 1024
/** The most interim answers before one final: who sends more never answers. */
const interimAnswers = 100

const cr = 13
const lf = 10
const tab = 9
const space = 32
const colon = 58
const start = Buffer.from("HTTP/1.")
const fieldContentLength = Buffer.from("content-length")
const fieldTransferEncoding = Buffer.from("transfer-encoding")
const fieldConnection = Buffer.from("connection")
const valueChunked = Buffer.from("chunked")
const valueClose = Buffer.from("close")
const valueKeepAlive = Buffer.from("keep-alive")

const inHead = 0
const inLength = 1
const inChunks = 2
const untilEnd = 3

export class HttpAnswer implements AnswerReader, ChunkedSink {
  readonly #where: string
  readonly #judge: Judge
  bytes = 0
  wrong: LoadError | undefined
  fault: LoadError | undefined
  persists = true
  readonly boundless = false
  #state = inHead
  /** Body bytes still to come. */
  #left = 0
  #chunked: ChunkedDecoder | undefined
  /** What arrived is `push`'s until it returns. */
  #source: Buffer | undefined
  /** The request was HEAD. */
  #bodiless = false
  #interim = 0
  /** The beginning of a head of which more is to come. */
  #head: Buffer | undefined
  #headLength = 0
  // Of the head that is read.
  #status = 0
  #minor = 1
  /** -1: no such field. */
  #contentLength = -1
  #codings = false
  #close = false
  #keepAlive = false

  constructor(where: string) {
    this.#where = where
    this.#judge = new Judge(where)
  }

  begin(message: Message): boolean {
    const { bytes } = message
    this.bytes = 0
    this.wrong = undefined
    this.#state = inHead
    this.#interim = 0
    // "HEAD "
    this.#bodiless = bytes[0] === 72 && bytes[1] === 69 && bytes[2] === 65 && bytes[3] === 68 && bytes[4] === space
    this.#judge.begin(message)
    return false
  }

  push(bytes: Buffer, from: number, to: number): number {
    let at = from
    while (at < to) {
      switch (this.#state) {
        case inHead: {
          const used = this.#headLength === 0 ? this.#readHead(bytes, at, to) : this.#readSplit(bytes, at, to)
          if (used === broken) return broken
          if (used === more) {
            this.bytes += to - from
            return more
          }
          at = used
          const complete = this.#headRead()
          if (complete === broken) return broken
          if (complete === yes) return this.#complete(at, at - from)
          break
        }
        case inLength: {
          const end = Math.min(to, at + this.#left)
          this.#left -= end - at
          this.#judge.take(bytes, at, end)
          if (this.#left === 0) return this.#complete(end, end - from)
          this.bytes += to - from
          return more
        }
        case inChunks: {
          const used = this.#readChunks(bytes, at, to)
          if (used === broken) return broken
          if (used >= 0) return this.#complete(used, used - from)
          this.bytes += to - from
          return more
        }
        default:
          this.#judge.take(bytes, at, to)
          this.bytes += to - from
          return more
      }
    }
    this.bytes += to - from
    return more
  }

  end(): boolean {
    if (this.#state !== untilEnd) return false
    this.#complete(0, 0)
    return true
  }

  /** For the decoder of chunks: a part of what it was given. */
  data(part: Uint8Array): void {
    const source = this.#source as Buffer
    const from = part.byteOffset - source.byteOffset
    this.#judge.take(source, from, from + part.length)
  }

  #complete(used: number, bytes: number): number {
    this.bytes += bytes
    this.wrong = this.#judge.verdict(this.#status)
    return used
  }

  #readChunks(bytes: Buffer, from: number, to: number): number {
    const chunked = this.#chunked as ChunkedDecoder
    this.#source = bytes
    try {
      const used = chunked.push(to === bytes.length ? bytes : bytes.subarray(0, to), this, from)
      return chunked.done ? used : more
    } catch (thrown) {
      return this.#fail((thrown as Error).message)
    } finally {
      this.#source = undefined
    }
  }

  /** A head that comes in parts is gathered, and looked at when its empty line is there. */
  #readSplit(bytes: Buffer, from: number, to: number): number {
    const before = this.#headLength
    const end = this.#gather(bytes, from, to)
    const head = this.#head as Buffer
    if (end < 0) {
      if (this.#headLength > headBytes) return this.#tooLong()
      return this.#startsRight(head, 0, this.#headLength) ? more : this.#noHttp(head, 0, this.#headLength)
    }
    this.#headLength = 0
    const used = this.#readHead(head, 0, end)
    if (head.length > keptHeadBytes) this.#head = undefined
    // It ends at another place than it was looked for: no head has its empty line before its end.
    if (used !== end) return used === broken ? broken : this.#fail("sent a head that is not well-formed")
    return from + end - before
  }

  /** Keeps bytes for the head; where it ends in what is kept, or -1. */
  #gather(bytes: Buffer, from: number, to: number): number {
    const before = this.#headLength
    const taken = Math.min(to - from, headBytes + 1 - before)
    const needed = before + taken
    const old = this.#head
    if (old === undefined || old.length < needed) {
      this.#head = Buffer.allocUnsafeSlow(Math.max(1024, needed, 2 * (old?.length ?? 0)))
      old?.copy(this.#head, 0, 0, before)
    }
    const head = this.#head as Buffer
    bytes.copy(head, before, from, from + taken)
    this.#headLength = needed
    for (let at = Math.max(1, before); at < needed; at++) {
      if (head[at] !== lf) continue
      if (head[at - 1] === lf || (at > 1 && head[at - 1] === cr && head[at - 2] === lf)) return at + 1
    }
    return -1
  }

  /** The offset behind a head that is complete between the offsets, `more` or `broken`. */
  #readHead(bytes: Buffer, from: number, to: number): number {
    if (!this.#startsRight(bytes, from, to)) return this.#noHttp(bytes, from, to)
    this.#contentLength = -1
    this.#codings = false
    this.#close = false
    this.#keepAlive = false
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
    if (bytes === this.#head) return more
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
    this.#minor = minor
    this.#status = hundreds * 100 + tens * 10 + ones
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
    if (this.#contentLength >= 0 && this.#contentLength !== length) {
      this.#fail(`sent two Content-Lengths: ${this.#contentLength} and ${length}`)
      return false
    }
    this.#contentLength = length
    return true
  }

  #readCoding(bytes: Buffer, from: number, end: number): boolean {
    if (this.#codings || !isWord(bytes, from, end, valueChunked)) {
      this.#fail(`sent a Transfer-Encoding that was not asked for: ${quoted(bytes, from, end)}`)
      return false
    }
    this.#codings = true
    return true
  }

  #readConnection(bytes: Buffer, from: number, end: number): void {
    for (let at = from; at < end;) {
      while (at < end && (isBlank(bytes[at] as number) || bytes[at] === comma)) at++
      const word = at
      while (at < end && !isBlank(bytes[at] as number) && bytes[at] !== comma) at++
      if (isWord(bytes, word, at, valueClose)) this.#close = true
      else if (isWord(bytes, word, at, valueKeepAlive)) this.#keepAlive = true
    }
  }

  /** Decides where the body ends: `yes` when there is none, else `more` or `broken`. */
  #headRead(): number {
    const status = this.#status
    const length = this.#contentLength
    if (this.#codings && length >= 0) return this.#fail("sent both Content-Length and Transfer-Encoding")
    if (this.#codings && this.#minor === 0) return this.#fail("sent Transfer-Encoding in HTTP/1.0")
    if (status < 200) {
      if (status === 101) return this.#fail("switched the protocol, which nobody asked for")
      if (++this.#interim > interimAnswers) return this.#fail(`sent more than ${interimAnswers} interim answers`)
      return more
    }
    this.persists = !this.#close && (this.#minor === 1 || this.#keepAlive)
    if (this.#bodiless || status === 204 || status === 304) return yes
    if (this.#codings) {
      this.#state = inChunks
      this.#chunked = new ChunkedDecoder(badResponse)
    } else if (length >= 0) {
      if (length === 0) return yes
      this.#state = inLength
      this.#left = length
    } else {
      this.#state = untilEnd
      this.persists = false
    }
    return more
  }

  #noHttp(bytes: Buffer, from: number, to: number): number {
    return this.#fail(`does not begin with "HTTP/1.1" and a status: ${quoted(bytes, from, to)}`)
  }

  #tooLong(): number {
    return this.#fail(`sent a head of more than ${headBytes} bytes`)
  }

  #fail(what: string): typeof broken {
    this.fault = { kind: "protocol", detail: `${this.#where} ${what}` }
    return broken
  }
}

/** What `#headRead` says when the answer is complete. */
const yes = 0
const comma = 44
/** A larger one is not kept from head to head. */
const keptHeadBytes = 4096

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
