/**
 * One generator: follows a scenario, or its share of one, from one event loop. It records what happens and hands the
 * records out once a second; it judges nothing and prints nothing.
 */

import { SeededRandom } from "../../../base/random.ts"
import type { Interval } from "../record/interval.ts"
import type { Recorder } from "../record/recorder.ts"
import type { Phase, Scenario } from "../scenario/scenario.ts"
import { Arrivals } from "../shape/arrivals.ts"
import { Course, planEndMs } from "../shape/course.ts"
import { ClosedModel } from "./closed-model.ts"
import { Connections } from "./connections.ts"
import { OpenModel } from "./open-model.ts"
import { Pacer } from "./pacer.ts"
import type { Part } from "./parts.ts"

export interface GeneratorOptions {
  readonly scenario: Scenario
  /** This one of so many, which together follow the scenario. */
  readonly share: { readonly index: number; readonly of: number }
  readonly recorder: Recorder
  /** For each target in order. */
  readonly parts: readonly Part[]
  readonly onInterval: (interval: Interval) => void
}

/** How often late answers, lag and the number of connections are looked after, ms. */
const beatMs = 20
const intervalMs = 1000

export class Generator {
  readonly #options: GeneratorOptions
  readonly #startMs = performance.now()
  readonly #nowMs = (): number => performance.now() - this.#startMs
  readonly #endMs: number
  readonly #done: Promise<string>
  readonly #connections: Connections[] = []
  readonly #open: OpenModel[] = []
  readonly #closed: ClosedModel[] = []
  #pacer: Pacer | undefined
  #course: Course | undefined
  #left: number
  #stopping: string | undefined
  #drainEndMs = Infinity
  #beat: NodeJS.Timeout | undefined
  #beatAtMs = 0
  #lagMs = 0
  #intervalAtMs = 0
  #cpu: NodeJS.CpuUsage = process.threadCpuUsage()
  /** Of the processor time, what went into waiting for an instant. */
  #idleMs = 0
  #finish: (ended: string) => void = () => undefined

  /** Starts at once. */
  constructor(options: GeneratorOptions) {
    this.#options = options
    const { scenario, share } = options
    const phases = withWarmUp(scenario)
    const { durationMs, count } = scenario.ending
    this.#endMs = Math.min(planEndMs(phases), durationMs === undefined ? Infinity : scenario.warmUpMs + durationMs)
    this.#left = count === undefined ? Infinity : Math.floor((count + share.of - 1 - share.index) / share.of)
    this.#done = new Promise((resolve) => (this.#finish = resolve))
    this.#beat = setInterval(() => this.#look(), beatMs)
    if (scenario.model.kind === "open") this.#startOpen(phases)
    else this.#startClosed(phases)
    this.#look()
  }

  /** Resolves with the reason when everything is answered, cut and recorded; the last interval was handed out. */
  get done(): Promise<string> {
    return this.#done
  }

