/**
 * What one generator measured in one stretch of time: what the recorder gives, workers and agents send, and the collector
 * adds up. Times are ms since the run's start, latencies µs.
 */

import type { Histogram } from "hdr-histogram-js"
import type { ErrorKind } from "../client/client.ts"

export interface Interval {
  readonly fromMs: number
  readonly toMs: number
  /** Up to here messages were planned or sent; behind it only the last answers were waited for. `fromMs` when there were none. */
  readonly activeToMs: number
  /** In the order of the scenario's targets. */
  readonly targets: readonly TargetInterval[]
  /** Messages that the plan started: sent, queued or dropped. */
  readonly planned: number
  /** Of those: no connection was free and the queue was full or not wanted. */
  readonly dropped: number
  /** At the end: planned, still in the queue, never sent. */
  readonly neverSent: number
  /** At `toMs`. */
  readonly connections: number
  readonly inFlight: number
  readonly queued: number
  /** How late the generator itself started messages, µs; empty in the closed model. */
  readonly late: Histogram
  /** Times below 0 or above 1 h: recorded as the nearest that a histogram holds. */
  readonly clamped: number
  /** The longest turn of the event loop, ms, and the share of one core that the generator used, 0 to 1. */
  readonly loopLagMs: number
  readonly cpu: number
}

export interface TargetInterval {
  /** From the planned instant to the send, µs. Empty in the closed model, where nothing is planned. */
  readonly wait: Histogram
  /** From the send to the complete answer, µs. */
  readonly service: Histogram
  /** From the planned instant to the complete answer, µs; in the closed model the same as `service`. */
  readonly total: Histogram
  /** Begun on a connection, whatever became of it. */
  readonly sent: number
  /** Answered and right. Only these are in the histograms. */
  readonly completed: number
  /** Answered wrong, or the connection broke. */
  readonly failed: number
  readonly timedOut: number
  /** Sent, and not answered when the run ended. */
  readonly cut: number
  readonly connects: number
  /** From the first packet to ready, µs. */
  readonly connect: Histogram
  readonly bytesSent: number
  readonly bytesReceived: number
  /** One for each that failed or timed out, and one for each connection that could not be opened or broke while idle. */
  readonly errors: Errors
}

export type Errors = Readonly<Partial<Record<ErrorKind, ErrorCount>>>

export interface ErrorCount {
  readonly count: number
  readonly example: string
}
