/** What a scrape of the metrics sees: the totals so far, and the newest interval's gauges. */

import type { Collector } from "./record/collector.ts"
import { quantilesOf } from "./record/histogram.ts"
import type { Interval } from "./record/interval.ts"
import type { RunningTotals } from "./report/prometheus.ts"
import type { Scenario } from "./scenario/scenario.ts"

/** Before the first interval everything is 0. */
export function runningTotals(
  { targets }: Scenario,
  collector: Collector | undefined,
  newest: Interval | undefined,
): RunningTotals {
  const whole = collector?.total().counts
  return {
    planned: whole?.planned ?? 0,
    dropped: whole?.dropped ?? 0,
    neverSent: whole?.neverSent ?? 0,
    connections: newest?.connections ?? 0,
    inFlight: newest?.inFlight ?? 0,
    queued: newest?.queued ?? 0,
    loopLagMs: newest?.loopLagMs ?? 0,
    targets:
      collector === undefined
        ? []
        : targets.map(({ label }, at) => {
            const { counts, wait, service, latency } = collector.total(at)
            const { completed, failed, timedOut, cut, connects, bytesSent, bytesReceived } = counts
            return {
              label,
              completed,
              failed,
              timedOut,
              cut,
              connects,
              bytesSent,
              bytesReceived,
              ...(wait === undefined ? {} : { wait: quantilesOf(wait) }),
              service: quantilesOf(service),
              latency: quantilesOf(latency),
              errors: collector.errors(at),
            }
          }),
  }
}
