/**
 * Reads responses of HTTP/1.1 where they lie and makes nothing of them but a status, a length and a judgement: no strings,
 * no objects, in the usual case. Strict: whatever gives two answers to where a body ends is refused (RFC 9112 section 6.3),
 * and nothing is mended, because a tester shall say what is wrong with a server.
 */

import { ChunkedDecoder } from "../../../http1/chunked.ts"
import type { ChunkedSink } from "../../../http1/chunked.ts"
import { badResponse } from "../../../http1/http-error.ts"
import type { Message } from "../message/message.ts"
import { broken, more } from "./answer-reader.ts"
import type { AnswerReader } from "./answer-reader.ts"
import type { LoadError } from "./client.ts"
import { Judge } from "./judge.ts"
import { ResponseHead } from "./response-head.ts"

/** The most interim answers before one final: who sends more never answers. */
const interimAnswers = 100

const inHead = 0
const inLength = 1
const inChunks = 2
const untilEnd = 3

export class HttpAnswer implements AnswerReader {
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
  readonly #head: ResponseHead
  readonly #sink: ChunkedSink = { data: (part) => this.#takePart(part), end: () => undefined }

  constructor(where: string) {
    this.#where = where
    this.#judge = new Judge(where)
    this.#head = new ResponseHead()
  }

  begin(message: Message): boolean {
    const { bytes } = message
    this.bytes = 0
    this.wrong = undefined
    this.#state = inHead
    this.#interim = 0
    // "HEAD "
    this.#bodiless = bytes[0] === 72 && bytes[1] === 69 && bytes[2] === 65 && bytes[3] === 68 && bytes[4] === 32
    this.#judge.begin(message)
    return false
  }

  push(bytes: Buffer, from: number, to: number): number {
    let at = from
    while (at < to) {
      switch (this.#state) {
        case inHead: {
          const used = this.#head.push(bytes, at, to)
          if (used === broken) return this.#fail(this.#head.fault)
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

  /** From the decoder of chunks: a part of what it was given. */
  #takePart(part: Uint8Array): void {
    const source = this.#source as Buffer
    const from = part.byteOffset - source.byteOffset
    this.#judge.take(source, from, from + part.length)
  }

  #complete(used: number, bytes: number): number {
    this.bytes += bytes
    this.wrong = this.#judge.verdict(this.#head.status)
    return used
  }

  #readChunks(bytes: Buffer, from: number, to: number): number {
    const chunked = this.#chunked as ChunkedDecoder
    this.#source = bytes
    try {
      const used = chunked.push(to === bytes.length ? bytes : bytes.subarray(0, to), this.#sink, from)
      return chunked.done ? used : more
    } catch (thrown) {
      return this.#fail((thrown as Error).message)
    } finally {
      this.#source = undefined
    }
  }

  /** Decides where the body ends: `yes` when there is none, else `more` or `broken`. */
  #headRead(): number {
    const { status, length, chunked, minor, close, keepAlive } = this.#head
    if (chunked && length >= 0) return this.#fail("sent both Content-Length and Transfer-Encoding")
    if (chunked && minor === 0) return this.#fail("sent Transfer-Encoding in HTTP/1.0")
    if (status < 200) {
      if (status === 101) return this.#fail("switched the protocol, which nobody asked for")
      if (++this.#interim > interimAnswers) return this.#fail(`sent more than ${interimAnswers} interim answers`)
      return more
    }
    this.persists = !close && (minor === 1 || keepAlive)
    if (this.#bodiless || status === 204 || status === 304) return yes
    if (chunked) {
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

  #fail(what: string): typeof broken {
    this.fault = { kind: "protocol", detail: `${this.#where} ${what}` }
    return broken
  }
}

/** What `#headRead` says when the answer is complete. */
const yes = 0
