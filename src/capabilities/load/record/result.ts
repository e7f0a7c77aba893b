/** A whole run in figures: what reports print, `--json` writes and `compare` reads. Plain data. */

import type { ErrorCount } from "./interval.ts"
import type { ErrorKind } from "../client/client.ts"
import type { Scenario } from "../scenario/scenario.ts"

export interface Result {
  readonly format: "rdv-load/1"
  readonly scenario: Scenario
  /** ISO 8601. */
  readonly startedAt: string
  /** Measured, without warm-up, ms. */
  readonly durationMs: number
  readonly generator: {
    readonly host: string
    readonly version: string
    readonly cores: number
    readonly workers: number
  }
  readonly total: Figures
  /** One for each target, in the scenario's order. */
  readonly targets: readonly (Figures & { readonly label: string })[]
  /** About one a second; coarser in long runs. */
  readonly series: readonly Point[]
  readonly thresholds: readonly ThresholdOutcome[]
  /** Why the figures shall not be trusted; empty when the generator kept its plan. */
  readonly doubts: readonly string[]
  /** The generator itself could not keep its plan, so that the figures speak of it and not of the target. */
  readonly overloaded: boolean
  /** Why it ended: "duration", "count", a condition, "interrupted", "threshold". */
  readonly ended: string
}

export interface Figures {
  readonly planned: number
  readonly completed: number
  readonly failed: number
  readonly timedOut: number
  readonly cut: number
  readonly dropped: number
  readonly neverSent: number
  readonly connects: number
  readonly bytesSent: number
  readonly bytesReceived: number
  /** Completed messages per second. */
  readonly rate: number
  /** Latencies in µs. `wait` is undefined in the closed model. */
  readonly wait?: Quantiles
  readonly service: Quantiles
  readonly latency: Quantiles
  readonly connect: Quantiles
  /** The closed model only: latency as independent visitors would have seen it (missing samples filled in). */
  readonly corrected?: Quantiles
  readonly errors: Readonly<Partial<Record<ErrorKind, ErrorCount>>>
  /** The histogram of `latency`: HdrHistogram V2, deflated, base64. */
  readonly hdr: string
}

/** µs. */
export interface Quantiles {
  readonly count: number
  readonly min: number
  readonly mean: number
  readonly stddev: number
  readonly p50: number
  readonly p75: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
  readonly p999: number
  readonly p9999: number
  readonly max: number
}

export interface Point {
  /** Middle of the stretch, ms since the start of the measured part. */
  readonly atMs: number
  readonly spanMs: number
  readonly planned: number
  readonly completed: number
  readonly failed: number
  readonly dropped: number
  /** Per second. */
  readonly rate: number
  readonly connections: number
  readonly inFlight: number
  readonly queued: number
  readonly bytesSent: number
  readonly bytesReceived: number
  /** Latency, µs. */
  readonly p50: number
  readonly p90: number
  readonly p99: number
  readonly p999: number
  readonly max: number
  readonly errors: number
  readonly loopLagMs: number
}

export interface ThresholdOutcome {
  /** As written. */
  readonly text: string
  readonly held: boolean
  /** What was measured, with its unit: `23.4 ms`. */
  readonly measured: string
}
