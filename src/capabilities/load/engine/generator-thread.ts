/** A generator in a thread of its own, as whoever started it sees it: `thread.ts` is the other end. */

import { extname } from "node:path"
import { Worker } from "node:worker_threads"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Scenario } from "../scenario/scenario.ts"
import type { Share } from "../shape/share.ts"

/** What a thread is given. */
export interface ThreadTask {
  readonly scenario: Scenario
  /** This one of so many generators, wherever they are, which together follow the scenario. */
  readonly share: Share
  /** Ours, as requests tell it. */
  readonly version: string
}

export type ToThread = { readonly kind: "start" } | { readonly kind: "stop" | "cut"; readonly reason: string }

export type FromThread =
  | { readonly kind: "ready" }
  | { readonly kind: "interval"; readonly interval: unknown }
  | { readonly kind: "done"; readonly reason: string }
  | { readonly kind: "failed"; readonly code: string; readonly message: string; readonly mend: string | undefined }

export interface GeneratorThreadEvents {
  /** As plain JSON (`interval-codec.ts`). What it throws fails the thread. */
  readonly onInterval: (interval: unknown) => void
}

export class GeneratorThread {
  /** It has what it needs to start. Rejects with `usage` for what cannot be sent. */
  readonly ready: Promise<void>
  /** Resolves with why it ended, behind its last interval. Rejects when the thread broke. */
  readonly done: Promise<string>
  readonly #worker: Worker

  constructor(task: ThreadTask, { onInterval }: GeneratorThreadEvents) {
    // As source or as built: the neighbour has our own extension.
    const file = new URL(`./thread${extname(import.meta.filename)}`, import.meta.url)
    const worker = new Worker(file, { workerData: task })
    this.#worker = worker
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
          try {
            onInterval(message.interval)
          } catch (error) {
            fail(asRdvError(error))
          }
          break
        case "done":
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
