/** Answers on a plain byte stream: lines, lengths in front, fixed sizes, or as many bytes as are expected. */

import type { Message } from "../message/message.ts"
import type { Expectation, Framing } from "../scenario/scenario.ts"
import { more } from "./answer-reader.ts"
import type { AnswerReader } from "./answer-reader.ts"
import type { LoadError } from "./client.ts"
import { Judge } from "./judge.ts"

const lineFeed = 10
/** Up to here a loop is faster than a native search. */
const loopBytes = 64

export class FramedAnswer implements AnswerReader {
  readonly #framing: Framing
  readonly #judge: Judge
  bytes = 0
  wrong: LoadError | undefined
  readonly fault: LoadError | undefined = undefined
  persists = true
  boundless: boolean
  /** Content that is still to come, where that is known; -1: the length in front is not complete. */
  #left = 0
  /** Bytes of the length in front that have come, and their value. */
  #prefix = 0
  #value = 0

  /** `expect` is what most messages expect: it tells whether bytes may come before the first one. */
  constructor(framing: Framing, expect: Expectation, where: string) {
    this.#framing = framing
    this.#judge = new Judge(where)
    this.boundless = framing.kind === "none" && isBoundless(expect)
  }

  begin(message: Message): boolean {
    const { expect } = message
    this.bytes = 0
    this.wrong = undefined
    this.#judge.begin(message)
    switch (this.#framing.kind) {
      case "none":
        this.boundless = isBoundless(expect)
        this.#left = expect.kind === "size" ? expect.bytes : message.content.length
        return !this.boundless && this.#left === 0
      case "fixed":
        this.#left = this.#framing.bytes
        return this.#left === 0
      case "length":
        this.#left = -1
        this.#prefix = 0
        this.#value = 0
        return false
      case "newline":
        return false
    }
  }

  push(bytes: Buffer, from: number, to: number): number {
    const used = this.#find(bytes, from, to)
    this.bytes += (used < 0 ? to : used) - from
    // Without a bound it is complete because it is right, or because there is too much of it.
    if (used >= 0) this.wrong = this.boundless && !this.#judge.overfull ? undefined : this.#judge.verdict()
    return used
  }

  end(): boolean {
    return false
  }

  #find(bytes: Buffer, from: number, to: number): number {
    switch (this.#framing.kind) {
      case "none":
        return this.boundless ? this.#untilRight(bytes, from, to) : this.#exactly(bytes, from, to)
      case "newline": {
        const end = findLineFeed(bytes, from, to)
        this.#judge.take(bytes, from, end < 0 ? to : end)
        return end < 0 ? more : end + 1
      }
      case "length":
        return this.#prefixed(bytes, from, to, this.#framing.bytes)
      case "fixed":
        return this.#counted(bytes, from, to)
    }
  }

  /** Without framing: more bytes than expected are of the same answer, and it is wrong. */
  #exactly(bytes: Buffer, from: number, to: number): number {
    const used = this.#counted(bytes, from, to)
    if (used < 0 || used === to) return used
    this.#judge.take(bytes, used, to)
    // Nobody knows how much of it is still to come.
    this.persists = false
    return to
  }

  #untilRight(bytes: Buffer, from: number, to: number): number {
    const judge = this.#judge
    judge.take(bytes, from, to)
    if (judge.verdict() === undefined) return to
    if (!judge.overfull) return more
    this.persists = false
    return to
  }

  #prefixed(bytes: Buffer, from: number, to: number, size: number): number {
    let at = from
    while (this.#prefix < size) {
      if (at === to) return more
      this.#value = this.#value * 256 + (bytes[at++] as number)
      this.#prefix++
    }
    if (this.#left < 0) this.#left = this.#value
    return this.#counted(bytes, at, to)
  }

  #counted(bytes: Buffer, from: number, to: number): number {
    const end = Math.min(to, from + this.#left)
    this.#left -= end - from
    this.#judge.take(bytes, from, end)
    return this.#left === 0 ? end : more
  }
}

/** Without framing, nothing but the wish itself says that it is fulfilled. */
function isBoundless(expect: Expectation): boolean {
  return expect.kind === "any" || expect.kind === "match" || expect.kind === "status"
}

function findLineFeed(bytes: Buffer, from: number, to: number): number {
  const loopEnd = Math.min(to, from + loopBytes)
  for (let at = from; at < loopEnd; at++) if (bytes[at] === lineFeed) return at
  if (loopEnd === to) return -1
  const found = bytes.subarray(loopEnd, to).indexOf(lineFeed)
  return found < 0 ? -1 : loopEnd + found
}
