/**
 * When a generator cannot keep its plan, its figures speak of itself. This says so, how much and why, in one plain
 * sentence each.
 */

import type { Histogram } from "hdr-histogram-js"
import { countsOf, percentile } from "./histogram.ts"

export interface Effort {
  readonly model: "open" | "closed"
  /** How late messages were started by the generator's own fault, µs. */
  readonly late: Histogram
  /** Of the latency, µs: lateness that is small beside it does no harm. */
  readonly latencyP99: number
  readonly durationMs: number
  /** The share of one core over the whole run, of the busiest generator. */
  readonly cpu: number
  readonly loopLagMs: number
  readonly clamped: number
  readonly planned: number
  /** What the shape asks for in the measured time; undefined when nobody computed it. */
  readonly expected: number | undefined
}

/** A message that starts later than this is late, µs. */
const lateMicros = 10_000
/** Fewer late messages say nothing: the first ones of each run meet code that never ran, and of a hundred one is the p99. */
const fewestLate = 10
const busyCpu = 0.95
/** Below, a full core is the start of the program and not the load. */
const shortestBusyMs = 2000

export function doubtsOf(effort: Effort): { readonly doubts: readonly string[]; readonly overloaded: boolean } {
  const doubts: string[] = []
  const lateP99 = percentile(effort.late, 99)
  const lateShare = effort.late.totalCount === 0 ? 0 : above(effort.late, lateMicros) / effort.late.totalCount
  const busy = effort.cpu > busyCpu
  const bound = busy ? 1000 : Math.max(5000, effort.latencyP99 * 0.1)
  const tooLate =
    (lateShare > 0.01 && above(effort.late, lateMicros) >= fewestLate) ||
    (lateP99 > bound && above(effort.late, bound) >= fewestLate)
  if (tooLate) {
    doubts.push(
      `The generator did not keep its plan: ${share(lateShare)} of the messages started more than 10 ms late ` +
        `(p99 ${ms(lateP99)}), ${reason(effort, busy)}`,
    )
  }
  const short = effort.expected === undefined ? 0 : effort.expected - effort.planned
  // One message more or less is the end of the run, not a fault.
  const tooFew = short > 1 && short > (effort.expected ?? 0) * 0.01
  if (tooFew) {
    doubts.push(
      `The generator did not reach the planned rate: it started ${count(effort.planned)} of ` +
        `${count(effort.expected ?? 0)} messages, ${reason(effort, busy)}`,
    )
  }
  if (effort.model === "closed" && busy && effort.durationMs >= shortestBusyMs) {
    doubts.push(
      `The generator used ${share(effort.cpu)} of its core: the rate may be its own limit, and latencies hold its own ` +
        "queue; use --workers",
    )
  }
  if (effort.clamped > 0) {
    doubts.push(
      `${count(effort.clamped)} ${effort.clamped === 1 ? "time was" : "times were"} below 0 or above 1 h and recorded ` +
        "as the nearest a histogram holds",
    )
  }
  return { doubts, overloaded: tooLate || tooFew }
}

function reason({ cpu, loopLagMs }: Effort, busy: boolean): string {
  if (busy) return `because its core was busy (${share(cpu)}): use --workers or a lower rate`
  if (loopLagMs > 10) {
    return `because its event loop stood still for up to ${ms(loopLagMs * 1000)} while its core was ${share(cpu)} busy: other programs of the machine may have had the core`
  }
  return `though its core was only ${share(cpu)} busy: other programs of the machine may have had the core`
}

function above(histogram: Histogram, micros: number): number {
  const counts = countsOf(histogram)
  const highest = counts.countsArrayIndex(histogram.maxValue)
  let sum = 0
  for (let place = counts.countsArrayIndex(micros) + 1; place <= highest; place++) sum += counts.getCountAtIndex(place)
  return sum
}

function share(value: number): string {
  return `${Number((value * 100).toPrecision(value < 1 ? 2 : 3))} %`
}

function ms(micros: number): string {
  return `${Number((micros / 1000).toPrecision(3))} ms`
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en-US")
}
