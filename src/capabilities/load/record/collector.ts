/**
 * Adds up what one or many generators measured: totals of the whole run, a bounded series over time, and the last seconds
 * for thresholds over windows. Histograms are added, never averaged. Memory does not grow with the run.
 */

import type { Histogram } from "hdr-histogram-js"
import type { ErrorKind } from "../client/client.ts"
import type { Scenario } from "../scenario/scenario.ts"
import { doubtsOf } from "./doubts.ts"
import { encodeHistogram } from "./histogram-codec.ts"
import { addHistogram, correctedFor, newRunHistogram, percentile, quantilesOf } from "./histogram.ts"
import type { ErrorCount, Errors, Interval, TargetInterval } from "./interval.ts"
import type { Measured } from "./measured.ts"
import { RecentSeconds } from "./recent-seconds.ts"
import type { Figures, Point, Result, ThresholdOutcome } from "./result.ts"
import { Series } from "./series.ts"
import { addSnapshot, mergeTimes, noTimes, timesOf } from "./snapshot.ts"
import type { TimeSnapshots } from "./snapshot.ts"
import { begunIn, Tally } from "./tally.ts"

export interface CollectorOptions {
  readonly targets: number
  readonly model: "open" | "closed"
  readonly warmUpMs: number
  /** The longest window that will be asked for; default none. */
  readonly windowMs?: number
}

/** What a result says beside the figures. */
export interface RunFacts {
  readonly scenario: Scenario
  readonly startedAt: string
  readonly generator: Result["generator"]
  readonly thresholds: readonly ThresholdOutcome[]
  readonly ended: string
  /** Messages that the shape asks for in the measured time; undefined: not compared. */
  readonly expected?: number
}

/** An interval may end this much before its second does, ms. */
const earlyMs = 100

export class Collector {
  readonly #options: CollectorOptions
  readonly #closed: boolean
  readonly #plan = new Tally()
  readonly #targets: readonly TargetTotals[]
  /** Of all targets; with a single one, the same. */
  readonly #whole: TargetTotals
  readonly #late: Histogram = newRunHistogram()
  readonly #series: Series
  readonly #recent: RecentSeconds
  readonly #generators = new Map<number, GeneratorState>()
  #fromMs = Number.POSITIVE_INFINITY
  #activeToMs = 0
  #loopLagMs = 0
  #clamped = 0

  constructor(options: CollectorOptions) {
    this.#options = options
    this.#closed = options.model === "closed"
    this.#targets = Array.from({ length: options.targets }, () => new TargetTotals(this.#closed))
    const [only, ...others] = this.#targets
    this.#whole = only !== undefined && others.length === 0 ? only : new TargetTotals(this.#closed)
    this.#series = new Series()
    this.#recent = new RecentSeconds(options.targets, options.model, options.windowMs ?? 0)
  }

