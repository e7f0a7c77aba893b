/** What a running test tells the screen: read from the collector when something is drawn. */

import type { Collector } from "./record/collector.ts"
import type { ProgressFigures } from "./report/progress.ts"
import type { Scenario } from "./scenario/scenario.ts"
import { Course, planEndMs } from "./shape/course.ts"

const shownSeconds = 30

/** Call with an elapsed time that only grows, ms. */
export function progressReader(scenario: Scenario): (elapsedMs: number, collector?: Collector) => ProgressFigures {
  const { phases, ending, model, warmUpMs } = scenario
  const course = new Course(phases, model.kind === "open" ? model.maxRate : undefined)
  const endMs = Math.min(planEndMs(phases), ending.durationMs ?? Infinity)
  return (elapsedMs, collector) => {
    const measuredMs = Math.max(0, elapsedMs - warmUpMs)
    const over = measuredMs >= endMs
    const planned = over ? 0 : (course.at(measuredMs) ?? 0)
    const points = collector?.points(shownSeconds) ?? []
    const last = points.at(-1)
    const counts = collector?.total().counts
    const answered = last !== undefined && last.completed > 0
    return {
      elapsedMs,
      plannedEndMs: endMs === Infinity ? undefined : warmUpMs + endMs,
      phase: elapsedMs < warmUpMs ? "warm-up" : over ? "waiting for answers" : phaseAt(scenario, measuredMs),
      plannedRate: model.kind === "open" && !over ? planned : undefined,
      rate: last?.rate ?? 0,
      p50: answered ? last.p50 : undefined,
      p99: answered ? last.p99 : undefined,
      errors: (counts?.failed ?? 0) + (counts?.timedOut ?? 0),
      dropped: counts?.dropped ?? 0,
      inFlight: last?.inFlight ?? 0,
      queued: last?.queued ?? 0,
      connections: last?.connections ?? 0,
      rates: points.map(({ rate }) => rate),
    }
  }
}

function phaseAt({ phases }: Scenario, measuredMs: number): string {
  if (phases.length === 1) return "running"
  let endMs = 0
  const at = phases.findIndex((phase) => measuredMs < (endMs += planEndMs([phase])))
  return `phase ${at < 0 ? phases.length : at + 1} of ${phases.length}`
}
