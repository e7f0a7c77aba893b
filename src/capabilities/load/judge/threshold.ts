/**
 * What must hold, as users write it: `[target] metric comparison value [over 30s] [after 10s] [abort]`, for example
 * `p99<20ms`, `wait.p99.9 <= 1ms over 30s`, `errors<0.1% after 5s abort`, `five-thousand:5001 rate>=5000`.
 *
 * Metrics
 * - `p50` … `p99.99`, `mean`, `min`, `max`: of the latency (planned instant to complete answer); with `wait.`, `service.`
 *   or `connect.` in front, of that. The value has a unit of time.
 * - `errors`: all that did not end in a right answer (see `errorsIn`); `failed`, `timeouts`, `cut`, `dropped`, `unsent`:
 *   one sort of them; `completed`: right answers. A count, or with `%` a share of completed and errors together.
 * - `rate`: completed per second, or with `%` the completed share of what was planned.
 *
 * `over` judges every full window of that length, moved second by second, instead of the run in all. `after` is the time
 * of the measured part that is not judged: no window begins and nothing aborts before. `abort` ends the run when the
 * threshold is not held.
 */

import { RdvError } from "../../../base/error.ts"
import { readDuration, readPercent, readRate, wrong } from "../../../config/quantity.ts"

export interface Threshold {
  /** As written. */
  readonly text: string
  /** A target's label; undefined: all targets together. */
  readonly target: string | undefined
  readonly metric: Metric
  readonly comparison: Comparison
  /** In `unit`. */
  readonly bound: number
  readonly unit: Unit
  readonly windowSeconds: number | undefined
  readonly afterMs: number
  readonly abort: boolean
}

export type Metric =
  | { readonly kind: "time"; readonly of: TimeName; readonly statistic: Statistic }
  | { readonly kind: "count"; readonly of: CountName }
  | { readonly kind: "rate" }

export type TimeName = "latency" | "wait" | "service" | "connect"
export type Statistic = number | "mean" | "min" | "max"
export type CountName = "errors" | "failed" | "timeouts" | "cut" | "dropped" | "unsent" | "completed"
export type Comparison = "<" | "<=" | ">" | ">="
export type Unit = "µs" | "count" | "share" | "per second"

const timeNames: readonly TimeName[] = ["latency", "wait", "service", "connect"]
const countNames: readonly CountName[] = ["errors", "failed", "timeouts", "cut", "dropped", "unsent", "completed"]
/** Longer ones would need more memory than they tell. */
const longestWindowSeconds = 300

/**
 * Reads what has to hold. `labels` are the targets' that may be named; undefined: any. Throws `RdvError` `usage` with one
 * line that begins with the text.
 */
export function parseThreshold(text: string, labels?: readonly string[]): Threshold {
  const threshold = parse(text, labels)
  const { metric, comparison } = threshold
  const upward = comparison === ">" || comparison === ">="
  // `--fail 'p99>20ms'` was meant the other way round, and would pass just when it should not.
  if (upward && (metric.kind === "time" || (metric.kind === "count" && metric.of !== "completed"))) {
    throw wrong(text, "would hold only when it is bad", `write what has to hold: ${text.trim().replace(">", "<")}`)
  }
  if (threshold.abort && upward && metric.kind === "count" && threshold.unit === "count") {
    throw wrong(text, "can be judged only at the end, as the count still grows", 'leave "abort" away')
  }
  return threshold
}

/** Reads what ends a run when it becomes true: `p99>1s over 10s`, `errors>5%`. Throws as `parseThreshold` does. */
export function parseCondition(text: string, labels?: readonly string[]): Threshold {
  const condition = parse(text, labels)
  if (condition.abort) throw wrong(text, "ends the run anyway", 'leave "abort" away')
  return condition
}