  /** Copies what it needs: the interval's histograms may be used again afterwards. */
  add(interval: Interval, generator = 0): void {
    const state = this.#generator(generator)
    state.toMs = Math.max(state.toMs, interval.toMs)
    const startMs = this.#options.warmUpMs
    const connections = Math.max(state.connections, interval.connections)
    state.connections = interval.connections
    if (interval.fromMs < startMs) return

    const spanMs = interval.toMs - interval.fromMs
    state.spanMs += spanMs
    state.cpuMs += interval.cpu * spanMs
    state.connectionMs += connections * spanMs
    this.#fromMs = Math.min(this.#fromMs, interval.fromMs)
    this.#loopLagMs = Math.max(this.#loopLagMs, interval.loopLagMs)
    this.#clamped += interval.clamped
    addHistogram(this.#late, interval.late)
    this.#plan.addPlan(interval)
    // Each histogram is looked through once; what follows costs as much as it holds.
    const times = interval.targets.map((target) => timesOf(target))
    const whole = mergeTimes(times)
    for (const [at, totals] of this.#targets.entries()) {
      const target = interval.targets[at]
      if (target === undefined) continue
      totals.count(target)
      totals.addTimes(times[at] ?? noTimes)
      if (totals !== this.#whole) this.#whole.count(target)
    }
    if (this.#targets.length !== 1) this.#whole.addTimes(whole)
    if (interval.activeToMs > interval.fromMs) this.#activeToMs = Math.max(this.#activeToMs, interval.activeToMs)
    this.#series.add(interval, generator, startMs, whole.total)
    this.#recent.add(interval, generator, startMs, times, whole)
  }

  /** Nothing more comes from it: the others are not held up. */
  leave(generator: number): void {
    const state = this.#generator(generator)
    state.left = true
  }

  /** Whole seconds since the start of the measured part that all generators have told about. */
  get seconds(): number {
    const states = [...this.#generators.values()]
    const present = states.filter((state) => !state.left)
    if (states.length === 0) return 0
    const toMs =
      present.length > 0
        ? Math.min(...present.map((state) => state.toMs))
        : Math.max(...states.map((state) => state.toMs))
    return Math.max(0, Math.floor((toMs - this.#options.warmUpMs + earlyMs) / 1000))
  }

  /**
   * Measured so far, without warm-up, ms: up to the end of the plan, or where the last message was sent behind it (in
   * the closed model up to the last answer), so that waiting for answers that never come does not lower the rate.
   */
  get durationMs(): number {
    return Math.max(0, this.#activeToMs - this.#fromMs)
  }

  /** The run so far, of all targets or of one. Its histograms go on growing. */
  total(target?: number): Measured {
    const totals = target === undefined ? this.#whole : this.#targets[target]
    if (totals === undefined) throw new RangeError(`There is no target ${target}`)
    const { wait, service, latency, connect } = totals
    return { counts: this.#counts(target), spanMs: this.durationMs, wait, service, latency, connect }
  }

  /** Of one target, by kind. */
  errors(target: number): Errors {
    return this.#targets[target]?.errors ?? {}
  }

  /** `length` seconds up to the second `end`; undefined when the run did not begin so early or is not there yet. */
  window(length: number, end: number = this.seconds, target?: number): Measured | undefined {
    if (end - length < 0 || end > this.seconds) return undefined
    return this.#recent.window(end - length, end, target)
  }

  /** The series so far, or its newest points. */
  points(last?: number): Point[] {
    return this.#series.points(last)
  }

  result(facts: RunFacts): Result {
    const { scenario, startedAt, generator, thresholds, ended, expected } = facts
    const durationMs = this.durationMs
    const corrected = this.#closed ? this.#targets.map((totals) => this.#correct(totals)) : []
    const latency = this.#whole.latency
    const { doubts, overloaded } = doubtsOf({
      model: this.#options.model,
      late: this.#late,
      latencyP99: percentile(latency, 99),
      durationMs,
      cpu: Math.max(0, ...[...this.#generators.values()].map(({ cpuMs, spanMs }) => (spanMs > 0 ? cpuMs / spanMs : 0))),
      loopLagMs: this.#loopLagMs,
      clamped: this.#clamped,
      planned: this.#plan.planned,
      expected: this.#closed ? undefined : expected,
    })
    return {
      format: "rdv-load/1",
      scenario,
      startedAt,
      durationMs,
      generator,
      total: this.#figures(undefined, this.#whole, this.#closed ? sumOf(corrected) : undefined),
      targets: this.#targets.map((totals, at) => ({
        ...this.#figures(at, totals, corrected[at]),
        label: scenario.targets[at]?.label ?? "",
      })),
      series: this.points(),
      thresholds,
      doubts,
      overloaded,
      ended,
    }
  }

  #generator(generator: number): GeneratorState {
    let state = this.#generators.get(generator)
    if (state === undefined) {
      state = { toMs: 0, left: false, connections: 0, spanMs: 0, cpuMs: 0, connectionMs: 0 }
      this.#generators.set(generator, state)
    }
    return state
  }

  #counts(target: number | undefined): Tally {
    const counts = new Tally()
    const totals = target === undefined ? this.#whole : this.#targets[target]
    if (totals !== undefined) counts.add(totals.tally)
    if (target === undefined) counts.add(this.#plan)
    if (target !== undefined) counts.planned = begunIn(counts)
    return counts
  }

  #figures(target: number | undefined, totals: TargetTotals, corrected: Histogram | undefined): Figures {
    const counts = this.#counts(target)
    const { planned, completed, failed, timedOut, cut, dropped, neverSent, connects, bytesSent, bytesReceived } = counts
    const durationMs = this.durationMs
    return {
      planned,
      completed,
      failed,
      timedOut,
      cut,
      dropped,
      neverSent,
      connects,
      bytesSent,
      bytesReceived,
      rate: durationMs > 0 ? (completed / durationMs) * 1000 : 0,
      ...(totals.wait === undefined ? {} : { wait: quantilesOf(totals.wait) }),
      service: quantilesOf(totals.service),
      latency: quantilesOf(totals.latency),
      connect: quantilesOf(totals.connect),
      ...(corrected === undefined ? {} : { corrected: quantilesOf(corrected) }),
      errors: totals.errors,
      hdr: encodeHistogram(totals.latency),
    }
  }

  /**
   * The closed model sends nothing while it waits, so a stall is one slow sample where independent visitors would have
   * met many. Filled in is what would have been sent at the pace of the run: the expected interval is the mean time
   * between two sends of one connection = (connections × time) / messages sent, with the connections spread evenly over
   * the targets. When no connection was seen, the mean service time, which is the least it can be.
   */
  #correct(totals: TargetTotals): Histogram {
    let connectionMs = 0
    for (const state of this.#generators.values()) connectionMs += state.connectionMs
    const spaced = totals.tally.sent > 0 ? (connectionMs / this.#targets.length / totals.tally.sent) * 1000 : 0
    return correctedFor(totals.latency, spaced > 0 ? spaced : totals.service.mean)
  }
}

interface GeneratorState {
  toMs: number
  left: boolean
  connections: number
  /** Measured, and of that the time its core was busy. */
  spanMs: number
  cpuMs: number
  connectionMs: number
}

class TargetTotals {
  readonly tally = new Tally()
  readonly wait: Histogram | undefined
  readonly service: Histogram = newRunHistogram()
  readonly latency: Histogram
  readonly connect: Histogram = newRunHistogram()
  readonly #errors: Partial<Record<ErrorKind, ErrorCount>> = {}

  constructor(closed: boolean) {
    this.wait = closed ? undefined : newRunHistogram()
    this.latency = closed ? this.service : newRunHistogram()
  }

  get errors(): Errors {
    return { ...this.#errors }
  }

  addTimes({ wait, service, total, connect }: TimeSnapshots): void {
    addSnapshot(this.service, service)
    if (this.wait !== undefined) addSnapshot(this.wait, wait)
    if (this.latency !== this.service) addSnapshot(this.latency, total)
    addSnapshot(this.connect, connect)
  }

  count(target: TargetInterval): void {
    this.tally.addTarget(target)
    for (const [name, { count, example }] of Object.entries(target.errors)) {
      const kind = name as ErrorKind
      const known = this.#errors[kind]
      this.#errors[kind] = { count: (known?.count ?? 0) + count, example: known?.example ?? example }
    }
  }
}

function sumOf(histograms: readonly Histogram[]): Histogram {
  const sum = newRunHistogram()
  for (const histogram of histograms) addHistogram(sum, histogram)
  return sum
}
