/**
 * What the graphs of the page draw, as few characters as possible: columns instead of objects, three significant digits,
 * at most 1,800 stretches a page. Ms throughout, rates per second.
 */

import type { Histogram } from "hdr-histogram-js"
import { decodeHistogram } from "../../record/histogram-codec.ts"
import { newRunHistogram, percentile } from "../../record/histogram.ts"
import type { Point, Quantiles, Result } from "../../record/result.ts"

export interface NamedResult {
  /** Names the run where there are several. */
  readonly name: string
  readonly result: Result
}

type Column = readonly (number | null)[]
/** `-log10(1 - p)` and ms: 1 is p90, 2 is p99. */
type Curve = readonly (readonly [nines: number, ms: number])[]

export interface RunData {
  readonly name: string
  readonly open: boolean
  /** Middle of the stretches, s. */
  readonly at: Column
  readonly columns: Readonly<Record<string, Column>>
  readonly curves: Readonly<Record<string, Curve>>
}

/** On one page; several runs share them. */
export const mostPoints = 1800
/** Finer than a screen shows. */
const curvePointsPerNine = 20

export function runData({ name, result }: NamedResult, most: number = mostPoints): RunData {
  const points = thinned(result.series, most)
  const column = (value: (point: Point) => number | null): Column => points.map((point) => digits(value(point)))
  // Where nothing was answered there is no latency: the line has a gap.
  const latency = (value: (point: Point) => number) =>
    column((point) => (point.completed > 0 ? value(point) / 1000 : null))
  const perSecond = (value: (point: Point) => number) =>
    column((point) => (point.spanMs > 0 ? (value(point) / point.spanMs) * 1000 : 0))
  return {
    name,
    open: result.scenario.model.kind === "open",
    at: points.map((point) => Number((point.atMs / 1000).toFixed(2))),
    columns: {
      planned: perSecond((point) => point.planned),
      rate: column((point) => point.rate),
      errors: perSecond((point) => point.errors),
      dropped: perSecond((point) => point.dropped),
      connections: column((point) => point.connections),
      inFlight: column((point) => point.inFlight),
      queued: column((point) => point.queued),
      p50: latency((point) => point.p50),
      p90: latency((point) => point.p90),
      p99: latency((point) => point.p99),
      p999: latency((point) => point.p999),
      max: latency((point) => point.max),
    },
    curves: curvesOf(result),
  }
}

function curvesOf({ total }: Result): Readonly<Record<string, Curve>> {
  const curves: Record<string, Curve> = { total: histogramCurve(total.hdr, total.latency) }
  if (total.wait !== undefined) {
    curves["service"] = quantileCurve(total.service)
    curves["wait"] = quantileCurve(total.wait)
  }
  if (total.corrected !== undefined) curves["corrected"] = quantileCurve(total.corrected)
  return Object.fromEntries(Object.entries(curves).filter(([, curve]) => curve.length > 1))
}

/** The whole distribution; from the quantiles when the histogram cannot be read. */
function histogramCurve(hdr: string, quantiles: Quantiles): Curve {
  const histogram = newRunHistogram()
  try {
    decodeHistogram(hdr, histogram)
  } catch {
    return quantileCurve(quantiles)
  }
  return histogram.totalCount === 0 ? [] : curveOf(histogram)
}

function curveOf(histogram: Histogram): Curve {
  // Beyond one in all there is nothing to tell.
  const last = Math.log10(histogram.totalCount)
  const steps = Math.ceil(last * curvePointsPerNine)
  const curve: (readonly [number, number])[] = []
  for (let step = 0; step <= steps; step++) {
    const nines = Math.min(last, step / curvePointsPerNine)
    const ms = percentile(histogram, (1 - 10 ** -nines) * 100) / 1000
    // A stretch without change needs its two ends only.
    const [before, here] = [curve.at(-2), curve.at(-1)]
    if (before !== undefined && here !== undefined && before[1] === ms && here[1] === ms) curve.pop()
    curve.push([Number(nines.toFixed(3)), digits(ms) ?? 0])
  }
  return curve
}

function quantileCurve({ count, min, p50, p75, p90, p95, p99, p999, p9999, max }: Quantiles): Curve {
  if (count === 0) return []
  const last = Math.log10(count)
  const places: readonly (readonly [number, number])[] = [
    [0, min],
    [-Math.log10(0.5), p50],
    [-Math.log10(0.25), p75],
    [1, p90],
    [-Math.log10(0.05), p95],
    [2, p99],
    [3, p999],
    [4, p9999],
  ]
  const known = places.filter(([nines]) => nines < last)
  return [...known, [last, max] as const].map(([nines, us]) => [Number(nines.toFixed(3)), digits(us / 1000) ?? 0])
}

/** Neighbours are put together: counts added, the worst of their latencies kept, so that no peak is lost. */
function thinned(series: readonly Point[], most: number): readonly Point[] {
  if (series.length <= most) return series
  const size = Math.ceil(series.length / most)
  const points: Point[] = []
  for (let at = 0; at < series.length; at += size) points.push(merged(series.slice(at, at + size)))
  return points
}

function merged(points: readonly Point[]): Point {
  const sum = (value: (point: Point) => number) => points.reduce((before, point) => before + value(point), 0)
  const worst = (value: (point: Point) => number) => Math.max(...points.map(value))
  const last = points.at(-1) as Point
  const spanMs = sum((point) => point.spanMs)
  return {
    ...last,
    atMs: sum((point) => point.atMs) / points.length,
    spanMs,
    planned: sum((point) => point.planned),
    completed: sum((point) => point.completed),
    failed: sum((point) => point.failed),
    dropped: sum((point) => point.dropped),
    errors: sum((point) => point.errors),
    rate: spanMs > 0 ? (sum((point) => point.completed) / spanMs) * 1000 : 0,
    p50: worst((point) => point.p50),
    p90: worst((point) => point.p90),
    p99: worst((point) => point.p99),
    p999: worst((point) => point.p999),
    max: worst((point) => point.max),
  }
}

/** Three significant digits, no exponent for whole numbers. */
function digits(value: number | null): number | null {
  if (value === null || !Number.isFinite(value)) return null
  return Math.abs(value) >= 1000 ? Math.round(value) : Number(value.toPrecision(3))
}
