/**
 * One generator: follows a scenario, or its share of one, from one event loop. It records what happens and hands the
 * records out once a second; it judges nothing and prints nothing.
 */

import { SeededRandom } from "../../../base/random.ts"
import type { Interval } from "../record/interval.ts"
import type { Recorder } from "../record/recorder.ts"
import type { Phase, Scenario } from "../scenario/scenario.ts"
import { Arrivals } from "../shape/arrivals.ts"
import { Course, mostOf, planEndMs } from "../shape/course.ts"
import { ClosedModel } from "./closed-model.ts"
import { Connections } from "./connections.ts"
import { OpenModel } from "./open-model.ts"
import { Pacer } from "./pacer.ts"
import type { Part } from "./parts.ts"
import { dealt, shareOf } from "../shape/share.ts"
import type { Share } from "../shape/share.ts"

export interface GeneratorOptions {
  readonly scenario: Scenario
  /** This one of so many, which together follow the scenario. */
  readonly share: Share
  readonly recorder: Recorder
  /** For each target in order. */
  readonly parts: readonly Part[]
  readonly onInterval: (interval: Interval) => void
}

/** How often late answers, lag and the number of connections are looked after, ms. */
const beatMs = 20
const intervalMs = 1000
/** How long after the plan's end messages may still start that are late by our own fault; then they are counted as never sent, ms. */
const graceMs = 100
/** Behind the last message of a count the run lasts as long as the plan would have waited for the next, but not longer, ms. */
const mostTailMs = 1000
/** Rounding must not move a message of the plan's first instant into the warm-up, ms. */
const roundingMs = 1e-6

