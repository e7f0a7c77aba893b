/** How single values are spelled: times, rates, shares, words, paths. */

import { dirname, resolve } from "node:path"
import type { JsonObject } from "../../../base/json.ts"
import { readByteRate, readDuration, readPercent, readRate, wrong } from "../../../config/quantity.ts"
import type { TextReader } from "../../../config/quantity.ts"
import type { ConfigValue } from "../../../config/value.ts"
import type { Form, Plain } from "./form.ts"

/** Timers of the runtime hold 2^31 ms. */
const longestMs = 24 * 86_400_000

export const duration: Form<number> = durationFrom(0)

/** A time that is not shorter, ms. */
export function durationFrom(leastMs: number): Form<number> {
  return {
    read: (value) => value.read((text) => bounded(text, readDuration(text), leastMs)),
    write: durationText,
    schema: {
      type: ["string", "integer"],
      pattern: String.raw`^(0|(\d+(\.\d+)?(us|µs|ms|s|m|h|d))+)$`,
      minimum: 0,
      maximum: 0,
    },
    placeholder: "TIME",
  }
}

function bounded(text: string, ms: number, leastMs: number): number {
  if (ms < leastMs) throw wrong(text, "is too short", `give at least ${durationText(leastMs)}`)
  if (ms > longestMs) throw wrong(text, "is too long", `give at most ${durationText(longestMs)}`)
  return ms
}

/** `90s`, `2h`. */
export function durationText(ms: number): string {
  if (ms === 0) return "0s"
  const found = units.find(([unitMs]) => ms % unitMs === 0)
  return found === undefined ? `${ms}ms` : `${ms / found[0]}${found[1]}`
}

const units: readonly (readonly [ms: number, unit: string])[] = [
  [86_400_000, "d"],
  [3_600_000, "h"],
  [60_000, "m"],
  [1_000, "s"],
  [1, "ms"],
]

/** Whole bytes/s. */
export const byteRate: Form<number> = {
  read: (value) => value.read((text) => Math.max(1, Math.round(readByteRate(text)))),
  write: byteRateText,
  schema: { type: ["string", "number"], pattern: String.raw`^\d+(\.\d+)?\s*[A-Za-z]*(/s)?$`, minimum: 0 },
  placeholder: "RATE",
}

export function byteRateText(perSecond: number): string {
  const found = amounts.find(([amount]) => perSecond % amount === 0)
  return found === undefined ? `${perSecond}B/s` : `${perSecond / found[0]}${found[1]}/s`
}

const amounts: readonly (readonly [bytes: number, unit: string])[] = [
  [2 ** 30, "GiB"],
  [1e9, "GB"],
  [2 ** 20, "MiB"],
  [1e6, "MB"],
  [2 ** 10, "KiB"],
  [1e3, "kB"],
]

/** Things per second, above 0. */
export const rate: Form<number> = {
  read: (value) =>
    value.read((text) => {
      const found = readRate(text)
      if (found > 0) return found
      throw wrong(text, "has to be more than 0", "change it")
    }),
  write: (perSecond) => {
    const texts = rateUnits.map(([seconds, unit]) => `${tidy(perSecond * seconds)}/${unit}`)
    return texts.find((text) => readRate(text) === perSecond) ?? (texts[0] as string)
  },
  schema: { type: ["string", "number"], pattern: String.raw`^\d+(\.\d+)?(/[smh])?$`, minimum: 0 },
  placeholder: "N/s",
}

const rateUnits: readonly (readonly [seconds: number, unit: string])[] = [
  [1, "s"],
  [60, "m"],
  [3_600, "h"],
]

/** From 0 to 1. */
export const share: Form<number> = {
  read: (value) => value.read(readPercent),
  write: (part) => `${tidy(part * 100)}%`,
  schema: { type: "string", pattern: String.raw`^\d{1,3}(\.\d+)?\s*%$` },
  placeholder: "PERCENT",
}

/** Without the noise that decimal fractions get in binary. */
function tidy(value: number): number {
  return Math.round(value * 1e9) / 1e9
}

export function whole(least: number, most: number): Form<number> {
  return {
    read: (value) => value.number({ least, most, whole: true }),
    write: (number) => number,
    schema: { type: "integer", minimum: least, maximum: most },
    placeholder: "N",
  }
}

