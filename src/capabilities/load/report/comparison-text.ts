/**
 * `rdv load compare` in the terminal: the medians of both sides, what changed, and how far to believe it. Warnings stand
 * first, because two runs that differ in more than one thing compare nothing.
 */

import type { Comparison, MetricComparison, Spread } from "../judge/compare.ts"
import { clip, plain, printable, tableLines, wrap } from "../../../base/columns.ts"
import type { Paint } from "../../../base/columns.ts"
import { counted, milliseconds, perSecond } from "./numbers.ts"

export interface ComparisonTextOptions {
  readonly paint?: Paint
  /** Of the terminal; 100 at most are used. */
  readonly columns?: number
}

/** Lines without line ends. `names` are those of the two sides. */
export function comparisonText(
  { runs, metrics, confidence, warnings }: Comparison,
  names: readonly [a: string, b: string],
  { paint = plain, columns = 100 }: ComparisonTextOptions = {},
): string[] {
  const width = Math.max(40, Math.min(100, columns))
  const head = [
    "medians",
    ...names.map((name, at) =>
      clip(`${at === 0 ? "A" : "B"}: ${printable(name)}${ofRuns(runs[at] ?? 1)}`, width < 90 ? 22 : 24),
    ),
    "difference",
    "",
  ]
  const rows = metrics.map((metric) => [
    metric.name,
    spreadText(metric.a, metric.unit),
    spreadText(metric.b, metric.unit),
    differenceText(metric),
    metric.verdict,
  ])
  const [first = "", ...lines] = tableLines(
    [head, ...rows],
    ["left", "right", "right", "right", "left"],
    width < 90 ? 2 : 3,
  )
  return [
    ...warnings.flatMap((warning) => wrap(`! ${printable(warning)}`, width).map((line) => paint("yellow", line))),
    paint("dim", clip(first, width)),
    ...lines.map((line, at) => {
      const verdict = metrics[at]?.verdict
      const text = clip(line, width)
      return verdict === "better" ? paint("green", text) : verdict === "worse" ? paint("red", text) : text
    }),
    ...wrap(printable(confidence), width),
  ]
}

/** With its unit; several runs with the lowest and the highest of them. */
export function spreadText({ values, median, min, max }: Spread, unit: MetricComparison["unit"]): string {
  const text = inUnit(median, unit)
  return values.length < 2 ? text : `${text} (${inUnit(min, unit, true)}–${inUnit(max, unit, true)})`
}

export function differenceText({ a, b, difference }: Pick<MetricComparison, "a" | "b" | "difference">): string {
  if (a.median === b.median) return "none"
  if (difference === undefined) return "from nothing"
  return `${difference > 0 ? "+" : "−"}${Number((Math.abs(difference) * 100).toPrecision(2))} %`
}

function inUnit(value: number, unit: MetricComparison["unit"], bare = false): string {
  if (unit === "µs") return milliseconds(value) + (bare ? "" : " ms")
  if (unit === "per second") return perSecond(value) + (bare ? "" : "/s")
  return Number((value * 100).toPrecision(3)) + (bare ? "" : " %")
}

function ofRuns(runs: number): string {
  return runs > 1 ? `, ${counted(runs, "run")}` : ""
}
