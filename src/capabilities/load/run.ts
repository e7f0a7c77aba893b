/** One run from start to result: generators, collector, judge. It prints nothing; who wants to show something listens. */

import { availableParallelism, hostname } from "node:os"
import { startCrew } from "./engine/crew.ts"
import type { Crew, CrewOptions } from "./engine/crew.ts"
import { parseCondition, parseThreshold } from "./judge/threshold.ts"
import { Judge } from "./judge/judge.ts"
import { Collector } from "./record/collector.ts"
import type { Interval } from "./record/interval.ts"
import type { Result } from "./record/result.ts"
import type { Scenario } from "./scenario/scenario.ts"
import { messagesUntil, planEndMs } from "./shape/course.ts"

export interface RunOptions {
  readonly scenario: Scenario
  /** Threads; 1 runs in this one. */
  readonly workers: number
  /** Generators elsewhere in place of threads: `workers` says how many. */
  readonly startCrew?: (options: CrewOptions) => Promise<Crew>
  readonly version: string
  /** Begins the end: no further messages, answers are waited for. */
  readonly stopping?: AbortSignal
  /** Ends at once: what is under way is cut and counted. */
  readonly cutting?: AbortSignal
  /** The interval is good during the call. */
  readonly onInterval?: (interval: Interval, generator: number) => void
  /** After each interval was added up. */
  readonly onProgress?: (collector: Collector) => void
}

/** Throws `usage` for a scenario that cannot be run, before anything is sent. */
export async function runScenario(options: RunOptions): Promise<Result> {
  const { scenario, workers, version, stopping, cutting, onInterval, onProgress } = options
  const labels = scenario.targets.map(({ label }) => label)
  const judge = new Judge({
    thresholds: scenario.thresholds.map((text) => parseThreshold(text, labels)),
    stopWhen: scenario.ending.stopWhen.map((text) => parseCondition(text, labels)),
    labels,
  })
  const collector = new Collector({
    targets: labels.length,
    model: scenario.model.kind,
    warmUpMs: scenario.warmUpMs,
    windowMs: judge.windowMs,
  })
  const startedAt = new Date().toISOString()
  let ended: string | undefined
  const end = (reason: string): void => {
    ended ??= reason
    // The first interval may come before the crew is known.
    void crew.then((started) => started.stop(reason))
  }
  const crew = (options.startCrew ?? startCrew)({
    scenario,
    workers,
    version,
    onInterval(interval, generator) {
      collector.add(interval, generator)
      onInterval?.(interval, generator)
      const verdict = ended === undefined ? judge.observe(collector) : undefined
      if (verdict !== undefined) end(verdict)
      onProgress?.(collector)
    },
    onLeft: (generator) => collector.leave(generator),
  })
  const stop = () => end("interrupted")
  const cut = () => void crew.then((started) => started.cut("interrupted"))
  const started = await crew
  if (stopping?.aborted === true) stop()
  stopping?.addEventListener("abort", stop)
  cutting?.addEventListener("abort", cut)
  try {
    const reason = await started.done
    const expected = ended === undefined && reason === "duration" ? expectedMessages(scenario) : undefined
    const result = collector.result({
      scenario,
      startedAt,
      generator: { host: hostname(), cores: availableParallelism(), ...started.place, version, workers },
      thresholds: judge.outcomes(collector),
      ended: ended ?? reason,
      ...(expected === undefined ? {} : { expected }),
    })
    return { ...result, doubts: [...(started.doubts ?? []), ...result.doubts] }
  } finally {
    stopping?.removeEventListener("abort", stop)
    cutting?.removeEventListener("abort", cut)
  }
}

/** What the open model's plan asks for in the measured part. */
function expectedMessages({ model, phases, ending }: Scenario): number | undefined {
  // Of Poisson arrivals there are as many as chance says.
  if (model.kind !== "open" || model.arrivals === "poisson") return undefined
  const endMs = Math.min(planEndMs(phases), ending.durationMs ?? Infinity)
  return endMs === Infinity ? undefined : messagesUntil(phases, endMs, model.maxRate)
}
