/**
 * Two results, or two groups of results of the same test, side by side, with a statement of how far the difference is to
 * be believed. Samples are runs, never the seconds of one run: seconds of a run share its process, its caches and its
 * neighbours, so they agree with one another whatever the next run does, and a test on them would find a difference
 * between any two runs. One run a side therefore proves nothing, and is told so.
 */

import type { Figures, Result } from "../record/result.ts"
import { errorsIn, notConnectedIn } from "../record/tally.ts"
import { counted, milliseconds, perSecond } from "../report/numbers.ts"
import { leastOfRankTest, rankTest } from "./rank-test.ts"

export interface Comparison {
  readonly runs: readonly [a: number, b: number]
  readonly metrics: readonly MetricComparison[]
  /** How far to believe it, in all. */
  readonly confidence: string
  /** Why the two may not be comparable at all. */
  readonly warnings: readonly string[]
}

export interface MetricComparison {
  readonly name: string
  readonly unit: "per second" | "µs" | "share"
  readonly better: "higher" | "lower"
  readonly a: Spread
  readonly b: Spread
  /** Of the medians, (b - a) / a; undefined when a's is 0. */
  readonly difference: number | undefined
  /** How often chance alone would order the runs so; undefined with fewer than three runs a side. */
  readonly p: number | undefined
  /** Of b beside a; "unclear" unless p is at most 0.05. */
  readonly verdict: "better" | "worse" | "unclear"
  /** One line. */
  readonly statement: string
}

export interface Spread {
  /** One a run, in the order given. */
  readonly values: readonly number[]
  readonly median: number
  readonly min: number
  readonly max: number
}

/** A side with fewer runs has no spread worth the name. */
const fewestRuns = 3
const significant = 0.05

const metrics: readonly (Pick<MetricComparison, "name" | "unit" | "better"> & {
  readonly of: (figures: Figures) => number
})[] = [
  { name: "rate", unit: "per second", better: "higher", of: ({ rate }) => rate },
  { name: "p50", unit: "µs", better: "lower", of: ({ latency }) => latency.p50 },
  { name: "p90", unit: "µs", better: "lower", of: ({ latency }) => latency.p90 },
  { name: "p99", unit: "µs", better: "lower", of: ({ latency }) => latency.p99 },
  { name: "p99.9", unit: "µs", better: "lower", of: ({ latency }) => latency.p999 },
  { name: "errors", unit: "share", better: "lower", of: errorShare },
]

/** At least one result a side. */
export function compare(a: readonly Result[], b: readonly Result[]): Comparison {
  if (a.length === 0 || b.length === 0) throw new RangeError("Nothing to compare with")
  return {
    runs: [a.length, b.length],
    metrics: metrics.map(({ name, unit, better, of }) => {
      const first = spreadOf(a.map(({ total }) => of(total)))
      const second = spreadOf(b.map(({ total }) => of(total)))
      return compareMetric({ name, unit, better }, first, second)
    }),
    confidence: confidenceOf(a.length, b.length),
    warnings: [...warningsOf(a, b)],
  }
}

function compareMetric(
  metric: Pick<MetricComparison, "name" | "unit" | "better">,
  a: Spread,
  b: Spread,
): MetricComparison {
  const difference = a.median === 0 ? undefined : (b.median - a.median) / a.median
  const enough = Math.min(a.values.length, b.values.length) >= fewestRuns
  const p = enough ? rankTest(a.values, b.values) : undefined
  const clear = p !== undefined && p <= significant && a.median !== b.median
  const up = b.median > a.median
  const verdict = !clear ? "unclear" : up === (metric.better === "higher") ? "better" : "worse"
  return { ...metric, a, b, difference, p, verdict, statement: statementOf(metric, a, b, p) }
}

