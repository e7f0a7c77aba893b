/** The series of a run for spreadsheets: RFC 4180, one row a stretch, the units in the names of the columns. */

import type { Point, Result } from "../record/result.ts"

const columns: readonly (readonly [name: string, value: (point: Point) => number])[] = [
  ["time_s", (point) => point.atMs / 1000],
  ["span_s", (point) => point.spanMs / 1000],
  ["planned_messages", (point) => point.planned],
  ["completed_messages", (point) => point.completed],
  ["failed_messages", (point) => point.failed],
  ["dropped_messages", (point) => point.dropped],
  ["errors", (point) => point.errors],
  ["planned_per_s", (point) => (point.spanMs > 0 ? (point.planned / point.spanMs) * 1000 : 0)],
  ["completed_per_s", (point) => point.rate],
  ["p50_ms", (point) => point.p50 / 1000],
  ["p90_ms", (point) => point.p90 / 1000],
  ["p99_ms", (point) => point.p99 / 1000],
  ["p99_9_ms", (point) => point.p999 / 1000],
  ["max_ms", (point) => point.max / 1000],
  ["connections", (point) => point.connections],
  ["in_flight", (point) => point.inFlight],
  ["queued", (point) => point.queued],
  ["sent_bytes", (point) => point.bytesSent],
  ["received_bytes", (point) => point.bytesReceived],
  ["generator_lag_ms", (point) => point.loopLagMs],
]

/** Latencies are empty, not 0, where nothing was answered. */
export function csvSeries({ series }: Result): string {
  const rows = series.map((point) =>
    columns.map(([name, value]) => (point.completed === 0 && latency.test(name) ? "" : cell(value(point)))).join(","),
  )
  return [columns.map(([name]) => name).join(","), ...rows, ""].join("\r\n")
}

const latency = /^(?:p\d.*|max)_ms$/

function cell(value: number): string {
  return Number.isFinite(value) ? String(Number(value.toFixed(3))) : ""
}