  /** No further messages; answers are waited for as long as the scenario says. */
  stop(reason: string): void {
    if (this.#stopping !== undefined) return
    this.#stopping = reason
    this.#drainEndMs = this.#nowMs() + this.#options.scenario.ending.drainMs
    this.#pacer?.stop()
    for (const model of this.#closed) model.stop()
    this.#look()
  }

  /** The same without waiting: what is under way is cut. */
  cut(reason: string): void {
    this.stop(reason)
    this.#drainEndMs = 0
    this.#look()
  }

  #startOpen(phases: readonly Phase[]): void {
    const { scenario, share, recorder, parts } = this.#options
    const { model } = scenario
    if (model.kind !== "open") return
    const each = Math.max(1, Math.floor(shareOf(model.connections, share) / parts.length))
    const queueLimit = Math.max(1, Math.floor(model.queueLimit / share.of / parts.length))
    for (const part of parts) {
      const { whenBusy } = model
      const open = new OpenModel({ connections: each, whenBusy, queueLimit, recorder, nowMs: this.#nowMs })
      open.use(this.#connect(part, open))
      this.#open.push(open)
    }
    const random = model.arrivals === "poisson" ? new SeededRandom(scenario.seed, 1 + share.index) : undefined
    const { maxRate } = model
    const arrivals = new Arrivals({
      phases,
      share,
      ...(maxRate === undefined ? {} : { maxRate }),
      ...(random === undefined ? {} : { random }),
    })
    let turn = share.index
    this.#pacer = new Pacer({
      nowMs: this.#nowMs,
      next: () => {
        const atMs = arrivals.next()
        return atMs < this.#endMs && this.#takeMessage() ? atMs : Infinity
      },
      fire: (plannedMs, nowMs) => {
        recorder.planned(1)
        recorder.late((nowMs - plannedMs) * 1000)
        ;(this.#open[turn++ % this.#open.length] as OpenModel).fire(plannedMs, nowMs)
      },
      done: () => this.stop(this.#left <= 0 ? "count" : "duration"),
    })
    this.#pacer.start()
  }

  #startClosed(phases: readonly Phase[]): void {
    const { scenario, recorder, parts } = this.#options
    const { model } = scenario
    if (model.kind !== "closed") return
    for (const part of parts) {
      const closed = new ClosedModel({
        each: model.each,
        recorder,
        nowMs: this.#nowMs,
        takeMessage: () => this.#takeMessage(),
        finished: () => this.#partFinished(),
      })
      closed.use(this.#connect(part, closed))
      this.#closed.push(closed)
    }
    this.#course = new Course(phases)
  }

  #connect(part: Part, model: OpenModel | ClosedModel): Connections {
    const { scenario, recorder } = this.#options
    const connections = new Connections({
      target: this.#connections.length,
      factory: part.factory,
      source: part.source,
      pace: scenario.pace,
      ending: scenario.ending,
      recorder,
      nowMs: this.#nowMs,
      model,
    })
    this.#connections.push(connections)
    return connections
  }

  #takeMessage(): boolean {
    if (this.#left <= 0) return false
    this.#left--
    return true
  }

  /** A target's connections have all sent what they had to; with messages for each only, the run may be over. */
  #partFinished(): void {
    if (this.#closed.every((model) => model.idle)) this.stop(this.#left <= 0 ? "count" : "finished")
  }

  /** Looks after everything that has no event of its own. */
  #look(): void {
    const nowMs = this.#nowMs()
    if (this.#beatAtMs > 0) this.#lagMs = Math.max(this.#lagMs, nowMs - this.#beatAtMs - beatMs)
    this.#beatAtMs = nowMs
    for (const connections of this.#connections) connections.expire(nowMs)
    if (this.#stopping === undefined) this.#follow(nowMs)
    // The first measured interval begins with the measured part.
    const { warmUpMs } = this.#options.scenario
    const begins = this.#intervalAtMs < warmUpMs && nowMs >= warmUpMs
    if (begins || nowMs - this.#intervalAtMs >= intervalMs) this.#handOut(nowMs)
    if (this.#stopping !== undefined) this.#end(nowMs, this.#stopping)
  }

  /** The closed model: as many connections as the plan wants now. */
  #follow(nowMs: number): void {
    if (nowMs >= this.#endMs) {
      this.stop("duration")
      return
    }
    const value = this.#course?.at(nowMs)
    if (value === undefined) return
    const { share } = this.#options
    const { length } = this.#closed
    const wanted = shareOf(Math.round(value), share)
    for (const [index, model] of this.#closed.entries()) model.want(shareOf(wanted, { index, of: length }))
  }

  #end(nowMs: number, reason: string): void {
    const answered = this.#inFlight === 0 && this.#queued === 0
    if (this.#beat === undefined || (!answered && nowMs < this.#drainEndMs)) return
    clearInterval(this.#beat)
    this.#beat = undefined
    for (const model of this.#open) model.giveUp()
    for (const connections of this.#connections) connections.cut()
    this.#handOut(this.#nowMs())
    this.#finish(reason)
  }

  #handOut(nowMs: number): void {
    const { recorder, onInterval } = this.#options
    const cpu = process.threadCpuUsage(this.#cpu)
    this.#cpu = process.threadCpuUsage()
    const idleMs = this.#pacer?.idleMs ?? 0
    const busyMs = (cpu.user + cpu.system) / 1000 - (idleMs - this.#idleMs)
    this.#idleMs = idleMs
    const interval = recorder.take(nowMs, {
      connections: this.#connections.reduce((sum, { size, opening }) => sum + size - opening, 0),
      inFlight: this.#inFlight,
      queued: this.#queued,
      loopLagMs: Math.max(0, this.#lagMs),
      cpu: Math.max(0, busyMs) / Math.max(1, nowMs - this.#intervalAtMs),
    })
    this.#lagMs = 0
    this.#intervalAtMs = nowMs
    onInterval(interval)
  }

  get #inFlight(): number {
    return this.#connections.reduce((sum, { busy }) => sum + busy, 0)
  }

  get #queued(): number {
    return this.#open.reduce((sum, { queued }) => sum + queued, 0)
  }
}

/** The warm-up runs what the plan begins with, before the plan. */
function withWarmUp({ warmUpMs, phases }: Scenario): readonly Phase[] {
  if (warmUpMs === 0) return phases
  const value = new Course(phases).at(0) ?? 0
  return [{ shape: { kind: "constant", value }, durationMs: warmUpMs }, ...phases]
}

/** Of `whole`: all shares together are the whole. */
function shareOf(whole: number, { index, of }: { readonly index: number; readonly of: number }): number {
  return Math.floor((whole + of - 1 - index) / of)
}