function parse(text: string, labels: readonly string[] | undefined): Threshold {
  const parts = /^([^<>]*)(<=|>=|<|>)\s*(\d[\d.]*)\s*(us|µs|ms|s|m|h|%|\/s|\/m|\/h)?(?=\s|$)([^]*)$/.exec(text.trim())
  if (parts === null) throw wrong(text, "is not a condition", "write for example p99<20ms, errors<0.1% or rate>=5000")
  const [, left = "", comparison = "", number = "", unit = "", tail = ""] = parts
  const words = /^(?:([^]*\S)\s+)?(\S+)\s*$/.exec(left)
  if (words === null) throw wrong(text, "names no metric", "write for example p99<20ms")
  const [, target, name = ""] = words
  if (target !== undefined && labels !== undefined && !labels.includes(target)) {
    throw wrong(text, `names the target ${JSON.stringify(target)}, which is not there`, `one of: ${labels.join(", ")}`)
  }
  const metric = readMetric(text, name)
  if (target !== undefined && metric.kind === "count" && (metric.of === "dropped" || metric.of === "unsent")) {
    throw wrong(text, "cannot be told of one target: what was not sent belongs to none", "leave the target away")
  }
  const value = within(text, () => readBound(metric, number, unit))
  return { text, target, metric, comparison: comparison as Comparison, ...value, ...readTail(text, tail) }
}

function readMetric(text: string, name: string): Metric {
  if (name === "rate") return { kind: "rate" }
  const count = countNames.find((known) => known === name)
  if (count !== undefined) return { kind: "count", of: count }
  const dot = name.indexOf(".")
  const prefix = timeNames.find((known) => known === name.slice(0, Math.max(0, dot)))
  const statistic = prefix === undefined ? name : name.slice(dot + 1)
  const of = prefix ?? "latency"
  if (statistic === "mean" || statistic === "min" || statistic === "max") return { kind: "time", of, statistic }
  const percent = /^p(\d{1,3}(?:\.\d{1,6})?)$/.exec(statistic)?.[1]
  if (percent !== undefined && Number(percent) > 0 && Number(percent) <= 100) {
    return { kind: "time", of, statistic: Number(percent) }
  }
  if (percent !== undefined && Number(percent) > 100) {
    throw wrong(text, `asks for the percentile ${percent}`, `write p${percent.slice(0, 2)}.${percent.slice(2)}`)
  }
  throw wrong(
    text,
    `has no metric ${JSON.stringify(name)}`,
    `one of: p50 to p99.99, mean, min, max (also wait., service., connect.), rate, ${countNames.join(", ")}`,
  )
}

function readBound(metric: Metric, number: string, unit: string): { readonly bound: number; readonly unit: Unit } {
  const value = `${number}${unit}`
  if (metric.kind === "time") {
    if (unit === "%" || unit.startsWith("/")) throw wrong(value, "is not a time", "write 20ms")
    if (unit === "") throw wrong(value, "has no unit", `write ${number}ms or ${number}s`)
    return { bound: readDuration(value) * 1000, unit: "µs" }
  }
  if (unit === "%") return { bound: readPercent(value), unit: "share" }
  if (metric.kind === "rate") return { bound: readRate(value), unit: "per second" }
  if (unit !== "" || !/^\d{1,15}$/.test(number)) throw wrong(value, "is neither a count nor a share", "write 5 or 0.1%")
  return { bound: Number(number), unit: "count" }
}

function readTail(text: string, tail: string): Pick<Threshold, "windowSeconds" | "afterMs" | "abort"> {
  let windowSeconds: number | undefined
  let afterMs: number | undefined
  let abort = false
  const words = tail.split(/\s+/).filter((word) => word !== "")
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    if (word === "abort" && !abort) abort = true
    else if (word === "over" && windowSeconds === undefined) {
      windowSeconds = within(text, () => readDuration(words.shift() ?? "")) / 1000
      if (!Number.isInteger(windowSeconds) || windowSeconds < 1 || windowSeconds > longestWindowSeconds) {
        throw wrong(text, "has a window that is not of whole seconds from 1s to 5m", "write for example over 30s")
      }
    } else if (word === "after" && afterMs === undefined) {
      afterMs = within(text, () => readDuration(words.shift() ?? ""))
    } else {
      throw wrong(
        text,
        `ends with ${JSON.stringify(word)}`,
        'only "over 30s", "after 10s" and "abort" may follow, once',
      )
    }
  }
  return { windowSeconds, afterMs: afterMs ?? 0, abort }
}

/** The message of a part begins with the part; here it gets the whole in front. */
function within<Result>(text: string, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof RdvError)) throw error
    throw wrong(text, `is not understood: ${error.message}`, error.mend ?? "change it")
  }
}