export class Generator {
  readonly #options: GeneratorOptions
  readonly #startMs = performance.now()
  readonly #nowMs = (): number => performance.now() - this.#startMs
  /** The open model's count may end it earlier. */
  #endMs: number
  #endReason = "duration"
  /** Messages planned earlier belong to the warm-up, whenever their answers come. */
  #measuredFromMs = 0
  readonly #done: Promise<string>
  readonly #connections: Connections[] = []
  readonly #open: OpenModel[] = []
  readonly #closed: ClosedModel[] = []
  #pacer: Pacer | undefined
  #arrivals: Arrivals | undefined
  /** The pacer has nothing left. */
  #allStarted = false
  #endTimer: NodeJS.Timeout | undefined
  #course: Course | undefined
  /** This one of those that have something to do. */
  readonly #share: Share
  #left: number
  /** The closed model: the most connections that the plan ever wants, and whether it has wanted them. */
  readonly #most: number
  #peaked = false
  #looking = false
  #stopping: string | undefined
  /** The open model: where its plan ended. */
  #stoppedMs: number | undefined
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
    this.#most = scenario.model.kind === "closed" ? Math.round(mostOf(scenario.phases)) : 0
    const { kind } = scenario.model
    // Who has no connection can send nothing; in the open model each has one to each target, so that all get alike.
    const fewest = kind === "open" ? Math.floor(scenario.model.connections / options.parts.length) : this.#most
    this.#share = { index: share.index, of: Math.max(1, Math.min(share.of, fewest)) }
    this.#left = count === undefined ? Infinity : shareOf(count, this.#share)
    this.#done = new Promise((resolve) => (this.#finish = resolve))
    this.#beat = setInterval(() => this.#look(), beatMs)
    if (this.#share.index >= this.#share.of) this.stop("finished")
    else if (kind === "open") this.#startOpen(phases)
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
    clearTimeout(this.#endTimer)
    this.#pacer?.stop()
    for (const model of this.#closed) model.stop()
    // What comes later are the answers, and they do not make the run longer.
    if (this.#open.length > 0) {
      const planned = reason === this.#endReason && this.#endMs < Infinity
      this.#handOut(Math.max(this.#intervalAtMs, planned ? this.#endMs : this.#nowMs()))
      this.#stoppedMs = this.#intervalAtMs
    }
    this.#look()
  }

  /** The same without waiting: what is under way is cut. */
  cut(reason: string): void {
    this.stop(reason)
    this.#drainEndMs = 0
    this.#look()
  }

  #startOpen(phases: readonly Phase[]): void {
    const { scenario, recorder, parts } = this.#options
    const { model } = scenario
    const share = this.#share
    if (model.kind !== "open") return
    const queueLimit = Math.max(1, Math.floor(model.queueLimit / share.of / parts.length))
    for (const [at, part] of parts.entries()) {
      const { whenBusy } = model
      const counts = this.#counts
      const connections = Math.max(1, dealt(model.connections, model.connections, { at, of: parts.length }, share))
      const open = new OpenModel({ connections, whenBusy, queueLimit, recorder, nowMs: this.#nowMs, counts })
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
    this.#arrivals = arrivals
    let turn = share.index
    let lastMs = 0
    this.#pacer = new Pacer({
      nowMs: this.#nowMs,
      next: () => {
        const atMs = arrivals.next()
        if (atMs >= this.#endMs) return Infinity
        if (!this.#takeMessage()) {
          this.#endMs = Math.min(atMs, lastMs + mostTailMs)
          this.#endReason = "count"
          return Infinity
        }
        lastMs = atMs
        return atMs
      },
      fire: (plannedMs, nowMs) => {
        if (this.#measuredFromMs === 0 && plannedMs >= scenario.warmUpMs - roundingMs) this.#beginMeasured(nowMs)
        if (this.#counts(plannedMs)) {
          recorder.planned(1)
          recorder.late((nowMs - plannedMs) * 1000)
        }
        ;(this.#open[turn++ % this.#open.length] as OpenModel).fire(plannedMs, nowMs)
      },
      done: () => {
        this.#allStarted = true
        const leftMs = this.#endMs - this.#nowMs()
        // Without an end and without a rate nothing more comes.
        if (leftMs <= 0 || leftMs === Infinity) this.stop(this.#endReason)
        else if (leftMs < 2 ** 30) this.#endTimer = setTimeout(() => this.#look(), leftMs + 1)
      },
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
        anyLeft: () => this.#left > 0,
        answered: () => {
          if (this.#stopping !== undefined) this.#lookSoon()
        },
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
      counts: this.#counts,
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

  readonly #counts = (plannedMs: number): boolean => plannedMs >= this.#measuredFromMs

  /** The first measured interval begins with the measured part. */
  #beginMeasured(nowMs: number): void {
    const { warmUpMs } = this.#options.scenario
    if (warmUpMs === 0) return
    const fromMs = this.#open.length > 0 ? warmUpMs : nowMs
    this.#handOut(fromMs)
    this.#measuredFromMs = fromMs - roundingMs
  }

  /** A target's connections have all sent what they had to; with messages for each only, the run may be over. */
  #partFinished(): void {
    // Connections that the plan wants later have their messages, too.
    const over = this.#peaked || this.#left <= 0
    if (over && this.#closed.every((model) => model.idle)) this.stop(this.#left <= 0 ? "count" : "finished")
  }

  #lookSoon(): void {
    if (this.#looking) return
    this.#looking = true
    setImmediate(() => {
      this.#looking = false
      this.#look()
    })
  }

  /** Looks after everything that has no event of its own. */
  #look(): void {
    const nowMs = this.#nowMs()
    if (this.#beatAtMs > 0) this.#lagMs = Math.max(this.#lagMs, nowMs - this.#beatAtMs - beatMs)
    this.#beatAtMs = nowMs
    for (const connections of this.#connections) connections.expire(nowMs)
    if (this.#stopping === undefined) this.#follow(nowMs)
    const { warmUpMs } = this.#options.scenario
    if (this.#measuredFromMs === 0 && warmUpMs > 0 && nowMs >= warmUpMs) this.#beginMeasured(nowMs)
    if (nowMs - this.#intervalAtMs >= intervalMs) this.#handOut(nowMs)
    if (this.#stopping !== undefined) this.#end(nowMs, this.#stopping)
  }

  /** The closed model: as many connections as the plan wants now. */
  #follow(nowMs: number): void {
    if (nowMs >= this.#endMs) {
      if (this.#pacer !== undefined && !this.#allStarted) {
        if (nowMs < this.#endMs + graceMs) return
        this.#giveUpPlan(nowMs)
      }
      this.stop(this.#endReason)
      return
    }
    const value = this.#course?.at(nowMs)
    if (value === undefined) return
    const wanted = Math.round(value)
    if (wanted >= this.#most) this.#peaked = true
    const { length: targets } = this.#closed
    for (const [index, model] of this.#closed.entries())
      model.want(dealt(wanted, this.#most, { at: index, of: targets }, this.#share))
  }

  /** What we were too late for is not forgotten. */
  #giveUpPlan(nowMs: number): void {
    const { recorder } = this.#options
    this.#pacer?.stop()
    for (let atMs = this.#pacer?.plannedMs ?? Infinity; atMs < this.#endMs; atMs = this.#arrivals?.next() ?? Infinity) {
      if (!this.#counts(atMs)) continue
      recorder.planned(1)
      recorder.neverSent(1)
      recorder.late((nowMs - atMs) * 1000)
      if (!this.#takeMessage()) break
    }
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
    const activeToMs =
      this.#open.length === 0
        ? undefined
        : this.#stoppedMs === undefined
          ? nowMs
          : Math.max(this.#stoppedMs, ...this.#connections.map(({ lastSentMs }) => lastSentMs))
    const interval = recorder.take(nowMs, {
      ...(activeToMs === undefined ? {} : { activeToMs }),
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
