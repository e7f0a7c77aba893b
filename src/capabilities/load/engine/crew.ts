/**
 * The generators of one run, which start together and share the plan. Those of this machine are here: a single one in this
 * thread, or several in threads of their own.
 */

import { IntervalReader } from "../record/interval-codec.ts"
import type { Interval } from "../record/interval.ts"
import { Recorder } from "../record/recorder.ts"
import type { Scenario } from "../scenario/scenario.ts"
import { GeneratorThread } from "./generator-thread.ts"
import type { ToThread } from "./generator-thread.ts"
import { Generator } from "./generator.ts"
import { partsOf } from "./parts.ts"

export interface Crew {
  /** Resolves with why it ended, behind the last interval of all. Rejects when a thread broke. */
  readonly done: Promise<string>
  /** No further messages; what is under way is waited for as the scenario says. */
  stop(reason: string): void
  /** The same, and what is under way is cut. */
  cut(reason: string): void
  /** Where the generators are, when it is not here. */
  readonly place?: { readonly host: string; readonly cores: number }
  /** Why the figures shall not be trusted, as far as only the crew knows; complete when it is done. */
  readonly doubts?: readonly string[]
}

export interface CrewOptions {
  readonly scenario: Scenario
  readonly workers: number
  /** Ours, as requests tell it. */
  readonly version: string
  /** The interval is good during the call. */
  readonly onInterval: (interval: Interval, generator: number) => void
  /** Nothing more comes from this one. */
  readonly onLeft: (generator: number) => void
}

/** Starts at once. Throws `usage` for what cannot be sent. */
export async function startCrew(options: CrewOptions): Promise<Crew> {
  // Whoever calls has the promise before the first interval comes.
  await Promise.resolve()
  return options.workers === 1 ? startHere(options) : startThreads(options)
}

function startHere({ scenario, version, onInterval, onLeft }: CrewOptions): Crew {
  const generator = new Generator({
    scenario,
    share: { index: 0, of: 1 },
    recorder: new Recorder(scenario.targets.length, scenario.model.kind),
    parts: partsOf(scenario, 0, version),
    onInterval: (interval) => onInterval(interval, 0),
  })
  const done = generator.done.then((reason) => {
    onLeft(0)
    return reason
  })
  return { done, stop: (reason) => generator.stop(reason), cut: (reason) => generator.cut(reason) }
}

async function startThreads(options: CrewOptions): Promise<Crew> {
  const { scenario, version, workers: of, onInterval, onLeft } = options
  const threads = Array.from({ length: of }, (_, index) => {
    const reader = new IntervalReader(scenario.targets.length)
    const thread = new GeneratorThread(
      { scenario, version, share: { index, of } },
      { onInterval: (interval) => onInterval(reader.read(interval), index) },
    )
    thread.done.then(
      () => onLeft(index),
      () => undefined,
    )
    return thread
  })
  try {
    await Promise.all(threads.map(({ ready }) => ready))
  } catch (error) {
    for (const thread of threads) thread.end()
    throw error
  }
  const tell = (message: ToThread) => {
    for (const thread of threads) thread.tell(message)
  }
  tell({ kind: "start" })
  return {
    done: allDone(threads),
    stop: (reason) => tell({ kind: "stop", reason }),
    cut: (reason) => tell({ kind: "cut", reason }),
  }
}

async function allDone(threads: readonly GeneratorThread[]): Promise<string> {
  try {
    const reasons = await Promise.all(threads.map(({ done }) => done))
    return reasons[0] as string
  } finally {
    for (const thread of threads) thread.end()
  }
}
