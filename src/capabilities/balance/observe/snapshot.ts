/** The state of a balancer at one moment, as JSON: the admin API, metrics, `rdv status` and `rdv top` are views of it. */

import type { Ending } from "../connection/ending.ts"
import type { Obstacle, Orders, TargetTotals } from "../target/target.ts"

export interface Snapshot {
  /** Wall clock, ms since 1970. */
  readonly at: number
  readonly startedAt: number
  readonly configFile: string
  readonly reloads: { readonly good: number; readonly bad: number; readonly lastError: string | undefined }
  readonly connections: number
  readonly maxConnections: number | undefined
  readonly apps: readonly AppSnapshot[]
}

export interface AppSnapshot {
  readonly name: string
  readonly policy: string
  readonly listeners: readonly ListenerSnapshot[]
  readonly active: number
  readonly queued: number
  /** Of connections that came. */
  readonly total: number
  /** Why they ended; those that run are not in it. */
  readonly endings: Partial<Record<Ending, number>>
  readonly bytesUp: number
  readonly bytesDown: number
  /** ms. */
  readonly connect: HistogramSnapshot
  readonly duration: HistogramSnapshot
  readonly queue: HistogramSnapshot
  readonly targets: readonly TargetSnapshot[]
  /** Health is ignored because too few targets are usable. */
  readonly panic: boolean
}

export interface ListenerSnapshot {
  readonly address: string
  readonly state: "listening" | "retrying" | "refusing" | "closed"
  readonly error: string | undefined
}

export interface TargetSnapshot {
  readonly name: string
  readonly orders: Orders
  /** Undefined: it is used. */
  readonly obstacle: Obstacle | undefined
  readonly healthy: boolean
  readonly healthReason: string
  readonly weight: number
  readonly priority: number
  readonly zone: string | undefined
  readonly active: number
  readonly pending: number
  readonly warm: number
  /** ms; undefined without a sample. */
  readonly latencyMs: number | undefined
  readonly ejectedForMs: number
  /** For targets that are woken. */
  readonly wake: string | undefined
  readonly totals: Readonly<TargetTotals>
}

/** Counts per bucket, each up to its bound, and one more for all above; Prometheus' form without accumulation. */
export interface HistogramSnapshot {
  /** Upper bounds, ms. */
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
  readonly sum: number
}
