/** The lines of one write: some of them wait at the channel at a time, in order, and the write is answered with the last. */

import type { NinepError } from "../../../ninep/errno.ts"
import type { Writer } from "../core/writer.ts"
import { FileSending } from "./file-sending.ts"
import type { SendWays } from "./file-sending.ts"
import { lineAt } from "./line-cutter.ts"

/** Enough to keep fast readers busy, and little beside what may wait at a channel. */
const atOnce = 32

export class LineBatch {
  readonly #writer: Writer
  /** Whole lines, in one piece. Their bytes are reserved until the channel reserves them. */
  readonly #lines: Uint8Array
  readonly #ways: SendWays
  readonly #told: (error: NinepError | undefined) => void
  readonly #waiting: Set<FileSending> = new Set()
  /** Where the next line begins. */
  #next = 0
  #isOver = false
  #isSending = false

  /**
   * `told` hears once: all lines have arrived, or why one of them did not; those behind it are withdrawn then. The bytes of
   * `lines` are reserved already.
   */
  constructor(writer: Writer, lines: Uint8Array, ways: SendWays, told: (error: NinepError | undefined) => void) {
    this.#writer = writer
    this.#lines = lines
    this.#ways = ways
    this.#told = told
  }

  get isOver(): boolean {
    return this.#isOver
  }

  send(): void {
    // What is settled at once comes back here before `send` returns; the loop that runs goes on with it.
    if (this.#isSending) return
    this.#isSending = true
    while (!this.#isOver && this.#waiting.size < atOnce && this.#next < this.#lines.length) this.#sendOne()
    this.#isSending = false
    if (!this.#isOver && this.#waiting.size === 0) this.#end(undefined)
  }

  /**
   * Nobody waits for the answer any more: what no receiver has is withdrawn, in silence. True when all lines had found their
   * receivers, so that the write has happened.
   */
  abandon(): boolean {
    if (this.#isOver) return false
    const isComplete = this.#next === this.#lines.length
    return this.#withdraw() === 0 && isComplete
  }

  #sendOne(): void {
    const line = lineAt(this.#lines, this.#next)
    this.#next += line.length
    this.#ways.memory.free(line.length)
    const sending = new FileSending(this.#writer, line, (error) => {
      this.#waiting.delete(sending)
      if (this.#isOver) return
      if (error !== undefined) this.#end(error)
      else this.send()
    })
    this.#waiting.add(sending)
    sending.send(this.#ways)
  }

  #end(error: NinepError | undefined): void {
    this.#withdraw()
    this.#told(error)
  }

  /** How many were withdrawn. */
  #withdraw(): number {
    this.#isOver = true
    this.#ways.memory.free(this.#lines.length - this.#next)
    this.#next = this.#lines.length
    let withdrawn = 0
    // From the last one on: a receiver that comes meanwhile must not get a later line without the earlier ones.
    for (const sending of [...this.#waiting].toReversed()) {
      if (sending.withdraw()) withdrawn++
      else sending.entrust()
    }
    this.#waiting.clear()
    return withdrawn
  }
}
