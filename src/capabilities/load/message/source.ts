/** Makes the messages of a run. What is the same each time is made once. */

import { RdvError } from "../../../base/error.ts"
import { SeededRandom } from "../../../base/random.ts"
import type { Expectation, Framing, MessageEntry, MessagePlan } from "../scenario/scenario.ts"
import { framed } from "./framed.ts"
import type { Message, MessageSource } from "./message.ts"
import { compileTemplate } from "./template.ts"
import type { TemplateValues } from "./template.ts"

export interface SourceOptions {
  readonly plan: Exclude<MessagePlan, { kind: "http" }>
  readonly framing: Framing
  readonly expect: Expectation
  readonly random: SeededRandom
  /** What a text of a sequence stands for; by default its bytes. */
  readonly compose?: (text: string) => Pick<Message, "bytes" | "content">
}

/** Throws `usage` when a message does not fit the framing, or has a place that cannot be filled. */
export function createSource(options: SourceOptions): MessageSource {
  const { plan, framing, expect, random } = options
  switch (plan.kind) {
    case "text":
      return sequence([{ weight: 1, text: plan.text }], options)
    case "bytes":
      return same(message(Buffer.from(plan.base64, "base64"), framing, expect))
    case "random":
      return new RandomSource(plan.bytes, framing, expect, random)
    case "sequence":
      return sequence(plan.entries, options)
  }
}

/** The same message each time. */
export function same(message: Message): MessageSource {
  return { next: () => message }
}

function message(content: Uint8Array, framing: Framing, expect: Expectation): Message {
  return { bytes: framed(content, framing), content, expect }
}

/** A fresh fill for each message costs more than sending it; so many different ones show what a cache or a compressor hides. */
const variants = 64
const variantBytes = 8 * 1024 * 1024

class RandomSource implements MessageSource {
  readonly #messages: readonly Message[]
  readonly #random: SeededRandom

  constructor(bytes: number, framing: Framing, expect: Expectation, random: SeededRandom) {
    this.#random = random
    const count = Math.max(1, Math.min(variants, Math.floor(variantBytes / Math.max(1, bytes))))
    this.#messages = Array.from({ length: count }, () => {
      const content = new Uint8Array(bytes)
      random.fill(content)
      // A line feed would end the message.
      if (framing.kind === "newline") for (const [at, byte] of content.entries()) if (byte === 10) content[at] = 11
      return message(content, framing, expect)
    })
  }

  next(): Message {
    const { length } = this.#messages
    return this.#messages[length === 1 ? 0 : this.#random.u32() % length] as Message
  }
}

function sequence(entries: readonly MessageEntry[], options: SourceOptions): MessageSource {
  const made = entries.map((entry) => entrySource(entry, options))
  const [first] = made
  if (first === undefined) throw new RdvError("usage", "There is no message to send", { mend: "give at least one" })
  return made.length === 1 ? first : new WeightedSource(entries, made, options.random)
}

class WeightedSource implements MessageSource {
  readonly #sources: readonly MessageSource[]
  readonly #bounds: readonly number[]
  readonly #random: SeededRandom

  constructor(entries: readonly MessageEntry[], sources: readonly MessageSource[], random: SeededRandom) {
    let sum = 0
    this.#bounds = entries.map(({ weight }) => (sum += weight))
    this.#sources = sources
    this.#random = random
  }

  next(): Message {
    const at = this.#random.fraction() * (this.#bounds.at(-1) as number)
    const index = this.#bounds.findIndex((bound) => at < bound)
    return (this.#sources[index] as MessageSource).next()
  }
}

function entrySource({ text, expect }: MessageEntry, options: SourceOptions): MessageSource {
  const { framing, random, compose } = options
  const expectation = expect ?? options.expect
  const make = (filled: string): Message =>
    compose === undefined
      ? message(Buffer.from(filled), framing, expectation)
      : { ...compose(filled), expect: expectation }
  const template = compileTemplate(text)
  if (typeof template === "string") return same(make(template))
  // What cannot be sent is told before the run.
  make(template({ counter: () => 1, random: new SeededRandom(1) }))
  let count = 0
  const values: TemplateValues = { counter: () => ++count, random }
  return { next: () => make(template(values)) }
}
