/** The highest rate that holds what the user asks for: one run after the other, as the search says. */

import { setTimeout as sleep } from "node:timers/promises"
import { KneeSearch } from "./judge/knee.ts"
import type { KneeResult } from "./judge/knee.ts"
import type { Result } from "./record/result.ts"
import type { Scenario } from "./scenario/scenario.ts"

export interface FindMaxOptions {
  /** Of the open model; its rate and its phases are set by the search. */
  readonly scenario: Scenario
  /** What has to hold, beside the scenario's own thresholds. */
  readonly threshold: string
  /** Per second. */
  readonly start: number
  /** Of each run. */
  readonly durationMs: number
  readonly run: (scenario: Scenario) => Promise<Result>
  /** After each run. */
  readonly onRun: (rate: number, held: boolean, result: Result) => void
  readonly stopping?: AbortSignal
}

export interface Found {
  /** Undefined when the search was stopped. */
  readonly knee: KneeResult | undefined
  /** The last run at the rate that was found. */
  readonly best: Result | undefined
}

export async function findMax(options: FindMaxOptions): Promise<Found> {
  const { scenario, threshold, start, durationMs, run, onRun, stopping } = options
  const { model } = scenario
  const stopped = () => stopping?.aborted === true
  const search = new KneeSearch({
    start,
    ...(model.kind === "open" && model.maxRate !== undefined ? { highest: model.maxRate } : {}),
  })
  const results = new Map<number, Result>()
  for (let step = search.next(); !stopped(); step = search.next()) {
    if (step.done) {
      const { result: knee } = step
      return { knee, best: knee.rate === undefined ? undefined : results.get(knee.rate) }
    }
    const { rate } = step
    const plan = atRate(scenario, rate, durationMs, threshold)
    let result = await run(plan)
    // What the generator could not send says nothing about the target; a neighbour on the machine may be gone in a moment.
    for (let again = 0; result.overloaded && again < retries && !stopped(); again++) result = await run(plan)
    if (stopped()) break
    const held = !result.overloaded && result.thresholds.every((outcome) => outcome.held)
    if (held || !results.has(rate)) results.set(rate, result)
    search.report(rate, held)
    onRun(rate, held, result)
    // A target that had too much still works it off, and the next run would pay for it.
    if (!held) await rest(Math.min(durationMs, mostRestMs), stopping)
  }
  return { knee: undefined, best: undefined }
}

/** Of a run in which the generator was overloaded. */
const retries = 2
const mostRestMs = 10_000

function rest(ms: number, stopping: AbortSignal | undefined): Promise<void> {
  return sleep(ms, undefined, stopping === undefined ? {} : { signal: stopping }).catch(() => undefined)
}

function atRate(scenario: Scenario, rate: number, durationMs: number, threshold: string): Scenario {
  return {
    ...scenario,
    phases: [{ shape: { kind: "constant", value: rate }, durationMs }],
    thresholds: [...scenario.thresholds, threshold],
    ending: { ...scenario.ending, durationMs },
  }
}
