/** A stretch of the run, or all of it, as thresholds look at it. */

import type { Histogram } from "hdr-histogram-js"
import type { Counts } from "./tally.ts"

export interface Measured {
  readonly counts: Counts
  /** How long it was measured, ms. */
  readonly spanMs: number
  /** µs; undefined in the closed model, where nothing waits for its turn. */
  readonly wait: Histogram | undefined
  readonly service: Histogram
  readonly latency: Histogram
  readonly connect: Histogram
}