function statementOf(
  { name, unit }: Pick<MetricComparison, "name" | "unit">,
  a: Spread,
  b: Spread,
  p: number | undefined,
): string {
  const values = `${name} ${shown(unit, a.median)} → ${shown(unit, b.median)}`
  const change = changeOf(a.median, b.median)
  if (p === undefined) return `${values}: ${change}, unproven`
  const odds = `p = ${Number(p.toPrecision(2))}`
  if (a.median === b.median) return `${values}: no difference`
  if (p <= significant) return `${values}: ${change}, more than chance (${odds})`
  const apart = b.min > a.max ? "above" : b.max < a.min ? "below" : undefined
  if (apart !== undefined) {
    return `${values}: ${change}; all runs of B lie ${apart} all of A, yet so few runs do so by chance, too (${odds})`
  }
  return `${values}: no difference shown (${odds})`
}

function confidenceOf(a: number, b: number): string {
  if (a === 1 && b === 1) {
    return (
      "One run a side proves nothing: the next two runs may differ as much the other way. " +
      "Run each side at least 4 times, in turns"
    )
  }
  if (Math.min(a, b) < fewestRuns) {
    return `${counted(a, "run")} against ${b} prove nothing: run each side at least 4 times, in turns`
  }
  const least = leastOfRankTest(a, b)
  if (least > significant) {
    return (
      `${a} runs against ${b}: even when all of one side lie above all of the other, chance alone does so in ` +
      `${Math.round(least * 100)} of 100 cases; run each side at least 4 times`
    )
  }
  return (
    `${a} runs against ${b}, rank test (Mann-Whitney) on the runs: "more than chance" means at most 5 of 100 such ` +
    `differences are chance; ${metrics.length} figures are tested, so now and then one differs by chance alone`
  )
}

function* warningsOf(a: readonly Result[], b: readonly Result[]): Iterable<string> {
  const all = [...a, ...b]
  for (const [side, results] of Object.entries({ A: a, B: b })) {
    const doubtful = results.filter(({ doubts }) => doubts.length > 0).length
    if (doubtful > 0) yield `${counted(doubtful, "result")} of ${side} had doubts about its own generator`
  }
  const differing = (what: string, of: (result: Result) => unknown) =>
    new Set(all.map((result) => JSON.stringify(of(result)))).size > 1 ? [`The runs differ in ${what}`] : []
  yield* differing("their targets", ({ scenario }) => scenario.targets.map(({ label }) => label))
  yield* differing("their model or its settings", ({ scenario }) => scenario.model)
  yield* differing("their rates or connections over time", ({ scenario }) => [scenario.phases, scenario.warmUpMs])
  yield* differing("their messages", ({ scenario }) => [scenario.messages, scenario.framing, scenario.expect])
  yield* differing("their pace", ({ scenario }) => scenario.pace)
  yield* differing("the machine that made the load", ({ generator }) => [generator.host, generator.cores])
  yield* differing("the number of workers", ({ generator }) => generator.workers)
  yield* differing("this program's version", ({ generator }) => generator.version)
  const durations = all.map(({ durationMs }) => durationMs)
  if (Math.max(...durations) > Math.min(...durations) * 1.2) yield "The runs differ in how long they took"
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = (sorted.length - 1) / 2
  const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2
  return { values, median, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 }
}

/** As thresholds mean it: errors of all that is settled. */
function errorShare(figures: Figures): number {
  const errors = errorsIn({ ...figures, notConnected: notConnectedIn(figures) })
  return errors === 0 ? 0 : errors / (errors + figures.completed)
}

function shown(unit: MetricComparison["unit"], value: number): string {
  if (unit === "µs") return `${milliseconds(value)} ms`
  if (unit === "per second") return `${perSecond(value)}/s`
  return `${Number((value * 100).toPrecision(3))} %`
}

function changeOf(a: number, b: number): string {
  if (a === b) return "no difference"
  if (a === 0) return "up from nothing"
  const percent = Math.abs(b / a - 1) * 100
  return `${Number(percent.toPrecision(2))} % ${b > a ? "higher" : "lower"}`
}
