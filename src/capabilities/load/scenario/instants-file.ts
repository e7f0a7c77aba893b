/**
 * Instants to be replayed, from a CSV file: the first column of each line, in any order. Numbers are seconds; clock times
 * (ISO 8601, or seconds or milliseconds since 1970) count from the earliest one.
 */

import { RdvError } from "../../../base/error.ts"
import { readTextFile } from "../../../config/text-file.ts"
import { Problems } from "../../../config/problems.ts"

const mostBytes = 64 * 1024 * 1024
/** Each generator has all of them, and the report too. */
const mostInstants = 1_000_000
/** Seconds: what is above is since 1970, what is above the second is in ms. */
const leastEpoch = 1e8
const leastEpochMs = 1e11

/** Ascending, ms from the start. Throws `usage` with the lines that are wrong. */
export function readInstants(path: string): readonly number[] {
  const problems = new Problems()
  const instants: number[] = []
  let clock: boolean | undefined
  for (const [index, line] of readTextFile(path, mostBytes).split(/\r?\n/).entries()) {
    const field = firstField(line)
    if (field === "" || field.startsWith("#")) continue
    const instant = readInstant(field)
    if (instant === undefined) {
      // The first line may have the names of columns.
      if (instants.length === 0 && index === 0) continue
      problems.add(
        { file: path, line: index + 1, column: 1 },
        `${JSON.stringify(field.slice(0, 40))} is no instant`,
        mend,
      )
      continue
    }
    if (clock !== undefined && clock !== instant.clock) {
      const what = clock ? "seconds from the start among clock times" : "a clock time among seconds from the start"
      problems.add({ file: path, line: index + 1, column: 1 }, what, "use one form for all")
    }
    clock = instant.clock
    if (instants.push(instant.ms) > mostInstants) {
      throw new RdvError("usage", `${path} has more than ${mostInstants} instants`, { mend: "replay a part of it" })
    }
  }
  problems.check()
  if (instants.length === 0) throw new RdvError("usage", `${path} has no instant in it`, { mend })
  instants.sort((one, other) => one - other)
  const start = clock === true ? (instants[0] as number) : 0
  // Whole µs: what binary fractions add means nothing.
  return instants.map((ms) => Math.round((ms - start) * 1_000) / 1_000)
}

const mend = "write seconds (0.25) or a time such as 2025-01-31T12:00:00.250Z at the start of each line"

function firstField(line: string): string {
  const text = line.trim()
  const quoted = /^"([^"]*)"/.exec(text)
  return (quoted === null ? (/^[^,;\t]*/.exec(text)?.[0] ?? "") : (quoted[1] as string)).trim()
}

function readInstant(text: string): { readonly ms: number; readonly clock: boolean } | undefined {
  if (/^\d{1,16}(\.\d{1,9})?$/.test(text)) {
    const number = Number(text)
    if (number < leastEpoch) return { ms: number * 1_000, clock: false }
    return { ms: number < leastEpochMs ? number * 1_000 : number, clock: true }
  }
  if (!/^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/.test(text)) return undefined
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? undefined : { ms, clock: true }
}
