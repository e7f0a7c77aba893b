/** A received message, as the application sees it. */

import { utf8Decode } from "../../../../base/text.ts"
import type { Line, Member } from "../../core/line.ts"

/** Whom a message's answer goes to. */
export interface Answers {
  /** Undefined reason: it is done. */
  answer(message: Message, reason: string | undefined): void
}

export class Message implements Member<Message> {
  /** The message; it is the application's. */
  readonly bytes: Uint8Array
  /** Unique within the channel; grows in the order in which messages came in. */
  readonly id: number
  /** 1 at first; higher after it was given back. */
  readonly attempt: number
  /** Its place on the stream, and where it stands among those without an answer: for the receiver alone. */
  readonly number: number
  previous: Message | undefined
  next: Message | undefined
  line: Line<Message> | undefined
  readonly #answers: Answers

  /** Made by the receiver. */
  constructor(answers: Answers, number: number, id: number, attempt: number, bytes: Uint8Array) {
    this.#answers = answers
    this.number = number
    this.id = id
    this.attempt = attempt
    this.bytes = bytes
  }

  /** The message as text (UTF-8; what is none becomes U+FFFD). */
  text(): string {
    return utf8Decode(this.bytes)
  }

  /** The message as JSON. Throws `SyntaxError`. */
  json(): unknown {
    return JSON.parse(this.text())
  }

  /** It is dealt with: its sender hears that it has arrived. Called again, or behind `fail`, it does nothing. */
  done(): void {
    this.#answers.answer(this, undefined)
  }

  /** It could not be dealt with: it goes to another receiver, or where the channel's settings say. */
  fail(reason: string = "it failed"): void {
    this.#answers.answer(this, reason)
  }
}
