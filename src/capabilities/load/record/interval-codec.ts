/**
 * Intervals as plain JSON, for worker threads and for generators on other machines. What comes in may be anybody's: it is
 * checked field by field, and one error says what is wrong.
 */

import type { Histogram } from "hdr-histogram-js"
import { RdvError } from "../../../base/error.ts"
import { isJsonObject } from "../../../base/json.ts"
import type { JsonObject } from "../../../base/json.ts"
import { errorKinds } from "../client/client.ts"
import type { ErrorKind } from "../client/client.ts"
import { decodeHistogram, encodeHistogram } from "./histogram-codec.ts"
import { countsOf, newRunHistogram } from "./histogram.ts"
import type { ErrorCount, Interval, TargetInterval } from "./interval.ts"

/** Encoded, with its lowest and highest value in µs, which the encoding itself rounds; null when empty. */
type Encoded = readonly [text: string, min: number, max: number] | null

/** Names that are the same in both forms. */
const intervalNumbers = ["fromMs", "toMs", "activeToMs", "loopLagMs", "cpu"] as const
const intervalCounts = [
  "planned",
  "dropped",
  "neverSent",
  "connections",
  "inFlight",
  "queued",
  "clamped",
] as const satisfies readonly (keyof Interval)[]
const targetCounts = [
  "sent",
  "completed",
  "failed",
  "timedOut",
  "cut",
  "connects",
  "bytesSent",
  "bytesReceived",
] as const satisfies readonly (keyof TargetInterval)[]

/** A longer example is cut: it is one line of a report. */
const longestExample = 500

export function encodeInterval(interval: Interval): JsonObject {
  return {
    ...pick(interval, intervalNumbers),
    ...pick(interval, intervalCounts),
    late: encode(interval.late),
    targets: interval.targets.map((target) => ({
      ...pick(target, targetCounts),
      wait: encode(target.wait),
      service: encode(target.service),
      // The closed model's total is its service, and is not sent twice.
      total: target.total === target.service ? "service" : encode(target.total),
      connect: encode(target.connect),
      errors: Object.fromEntries(
        Object.entries(target.errors).map(([kind, { count, example }]) => [
          kind,
          { count, example: example.slice(0, longestExample) },
        ]),
      ),
    })),
  }
}

/** Reads intervals of one scenario, whoever sent them. The histograms of an interval are filled again by the next `read`. */
export class IntervalReader {
  readonly #late: Histogram = newRunHistogram()
  readonly #targets: readonly TargetHistograms[]

  constructor(targets: number) {
    this.#targets = Array.from({ length: targets }, () => ({
      wait: newRunHistogram(),
      service: newRunHistogram(),
      total: newRunHistogram(),
      connect: newRunHistogram(),
    }))
  }

  /** Throws `RdvError` `protocol`. */
  read(json: unknown): Interval {
    const from = objectOf(json, "it")
    const { targets } = from
    if (!Array.isArray(targets) || targets.length !== this.#targets.length) {
      throw broken(`it does not speak of ${this.#targets.length} targets`)
    }
    const numbers = take(from, intervalNumbers, isTime)
    if (numbers.toMs < numbers.fromMs) throw broken("it ends before it begins")
    return {
      ...numbers,
      ...take(from, intervalCounts, isCount),
      late: decode(from["late"], this.#late, "late"),
      targets: this.#targets.map((histograms, at) => readTarget(objectOf(targets[at], "a target"), histograms)),
    }
  }
}

interface TargetHistograms {
  readonly wait: Histogram
  readonly service: Histogram
  readonly total: Histogram
  readonly connect: Histogram
}

function readTarget(from: JsonObject, into: TargetHistograms): TargetInterval {
  const service = decode(from["service"], into.service, "service")
  return {
    ...take(from, targetCounts, isCount),
    wait: decode(from["wait"], into.wait, "wait"),
    service,
    total: from["total"] === "service" ? service : decode(from["total"], into.total, "total"),
    connect: decode(from["connect"], into.connect, "connect"),
    errors: readErrors(objectOf(from["errors"], "errors")),
  }
}

function readErrors(from: JsonObject): TargetInterval["errors"] {
  const errors: Partial<Record<ErrorKind, ErrorCount>> = {}
  for (const [name, value] of Object.entries(from)) {
    const kind = errorKinds.find((known) => known === name)
    if (kind === undefined) throw broken("an error is of no known kind")
    const { count, example } = objectOf(value, "an error")
    if (!isCount(count) || typeof example !== "string" || example.length > longestExample) {
      throw broken(`the error "${kind}" is not a count and an example`)
    }
    errors[kind] = { count, example }
  }
  return errors
}

function encode(histogram: Histogram): Encoded {
  if (histogram.totalCount === 0) return null
  return [encodeHistogram(histogram), histogram.minNonZeroValue, histogram.maxValue]
}

function decode(from: unknown, into: Histogram, name: string): Histogram {
  if (from === null) {
    if (into.totalCount > 0) into.reset()
    return into
  }
  if (!Array.isArray(from) || from.length !== 3) throw broken(`"${name}" is no histogram`)
  const [text, min, max] = from as readonly unknown[]
  if (typeof text !== "string" || !isCount(min) || !isCount(max)) throw broken(`"${name}" is no histogram`)
  decodeHistogram(text, into)
  const counts = countsOf(into)
  if (!sameBucket(min, counts.minNonZeroValue) || !sameBucket(max, counts.maxValue)) {
    throw broken(`the lowest or highest value of "${name}" is not in it`)
  }
  counts.minNonZeroValue = min
  counts.maxValue = max
  return into

  function sameBucket(one: number, other: number): boolean {
    return into.totalCount > 0 && counts.countsArrayIndex(one) === counts.countsArrayIndex(other)
  }
}

function pick<Key extends string>(
  from: { readonly [key in Key]: number },
  names: readonly Key[],
): { [key in Key]: number } {
  return Object.fromEntries(names.map((name) => [name, from[name]])) as { [key in Key]: number }
}

function take<Key extends string>(
  from: JsonObject,
  names: readonly Key[],
  isRight: (value: unknown) => value is number,
): { [key in Key]: number } {
  const taken = names.map((name) => {
    const value = from[name]
    if (!isRight(value)) throw broken(`"${name}" is no number of the right kind`)
    return [name, value]
  })
  return Object.fromEntries(taken) as { [key in Key]: number }
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < Number.MAX_SAFE_INTEGER
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function objectOf(value: unknown, name: string): JsonObject {
  if (!isJsonObject(value)) throw broken(`${name} is not an object`)
  return value
}

function broken(why: string): RdvError {
  return new RdvError("protocol", `The measurements of a generator cannot be read: ${why}`)
}
