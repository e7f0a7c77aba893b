/** A threshold's metric, taken from what was measured. */

import { percentile } from "../record/histogram.ts"
import type { Measured } from "../record/measured.ts"
import { errorsIn } from "../record/tally.ts"
import type { Counts } from "../record/tally.ts"
import { milliseconds, perSecond, share, whole } from "../report/numbers.ts"
import type { CountName, Threshold } from "./threshold.ts"

/** In the threshold's unit; undefined when there was nothing to measure. */
export function measure({ metric, unit }: Threshold, measured: Measured): number | undefined {
  const { counts, spanMs } = measured
  if (metric.kind === "time") {
    const histogram = measured[metric.of]
    if (histogram === undefined || histogram.totalCount === 0) return undefined
    if (metric.statistic === "mean") return histogram.mean
    if (metric.statistic === "min") return histogram.minNonZeroValue
    if (metric.statistic === "max") return histogram.maxValue
    return percentile(histogram, metric.statistic)
  }
  if (metric.kind === "rate") {
    if (unit === "share") return counts.planned > 0 ? counts.completed / counts.planned : undefined
    return spanMs > 0 ? (counts.completed / spanMs) * 1000 : undefined
  }
  const count = countIn(counts, metric.of)
  if (unit === "count") return count
  const settled = counts.completed + errorsIn(counts)
  return settled > 0 ? count / settled : undefined
}

/** What was not measured holds nothing. */
export function holds({ comparison, bound }: Threshold, value: number | undefined): boolean {
  if (value === undefined) return false
  if (comparison === "<") return value < bound
  if (comparison === "<=") return value <= bound
  if (comparison === ">") return value > bound
  return value >= bound
}

/** With its unit: `23.40 ms`, `0.12 % (12 of 10,000)`. */
export function shown(threshold: Threshold, measured: Measured, value: number | undefined): string {
  const { metric, unit } = threshold
  if (value === undefined) {
    if (metric.kind === "time" && metric.of === "wait" && measured.wait === undefined) {
      return "nothing: in the closed model no message waits"
    }
    return "nothing was measured"
  }
  if (unit === "µs") return `${milliseconds(value)} ms`
  if (unit === "per second") return `${perSecond(value)}/s`
  if (unit === "count") return whole(value)
  const { counts } = measured
  if (metric.kind === "rate") return ofAll(counts.completed, counts.planned)
  const settled = counts.completed + errorsIn(counts)
  return ofAll(metric.kind === "count" ? countIn(counts, metric.of) : 0, settled)
}

function ofAll(part: number, all: number): string {
  return `${share(part, all)} (${whole(part)} of ${whole(all)})`
}

function countIn(counts: Counts, name: CountName): number {
  switch (name) {
    case "errors":
      return errorsIn(counts)
    case "timeouts":
      return counts.timedOut
    case "unsent":
      return counts.neverSent
    case "failed":
    case "cut":
    case "dropped":
    case "completed":
      return counts[name]
  }
}
