/**
 * Compares an answer with what was expected, while it arrives: an echo byte for byte, a size by counting. Only a pattern
 * needs the answer as a whole, so only then it is gathered, up to a limit.
 */

import { emptyBytes } from "../../../base/bytes.ts"
import type { Message } from "../message/message.ts"
import type { Expectation } from "../scenario/scenario.ts"
import type { LoadError } from "./client.ts"

/** The most that is gathered for a pattern; a longer answer is wrong. */
export const gatherBytes: number = 1024 * 1024
/** More memory than this is not kept from answer to answer. */
const keptBytes = 64 * 1024
/** Up to here a loop is faster than a native call. */
const loopBytes = 64

const noBytes = Buffer.alloc(0)
const nothing: Expectation = { kind: "any" }

export class Judge {
  readonly #where: string
  #expect: Expectation = nothing
  #content: Uint8Array = emptyBytes
  #length = 0
  /** Where an echo differs first; -1: nowhere yet. */
  #differs = -1
  #gathered: Buffer = noBytes
  #patternOf: Expectation | undefined
  #pattern: RegExp | undefined

  /** `where` names the target in errors. */
  constructor(where: string) {
    this.#where = where
  }

  /** Of the content that was taken. */
  get length(): number {
    return this.#length
  }

  /** Its content is longer than what is searched for a pattern. */
  get overfull(): boolean {
    return this.#expect.kind === "match" && this.#length > gatherBytes
  }

  begin(message: Message): void {
    this.#expect = message.expect
    this.#content = message.content
    this.#length = 0
    this.#differs = -1
    if (this.#gathered.length > keptBytes) this.#gathered = noBytes
  }

  /** The next bytes of the content. */
  take(bytes: Buffer, from: number, to: number): void {
    const at = this.#length
    this.#length = at + to - from
    if (this.#expect.kind === "echo") {
      if (this.#differs < 0) this.#compare(bytes, from, to, at)
    } else if (this.#expect.kind === "match") {
      if (this.#length <= gatherBytes) this.#gather(bytes, from, to, at)
    }
  }

  /** What was taken so far has the pattern in it. */
  matches(): boolean {
    const expect = this.#expect
    if (expect.kind !== "match") return false
    if (this.#patternOf !== expect) {
      this.#patternOf = expect
      // Where a search shall start is nothing to remember from answer to answer.
      this.#pattern = new RegExp(expect.pattern, expect.flags.replace(/[gy]/g, ""))
    }
    return (this.#pattern as RegExp).test(this.#gathered.toString("utf8", 0, Math.min(this.#length, gatherBytes)))
  }

  /** The content is complete; `status` is that of HTTP. */
  verdict(status?: number): LoadError | undefined {
    const expect = this.#expect
    if (status !== undefined) {
      if (expect.kind === "status" && expect.codes.length > 0) {
        return expect.codes.includes(status) ? undefined : this.#status(status)
      }
      if (status >= 400 && expect.kind !== "any") return this.#status(status)
    }
    switch (expect.kind) {
      case "echo":
        if (this.#length === this.#content.length && this.#differs < 0) return undefined
        return this.wrong(
          this.#differs < 0 || this.#differs >= this.#content.length
            ? `echoed ${this.#length} bytes instead of ${this.#content.length}`
            : `echoed another byte than was sent, at ${this.#differs} of ${this.#content.length}`,
        )
      case "size":
        if (this.#length === expect.bytes) return undefined
        return this.wrong(`answered ${this.#length} bytes instead of ${expect.bytes}`)
      case "match":
        if (this.overfull) return this.wrong(`answered more than the ${gatherBytes} bytes that are searched`)
        if (this.matches()) return undefined
        return this.wrong(`answered ${this.#length} bytes without a match of /${expect.pattern}/${expect.flags}`)
      case "any":
      case "status":
        return undefined
    }
  }

  wrong(what: string): LoadError {
    return { kind: "wrong answer", detail: `${this.#where} ${what}` }
  }

  #status(status: number): LoadError {
    return { kind: "status", detail: `${this.#where} answered with status ${status}` }
  }

  #compare(bytes: Buffer, from: number, to: number, at: number): void {
    const content = this.#content
    const end = Math.min(to, from + content.length - at)
    if (end - from > loopBytes && bytes.compare(content, at, at + end - from, from, end) === 0) from = end
    else at -= from
    for (; from < end; from++) {
      if (bytes[from] !== content[at + from]) {
        this.#differs = at + from
        return
      }
    }
    if (end < to) this.#differs = content.length
  }

  #gather(bytes: Buffer, from: number, to: number, at: number): void {
    const needed = at + to - from
    if (needed > this.#gathered.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(gatherBytes, Math.max(4096, needed, this.#gathered.length * 2)))
      this.#gathered.copy(larger, 0, 0, at)
      this.#gathered = larger
    }
    bytes.copy(this.#gathered, at, from, to)
  }
}
