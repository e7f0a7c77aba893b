/** A thread with an event loop of its own, as the main thread sees it: `thread.ts` is the other end. */

import { extname } from "node:path"
import { Worker } from "node:worker_threads"
import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Answers, FromLoop, LoopTask, Question, ToLoop } from "./messages.ts"

export interface LoopThreadEvents {
  readonly onMessage: (message: FromLoop) => void
  /** It is gone, and nobody has asked for that. */
  readonly onDied: (reason: string) => void
}

/** An answer takes so long at most, ms. */
const patienceMs = 10_000
/** Between the end of its work and that of its thread, ms. */
const exitMs = 2_000

export class LoopThread {
  readonly loop: number
  readonly #worker: Worker
  readonly #clock: Clock
  readonly #asked: Map<number, PromiseWithResolvers<unknown>> = new Map()
  readonly #exited: PromiseWithResolvers<void> = Promise.withResolvers()
  readonly #stopped: PromiseWithResolvers<void> = Promise.withResolvers()
  #lastAsk = 0
  #isOver = false

  constructor(task: LoopTask, clock: Clock, { onMessage, onDied }: LoopThreadEvents) {
    this.loop = task.loop
    this.#clock = clock
    // As source or as built: the neighbour has our own extension.
    const file = new URL(`./thread${extname(import.meta.filename)}`, import.meta.url)
    const worker = new Worker(file, { workerData: task, name: `loop ${task.loop}` })
    this.#worker = worker
    let reason = "it ended by itself"
    worker.on("error", (error) => (reason = error instanceof Error ? (error.stack ?? error.message) : String(error)))
    worker.on("exit", () => {
      const wasOver = this.#isOver
      this.#isOver = true
      const gone = new RdvError("closed", `Event loop ${this.loop} is gone`)
      for (const { reject } of this.#asked.values()) reject(gone)
      this.#asked.clear()
      this.#stopped.resolve()
      this.#exited.resolve()
      if (!wasOver) onDied(reason)
    })
    worker.on("message", (message: FromLoop) => {
      if (message.kind === "answer" || message.kind === "failed") this.#answered(message)
      else if (message.kind === "stopped") this.#stopped.resolve()
      else onMessage(message)
    })
  }

  tell(message: ToLoop): void {
    this.#worker.postMessage(message)
  }

  /** Rejects with what it throws, with `closed` when it is gone, with `timeout` when it does not answer. */
  async ask<Q extends Question>(question: Q): Promise<Answers[Q["about"]]> {
    if (this.#isOver) throw new RdvError("closed", `Event loop ${this.loop} is gone`)
    const ask = ++this.#lastAsk
    const answer = Promise.withResolvers<unknown>()
    this.#asked.set(ask, answer)
    const timer = this.#clock.after(patienceMs, () => {
      answer.reject(new RdvError("timeout", `Event loop ${this.loop} gave no answer within ${patienceMs / 1_000} s`))
    })
    this.tell({ kind: "ask", ask, question })
    try {
      return (await answer.promise) as Answers[Q["about"]]
    } finally {
      timer.cancel()
      this.#asked.delete(ask)
    }
  }

  /** Waits for what runs there, then cuts it. Never rejects. */
  async stop(graceMs: number): Promise<void> {
    this.#isOver = true
    this.tell({ kind: "stop", graceMs })
    const late = this.#clock.after(graceMs + patienceMs, () => this.#stopped.resolve())
    await this.#stopped.promise
    late.cancel()
    const timer = this.#clock.after(exitMs, () => void this.#worker.terminate())
    await this.#exited.promise
    timer.cancel()
  }

  #answered(message: Extract<FromLoop, { readonly kind: "answer" | "failed" }>): void {
    const asked = this.#asked.get(message.ask)
    if (message.kind === "answer") asked?.resolve(message.value)
    else {
      const { code, message: text, mend } = message.failure
      asked?.reject(new RdvError(code, text, mend === undefined ? {} : { mend }))
    }
  }
}