export function number(least: number, most: number): Form<number> {
  return {
    read: (value) => value.number({ least, most }),
    write: (value) => value,
    schema: { type: "number", minimum: least, maximum: most },
    placeholder: "N",
  }
}

export const truth: Form<boolean> = {
  read: (value) => value.boolean(),
  write: (value) => value,
  schema: { type: "boolean" },
  placeholder: "true, false",
}

export function choice<Choice extends string>(...choices: readonly Choice[]): Form<Choice> {
  return {
    read: (value) => value.choice(choices),
    write: (value) => value,
    schema: { enum: choices },
    placeholder: choices.join(", "),
  }
}

export const text: Form<string> = {
  read: (value) => value.text(),
  write: (value) => value,
  schema: { type: "string", minLength: 1 },
  placeholder: "TEXT",
}

/** Text that a reader takes and a printer gives back. */
export function readText<Value>(
  reader: TextReader<Value>,
  print: (value: Value) => Plain,
  placeholder: string,
  schema: JsonObject = { type: "string", minLength: 1 },
): Form<Value> {
  return { read: (value) => value.read(reader), write: print, schema, placeholder }
}

/** Relative to the folder of the file that names it. */
export const path: Form<string> = {
  read(value) {
    const found = value.text()
    return found === undefined ? undefined : resolve(dirname(value.place.file), found)
  },
  write: (value) => value,
  schema: { type: "string", minLength: 1 },
  placeholder: "FILE",
}

/** The same, or nothing; `off` takes away what `defaults` gave. */
export function optional<Value>(form: Form<Value>): Form<Value | undefined> {
  return {
    read: (value, base) => (isOff(value) ? undefined : form.read(value, base as Value)),
    write: (value, base, all) => (value === undefined ? "off" : form.write(value, base as Value, all)),
    schema: { anyOf: [{ enum: ["off", false] }, form.schema] },
    placeholder: `${form.placeholder}, off`,
    keys: form.keys ?? [],
    optional: true,
  }
}

/** The same, or nothing, which is not to be written: something else stands in for it then. */
export function unsaid<Value>(form: Form<Value>): Form<Value | undefined> {
  return {
    ...form,
    read: (value, base) => form.read(value, base as Value),
    write: (value, base, all) => (value === undefined ? undefined : form.write(value, base as Value, all)),
  }
}

export function isOff(value: ConfigValue): boolean {
  return value.kind === "boolean" ? value.boolean() === false : value.kind === "text" && value.read(asIs) === "off"
}

/** A list, or one item without brackets; `none` is the empty one. */
export function listOf<Item>(form: Form<Item>, base?: Item): Form<readonly Item[]> {
  return {
    read(value) {
      if (value.kind === "text" && value.read(asIs) === "none") return []
      return value.oneOrMore((item) => form.read(item, base as Item))
    },
    write: (items, _base, all) => {
      if (items.length === 0) return "none"
      return items.map((item) => form.write(item, base as Item, all) as Plain)
    },
    schema: {
      anyOf: [{ enum: ["none"] }, form.schema, { type: "array", minItems: 1, items: form.schema }],
    },
    placeholder: `list of ${form.placeholder}`,
    keys: form.keys ?? [],
  }
}

/** A map with the user's own keys. */
export function mapOf<Value>(
  form: Form<Value>,
  keyReader: TextReader<string> = asIs,
): Form<Readonly<Record<string, Value>>> {
  return {
    read(value) {
      const entries = value.entries((key, item) => {
        try {
          const read = form.read(item, undefined as Value)
          return read === undefined ? undefined : ([keyReader(key), read] as const)
        } catch (error) {
          return item.wrong((error as Error).message, (error as { mend?: string }).mend)
        }
      })
      return entries === undefined ? undefined : Object.fromEntries(entries)
    },
    write: (map, _base, all) =>
      Object.fromEntries(Object.entries(map).map(([key, value]) => [key, form.write(value, value, all) as Plain])),
    schema: { type: "object", additionalProperties: form.schema },
    placeholder: "map",
  }
}

function asIs(value: string): string {
  return value
}

/** What was meant as a URL, for a message that a log may keep: no password, and no query, which may hold a key. */
export function withoutSecrets(url: string): string {
  return url.replace(/[?#].*$/s, "?…").replace(/:[^/@]*@/, ":…@")
}
