/**
 * Reads the heads of responses from a local service, one after the other; interim ones (1xx) too. It is kinder than the
 * reader of requests where no harm can follow, because the service is the user's own and a new head is written from what
 * is read here: LF alone ends a line, white space before a colon is dropped, the reason may be missing. What would change
 * where the body ends is refused all the same.
 */

import { FieldBlock } from "./field-block.ts"
import { badResponse, quote } from "./http-error.ts"
import type { ResponseHead } from "./head.ts"

export interface ReadResponse {
  readonly head: ResponseHead
  /** The offset in the chunk where the body, or the next response, starts. */
  readonly used: number
}

export interface ResponseReaderOptions {
  /** The most bytes of header fields. Default 32 KiB, so that the head as JSON stays within 64 KiB. */
  readonly fieldBytes?: number
}

export class ResponseReader {
  readonly #block: FieldBlock
  #line: StatusLine | undefined

  constructor(options: ResponseReaderOptions = {}) {
    this.#block = new FieldBlock({
      startLineBytes: 8 * 1024,
      fieldBytes: options.fieldBytes ?? 32 * 1024,
      lenient: true,
      fail: badResponse,
    })
  }

  /** Part of a head has arrived: the service had begun to answer. */
  get started(): boolean {
    return this.#block.started
  }

  /**
   * Takes bytes of `chunk` from `from` on; undefined when the head is not complete yet. The chunk is not kept. Throws
   * `bad_response`; the reader is of no use afterwards. How the body ends is told by `responseFraming`.
   */
  push(chunk: Uint8Array, from = 0): ReadResponse | undefined {
    const block = this.#block
    let used: number
    try {
      used = block.push(chunk, from)
    } catch (error) {
      this.#readLine()
      throw error
    }
    const line = this.#readLine()
    if (used < 0 || line === undefined) return undefined
    const head: ResponseHead = { status: line.status, reason: line.reason, minor: line.minor, headers: block.fields() }
    block.reset()
    this.#line = undefined
    return { head, used }
  }

  #readLine(): StatusLine | undefined {
    if (this.#line === undefined) {
      const text = this.#block.startLine()
      if (text !== undefined) this.#line = readLine(text)
    }
    return this.#line
  }
}

interface StatusLine {
  readonly status: number
  readonly reason: string
  readonly minor: 0 | 1
}

/** `HTTP/1.x SP 3 digits [SP reason]`, RFC 9112 section 4. */
function readLine(line: string): StatusLine {
  const minor = line.charCodeAt(7) - 48
  const hundreds = line.charCodeAt(9) - 48
  const tens = line.charCodeAt(10) - 48
  const ones = line.charCodeAt(11) - 48
  const wellFormed =
    line.startsWith("HTTP/1.") &&
    line.charCodeAt(8) === 32 &&
    hundreds >= 1 &&
    hundreds <= 9 &&
    isDigit(tens) &&
    isDigit(ones) &&
    (line.length === 12 || line.charCodeAt(12) === 32)
  if (!wellFormed || (minor !== 0 && minor !== 1)) {
    throw badResponse(502, `it does not start with "HTTP/1.1" and a status: ${quote(line)}`)
  }
  return { status: hundreds * 100 + tens * 10 + ones, reason: line.slice(13), minor }
}

function isDigit(value: number): boolean {
  return value >= 0 && value <= 9
}
