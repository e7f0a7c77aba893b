/**
 * Shapes as people write them:
 *
 *     100                                        sine 500±200 every 10s for 1m
 *     constant 100/s for 10s                     sawtooth 0..100 every 5s for 30s
 *     ramp 0..1000 for 30s                       spike 100 to 1000 every 10s width 1s for 1m
 *     step 100 by 50 every 5s until 500 for 1m   replay times.csv
 */

import { isAbsolute, join } from "node:path"
import { RdvError } from "../../../base/error.ts"
import { aboveZero, readDuration, readRate, wrong } from "../../../config/quantity.ts"
import type { TextReader } from "../../../config/quantity.ts"
import type { ShapePlan } from "./scenario.ts"
import type { WrittenPhase } from "./settings.ts"
import { readInstants } from "./instants-file.ts"

const forms = {
  constant: "constant 100 for 10s",
  ramp: "ramp 0..1000 for 30s",
  step: "step 100 by 50 every 5s until 500 for 1m",
  sine: "sine 500±200 every 10s for 1m",
  sawtooth: "sawtooth 0..100 every 5s for 30s",
  spike: "spike 100 to 1000 every 10s width 1s for 1m",
  replay: "replay times.csv",
} as const

type Kind = keyof typeof forms

/** Throws `usage`. Paths are relative to `folder`. */
export function readPhase(text: string, folder: string): WrittenPhase {
  const [first = "", ...rest] = joined(text).split(/\s+/)
  const kind = first.replace("-", "") as Kind
  try {
    if (/^\d/.test(first)) return finish("constant", new Words([first, ...rest]))
    if (!Object.hasOwn(forms, kind))
      throw wrong(first, "is no shape", `write ${Object.keys(forms).join(", ")} or a number`)
    if (kind === "replay") return replay(rest, folder)
    return finish(kind, new Words(rest))
  } catch (error) {
    if (!(error instanceof RdvError) || joined(text) === first) throw error
    throw new RdvError("usage", `${JSON.stringify(text)}: ${error.message}`, { mend: error.mend ?? forms[kind] })
  }
}

/** What belongs together, without space between. */
function joined(text: string): string {
  return text
    .trim()
    .replace(/\s*\.\.\s*/g, "..")
    .replace(/\s*(?:±|\+\/?-)\s*/g, "±")
}

function finish(kind: Exclude<Kind, "replay">, words: Words): WrittenPhase {
  const shape = readShape(kind, words)
  const durationMs = words.optional("for", span)
  words.end()
  return { shape, durationMs, perTime: words.perTime }
}

function readShape(kind: Exclude<Kind, "replay">, words: Words): ShapePlan {
  const example = forms[kind]
  switch (kind) {
    case "constant":
      return { kind, value: words.value(example) }
    case "ramp": {
      const [from, to] = words.pair("..", example)
      return { kind, from, to }
    }
    case "step": {
      const from = words.value(example)
      const step = words.after("by", example, (text) => text)
      const everyMs = words.after("every", example, span)
      const until = words.after("until", example, words.number)
      const by = (step.startsWith("-") ? -1 : 1) * words.number(step.replace(/^-/, ""))
      if (by === 0 || (until - from) / by < 0) {
        throw wrong(
          step,
          `does not lead from ${from} to ${until}`,
          until < from ? "write a step below 0" : "write a step above 0",
        )
      }
      return { kind, from, by, everyMs, until }
    }
    case "sine": {
      const [mean, amplitude] = words.pair("±", example)
      return { kind, mean, amplitude, periodMs: words.after("every", example, span) }
    }
    case "sawtooth": {
      const [from, to] = words.pair("..", example)
      return { kind, from, to, periodMs: words.after("every", example, span) }
    }
    case "spike": {
      const base = words.value(example)
      const peak = words.after("to", example, words.number)
      const everyMs = words.after("every", example, span)
      const widthMs = words.after("width", example, span)
      if (widthMs > everyMs)
        throw new RdvError("usage", "the spike is wider than the time between two", { mend: "make it narrower" })
      return { kind, base, peak, everyMs, widthMs }
    }
  }
}

function replay(words: readonly string[], folder: string): WrittenPhase {
  const timed = words.length > 2 && words.at(-2) === "for"
  const file = (timed ? words.slice(0, -2) : words).join(" ")
  if (file === "") throw new RdvError("usage", "no file is named", { mend: `write ${forms.replay}` })
  const atMs = readInstants(isAbsolute(file) ? file : join(folder, file))
  const durationMs = timed ? span(words.at(-1) as string) : undefined
  return { shape: { kind: "replay", atMs }, durationMs, perTime: false }
}

/** Nobody means less, and each period is work. */
const span: TextReader<number> = (text) => {
  const ms = aboveZero(readDuration)(text)
  if (ms >= 1) return ms
  throw wrong(text, "is too short", "give at least 1ms")
}

/** Above it no generator is near. */
const mostValue = 1e9

class Words {
  readonly #words: string[]
  perTime = false

  constructor(words: readonly string[]) {
    this.#words = [...words]
  }

  readonly number = (text: string): number => {
    if (!/^\d{1,12}(?:\.\d{1,9})?(?:\/[smh])?$/.test(text)) throw wrong(text, "is not a number", "write 500 or 500/s")
    if (text.includes("/")) this.perTime = true
    const value = readRate(text)
    if (value <= mostValue) return value
    throw wrong(text, "is too much", `give at most ${mostValue}`)
  }

  value(example: string): number {
    return this.number(this.#next("a number", example))
  }

  pair(sign: string, example: string): [number, number] {
    const text = this.#next(`two numbers with ${sign} between them`, example)
    const [first = "", second = "", ...more] = text.split(sign)
    if (first === "" || second === "" || more.length > 0) {
      throw wrong(text, `is not two numbers with ${sign} between them`, `write ${example}`)
    }
    return [this.number(first), this.number(second)]
  }

  after<Value>(word: string, example: string, reader: TextReader<Value>): Value {
    const found = this.#words[0]
    if (found !== word) {
      const instead = found === undefined ? "" : `, and there is ${JSON.stringify(found)}`
      throw new RdvError("usage", `"${word}" is wanted next${instead}`, { mend: `write ${example}` })
    }
    this.#words.shift()
    return reader(this.#next(`a value behind "${word}"`, example))
  }

  optional<Value>(word: string, reader: TextReader<Value>): Value | undefined {
    return this.#words[0] === word ? this.after(word, `${word} 30s`, reader) : undefined
  }

  end(): void {
    const [left] = this.#words
    if (left !== undefined) throw wrong(left, "is one word too many", 'only "for 30s" can stand there')
  }

  #next(wanted: string, example: string): string {
    const word = this.#words.shift()
    if (word !== undefined) return word
    throw new RdvError("usage", `${wanted} is missing`, { mend: `write ${example}` })
  }
}
