/** One call to a generator: a plan comes in, is checked and run in a thread, its measurements go out. */

import { availableParallelism, hostname } from "node:os"
import { asRdvError, RdvError } from "../../../base/error.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import { GeneratorThread } from "../engine/generator-thread.ts"
import type { Scenario } from "../scenario/scenario.ts"
import { checkAllowed } from "./allowance.ts"
import type { Allowance } from "./allowance.ts"
import { JsonLines, writeLine } from "./json-lines.ts"
import { longestReason, readToGenerator } from "./messages.ts"
import type { FromGenerator, ToGenerator } from "./messages.ts"
import { readPlan } from "./plan-form.ts"

export interface ServedRunOptions {
  readonly stream: Stream
  readonly clock: Clock
  readonly allowance: Allowance
  readonly version: string
  /** A plan that is allowed has started. */
  readonly onStart: (scenario: Scenario) => void
  /** Called once: with why the run ended, or why there was none. */
  readonly onEnd: (reason: string) => void
}

/** Whoever calls has a plan; and what comes next has to be ready elsewhere, too, ms. */
const planMs = 30_000
const startMs = 120_000
/** Answers are not waited for longer than this when the owner's time is over, ms. */
const mostDrainMs = 60_000
/** Of measurements that nobody takes, one each second: longer than a session waits for its link. */
const mostUnread = 600

export class ServedRun {
  readonly #options: ServedRunOptions
  #thread: GeneratorThread | undefined
  #scenario: Scenario | undefined
  #started = false
  #over = false
  #timer: Timer | undefined
  /** Lines since the stream was full. */
  #unread = 0
  #full = false

  constructor(options: ServedRunOptions) {
    this.#options = options
    const { stream } = options
    const lines = new JsonLines((json) => this.#hear(json))
    this.#wait(planMs, "No plan came")
    stream.attach({
      data: (chunk) => {
        try {
          if (!this.#over) lines.push(chunk)
        } catch (error) {
          this.#fail(asRdvError(error))
        }
        stream.consumed(chunk.length)
      },
      meta: () => undefined,
      end: () => undefined,
      drain: () => {
        this.#full = false
        this.#unread = 0
      },
      closed: (error) => this.#end(error === undefined ? "the caller has left" : error.message),
    })
  }

  /** No further messages; answers are waited for as the plan says. */
  stop(reason: string): void {
    if (this.#started) this.#thread?.tell({ kind: "stop", reason })
    else this.#fail(new RdvError("draining", "it is shutting down"))
  }

  #hear(json: JsonObject): void {
    const message = readToGenerator(json)
    switch (message.kind) {
      case "plan":
        if (this.#thread !== undefined) throw new RdvError("protocol", "A second plan came")
        void this.#prepare(message)
        return
      case "start":
        if (this.#scenario === undefined || this.#started) throw new RdvError("protocol", "Nothing is ready to start")
        this.#start(this.#scenario)
        return
      case "stop":
      case "cut":
        this.#thread?.tell(message)
    }
  }

  /** Never rejects. */
  async #prepare({ scenario: raw, share }: ToGenerator & { kind: "plan" }): Promise<void> {
    try {
      const scenario = readPlan(raw)
      checkAllowed(scenario, share, this.#options.allowance)
      const thread = new GeneratorThread(
        { scenario, share, version: this.#options.version },
        { onInterval: (interval) => this.#tell({ kind: "interval", interval }) },
      )
      this.#thread = thread
      void this.#finish(thread)
      this.#wait(startMs, "The plan was not started")
      await thread.ready
      this.#scenario = scenario
      this.#tell({ kind: "ready", host: hostname().slice(0, 255), cores: availableParallelism() })
    } catch (error) {
      this.#fail(asRdvError(error))
    }
  }

  #start(scenario: Scenario): void {
    const { allowance, clock, onStart } = this.#options
    this.#started = true
    this.#timer?.cancel()
    this.#thread?.tell({ kind: "start" })
    this.#timer = clock.after(allowance.maxDurationMs, () => {
      this.#thread?.tell({ kind: "stop", reason: longestReason })
      const drainMs = Math.min(scenario.ending.drainMs, mostDrainMs)
      this.#timer = clock.after(drainMs, () => {
        this.#thread?.tell({ kind: "cut", reason: longestReason })
        this.#wait(mostDrainMs, "The run did not end")
      })
    })
    onStart(scenario)
  }

  async #finish(thread: GeneratorThread): Promise<void> {
    try {
      const reason = await thread.done
      this.#tell({ kind: "done", reason })
      this.#end(reason)
      this.#options.stream.end()
    } catch (error) {
      this.#fail(asRdvError(error))
    }
  }

  #wait(ms: number, what: string): void {
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(ms, () => this.#fail(new RdvError("timeout", `${what} for ${ms / 1000} s`)))
  }

  #fail({ message, mend }: RdvError): void {
    if (this.#over) return
    this.#tell({ kind: "failed", message, mend })
    this.#end(message)
    this.#options.stream.end()
  }

  #tell(message: FromGenerator): void {
    if (this.#over) return
    if (!writeLine(this.#options.stream, message)) this.#full = true
    if (!this.#full) return
    this.#unread++
    if (this.#unread <= mostUnread) return
    this.#end("the measurements are not read")
    this.#options.stream.reset("limit", "The measurements are not read")
  }

  /** The thread ends with its connections; whoever calls next is welcome. */
  #end(reason: string): void {
    if (this.#over) return
    this.#over = true
    this.#timer?.cancel()
    this.#thread?.end()
    this.#options.onEnd(reason)
  }
}
