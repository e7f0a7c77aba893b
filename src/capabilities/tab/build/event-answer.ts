/** An event stream (HTML standard, section 9.2) that this process sends itself, as the visitor's side takes it for a stream. */

import { RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import { utf8Encode } from "../../../base/text.ts"

export interface EventAnswerOptions {
  readonly header: JsonObject
  /** Names and values beside the type. */
  readonly fields: readonly string[]
  readonly onOpen: (answer: EventAnswer) => void
  readonly onOver: (answer: EventAnswer) => void
}

export class EventAnswer implements Stream {
  readonly id = 0
  readonly service = "tab/dev"
  readonly header: JsonObject
  readonly #options: EventAnswerOptions
  #sink: StreamSink | undefined
  #isOver = false

  constructor(options: EventAnswerOptions) {
    this.#options = options
    this.header = options.header
  }

  attach(sink: StreamSink): void {
    const isFirst = this.#sink === undefined
    this.#sink = sink
    if (isFirst) queueMicrotask(() => this.#begin())
  }

  /** One line of text. Few come, and they are small: nothing waits for who does not read. */
  send(line: string): void {
    if (!this.#isOver) this.#sink?.data(utf8Encode(`data: ${line}\n\n`))
  }

  close(): void {
    if (this.#isOver) return
    this.#sink?.end()
    this.#over(undefined)
  }

  write(): boolean {
    return true
  }

  meta(): boolean {
    return true
  }

  end(): void {
    // A request has no body here.
  }

  consumed(): void {
    // Nothing is waited for.
  }

  reset(code: ErrorCode, reason?: string): void {
    this.#over(new RdvError(code, reason))
  }

  #begin(): void {
    if (this.#isOver) return
    const headers = ["Content-Type", "text/event-stream", "Cache-Control", "no-store", ...this.#options.fields]
    this.#sink?.meta({ status: 200, reason: "OK", headers })
    this.#options.onOpen(this)
  }

  #over(error: RdvError | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#options.onOver(this)
    this.#sink?.closed(error)
  }
}
