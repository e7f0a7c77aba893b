/**
 * Numbers with a unit, as people write them in files and flags. A reader throws `usage` with a message that begins with
 * the text; where the text stands is said by whoever called.
 */

import { RdvError } from "../base/error.ts"

export type TextReader<Result> = (text: string) => Result

const digits = /^\d{1,15}(?:\.\d{1,9})?/

/** `90s`, `1.5h`, `1m30s`, `0`: ms. Up to ten years. */
export function readDuration(text: string): number {
  const mend = "write 500ms, 10s, 5m, 2h or 30d"
  if (text === "0") return 0
  if (/^\d+(\.\d+)?$/.test(text)) throw wrong(text, "has no unit", `write ${text}s or ${text}ms`)
  if (!/^(?:\d{1,12}(?:\.\d{1,9})?(?:us|µs|ms|s|m|h|d))+$/.test(text)) throw wrong(text, "is not a duration", mend)
  let ms = 0
  for (const [, number, unit] of text.matchAll(/([\d.]+)([a-zµ]+)/g))
    ms += Number(number) * (unitMs[unit as string] ?? 0)
  if (ms > 3_653 * 86_400_000) throw wrong(text, "is too long", "give less than ten years")
  return rounded(ms)
}

const unitMs: Readonly<Record<string, number>> = {
  us: 0.001,
  µs: 0.001,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
}

/** `512`, `64KiB` (1024), `10MB` (1000): bytes, a whole number. */
export function readBytes(text: string): number {
  const mend = "write 512, 64KiB (1024 bytes each) or 10MB (1000 × 1000)"
  const factor = byteUnits[text.replace(digits, "").trim().toLowerCase()]
  const bytes = factor === undefined || !digits.test(text) ? NaN : rounded(Number.parseFloat(text) * factor)
  if (Number.isSafeInteger(bytes)) return bytes
  throw wrong(text, "is not a number of bytes", mend)
}

const byteUnits: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/** `10MB/s`, `64KiB/s`, `8Mbit/s`; without a unit of time, a second is meant: bytes per second. */
export function readByteRate(text: string): number {
  const [amount = "", per, ...more] = text.split("/")
  const bits = /^(\d{1,15}(?:\.\d{1,9})?)\s*([kmg]?)bit$/i.exec(amount)
  try {
    if (more.length > 0 || (per !== undefined && per !== "s")) throw wrong(text, "", "")
    if (bits === null) return positive(readBytes(amount))
    return positive((Number(bits[1]) * (bitUnits[(bits[2] as string).toLowerCase()] as number)) / 8)
  } catch {
    throw wrong(text, "is not a number of bytes per second", "write 64KiB/s, 10MB/s or 8Mbit/s")
  }
}

const bitUnits: Readonly<Record<string, number>> = { "": 1, k: 1e3, m: 1e6, g: 1e9 }

/** `5000/s`, `300/m`, `10/h`; a number alone is per second. */
export function readRate(text: string): number {
  const match = /^(\d{1,12}(?:\.\d{1,9})?)(?:\/(s|m|h))?$/.exec(text)
  if (match === null) throw wrong(text, "is not a rate", "write 5000/s, 300/m or 10/h")
  return (Number(match[1]) * 1_000) / (unitMs[match[2] ?? "s"] as number)
}

/** `0.1%`, `50%`: a share from 0 to 1. */
export function readPercent(text: string): number {
  const match = /^(\d{1,3}(?:\.\d{1,9})?)\s*%$/.exec(text)
  const percent = match === null ? NaN : Number(match[1])
  if (percent <= 100) return percent / 100
  throw wrong(text, "is not a percentage", "write 0.1% or 50%")
}

/** A reader of whole numbers from `least` to `most`. */
export function wholeFrom(least: number, most: number): TextReader<number> {
  return (text) => {
    const number = /^\d{1,15}$/.test(text) ? Number(text) : NaN
    if (number >= least && number <= most) return number
    throw wrong(text, `is not a whole number from ${least} to ${most}`, "change it")
  }
}

/** A reader that also refuses 0. */
export function aboveZero(reader: TextReader<number>): TextReader<number> {
  return (text) => {
    const value = reader(text)
    if (value > 0) return value
    throw wrong(text, "has to be more than 0", "change it")
  }
}

/** For readers: the message begins with the text. */
export function wrong(text: string, what: string, mend: string): RdvError {
  const shown = text.length > 80 ? `${text.slice(0, 79)}…` : text
  return new RdvError("usage", `${JSON.stringify(shown)} ${what}`, { mend })
}

function positive(value: number): number {
  if (value > 0) return value
  throw wrong(String(value), "", "")
}

/** Without the noise that decimal fractions get in binary. */
function rounded(value: number): number {
  return Math.round(value * 1e6) / 1e6
}
