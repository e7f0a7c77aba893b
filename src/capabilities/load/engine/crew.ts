/**
 * The generators of one run on this machine: a single one in this thread, or several in threads of their own, which start
 * together and share the plan.
 */

import { extname } from "node:path"
import { Worker } from "node:worker_threads"
import { asRdvError, RdvError } from "../../../base/error.ts"
import { IntervalReader } from "../record/interval-codec.ts"
import type { Interval } from "../record/interval.ts"
import { Recorder } from "../record/recorder.ts"
import type { Scenario } from "../scenario/scenario.ts"
import { Generator } from "./generator.ts"
import { partsOf } from "./parts.ts"

export interface Crew {
  /** Resolves with why it ended, behind the last interval of all. Rejects when a thread broke. */
  readonly done: Promise<string>
  /** No further messages; what is under way is waited for as the scenario says. */
  stop(reason: string): void
  /** The same, and what is under way is cut. */
  cut(reason: string): void
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

/** What a thread is given. */
export interface ThreadTask {
  readonly scenario: Scenario
  readonly share: { readonly index: number; readonly of: number }
  readonly version: string
}

export type ToThread = { readonly kind: "start" } | { readonly kind: "stop" | "cut"; readonly reason: string }

export type FromThread =
  | { readonly kind: "ready" }
  | { readonly kind: "interval"; readonly interval: unknown }
  | { readonly kind: "done"; readonly reason: string }
  | { readonly kind: "failed"; readonly code: string; readonly message: string; readonly mend: string | undefined }

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
  const { scenario, version, workers: of } = options
  // As source or as built: the neighbour has our own extension.
  const file = new URL(`./thread${extname(import.meta.filename)}`, import.meta.url)
  const threads = Array.from({ length: of }, (_, index) => {
    const task: ThreadTask = { scenario, version, share: { index, of } }
    return new Thread(new Worker(file, { workerData: task }), index, options)
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

async function allDone(threads: readonly Thread[]): Promise<string> {
  try {
    const reasons = await Promise.all(threads.map(({ done }) => done))
    return reasons[0] as string
  } finally {
    for (const thread of threads) thread.end()
  }
}

class Thread {
  readonly ready: Promise<void>
  readonly done: Promise<string>
  readonly #worker: Worker

  constructor(worker: Worker, index: number, options: CrewOptions) {
    this.#worker = worker
    const reader = new IntervalReader(options.scenario.targets.length)
    const ready = Promise.withResolvers<void>()
    const done = Promise.withResolvers<string>()
    this.ready = ready.promise
    this.done = done.promise
    const fail = (error: Error): void => {
      ready.reject(error)
      done.reject(error)
    }
    // Only one of the two is awaited at a time.
    this.ready.catch(() => undefined)
    this.done.catch(() => undefined)
    worker.on("error", (error) => fail(asRdvError(error)))
    worker.on("exit", (code) => fail(new RdvError("internal", `A generator's thread ended with code ${code}`)))
    worker.on("message", (message: FromThread) => {
      switch (message.kind) {
        case "ready":
          ready.resolve()
          break
        case "interval":
          options.onInterval(reader.read(message.interval), index)
          break
        case "done":
          options.onLeft(index)
          done.resolve(message.reason)
          break
        case "failed":
          fail(new RdvError("usage", message.message, message.mend === undefined ? {} : { mend: message.mend }))
          break
      }
    })
  }

  tell(message: ToThread): void {
    this.#worker.postMessage(message)
  }

  end(): void {
    void this.#worker.terminate()
  }
}
