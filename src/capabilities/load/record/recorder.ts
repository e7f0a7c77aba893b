/**
 * Where the generator counts, in its hot path: numbers added and values recorded, nothing allocated but for the first
 * error of a kind. Histograms are 95 KB each, so there are two sets that take turns: an interval that was handed out is
 * good until the next `take`.
 */

import type { Histogram } from "hdr-histogram-js"
import type { ErrorKind, LoadError } from "../client/client.ts"
import { highestMicros, newHistogram } from "./histogram.ts"
import type { ErrorCount, Interval, TargetInterval } from "./interval.ts"

/** What the generator sees of itself at the moment of `take`. */
export interface Gauges {
  /** Up to here the plan went on, or messages were sent; by default up to now, when there were any. */
  readonly activeToMs?: number
  readonly connections: number
  readonly inFlight: number
  readonly queued: number
  /** The longest turn of the event loop since the last `take`, ms. */
  readonly loopLagMs: number
  /** The share of one core used since the last `take`, 0 to 1. */
  readonly cpu: number
}

/**
 * Targets are named by their place in the scenario, times are ms since the run's start. Each message ends in exactly one
 * of `answered`, `wrong`, `broke`, `timedOut`, `cut`, `dropped` and `neverSent`.
 */
export class Recorder {
  readonly #open: boolean
  #current: Bank
  #spare: Bank
  #fromMs: number

  /** `model` is the scenario's: in the closed one nothing is planned, so there is neither wait nor total to record. */
  constructor(targets: number, model: "open" | "closed", fromMs = 0) {
    this.#open = model === "open"
    this.#fromMs = fromMs
    this.#current = new Bank(targets, this.#open)
    this.#spare = new Bank(targets, this.#open)
  }

  planned(messages: number): void {
    this.#current.planned += messages
  }

  /** No connection was free, and the queue was full or not wanted. */
  dropped(messages: number): void {
    this.#current.dropped += messages
  }

  /** At the end: planned, still queued. */
  neverSent(messages: number): void {
    this.#current.neverSent += messages
  }

  sent(target: number): void {
    this.#of(target).sent++
  }

  /** Right. In the closed model `plannedMs` is not looked at. */
  answered(
    target: number,
    plannedMs: number,
    sentMs: number,
    doneMs: number,
    bytesReceived: number,
    bytesSent: number,
  ): void {
    const bank = this.#current
    const counts = this.#of(target)
    counts.completed++
    counts.bytesReceived += bytesReceived
    counts.bytesSent += bytesSent
    counts.service.recordValue(bank.micros(doneMs - sentMs))
    if (!this.#open) return
    counts.wait.recordValue(bank.micros(sentMs - plannedMs))
    counts.total.recordValue(bank.micros(doneMs - plannedMs))
  }

  /** Answered, and not as expected. */
  wrong(target: number, error: LoadError, bytesReceived = 0, bytesSent = 0): void {
    this.#fail(this.#of(target), error, bytesReceived, bytesSent)
  }

  /** The connection broke under a message, or never opened for it. */
  broke(target: number, error: LoadError, bytesReceived = 0, bytesSent = 0): void {
    this.#fail(this.#of(target), error, bytesReceived, bytesSent)
  }

  /** A connection could not be opened, or broke, and no message was lost by it. */
  notConnected(target: number, error: LoadError): void {
    this.#of(target).error(error)
  }

  timedOut(target: number, error: LoadError): void {
    const counts = this.#of(target)
    counts.timedOut++
    counts.error(error)
  }

  /** Sent, and not answered when the run ended. */
  cut(target: number, messages = 1): void {
    this.#of(target).cut += messages
  }

  connected(target: number, tookMs: number): void {
    const counts = this.#of(target)
    counts.connects++
    counts.connect.recordValue(this.#current.micros(tookMs))
  }

  /** How late the generator itself started a message, µs. */
  late(micros: number): void {
    this.#current.late.recordValue(this.#current.micros(micros / 1000))
  }

  /** Bytes that belong to no message. */
  bytes(target: number, received: number, sent: number): void {
    const counts = this.#of(target)
    counts.bytesReceived += received
    counts.bytesSent += sent
  }

  /** Everything since the last `take`; its histograms are filled again after the next one. */
  take(toMs: number, gauges: Gauges): Interval {
    const taken = this.#current
    this.#current = this.#spare
    this.#spare = taken
    this.#current.reset()
    const fromMs = this.#fromMs
    this.#fromMs = toMs
    const { planned, dropped, neverSent, late, clamped } = taken
    const targets = taken.targets.map((counts) => counts.interval())
    const active = planned > 0 || targets.some(({ sent, completed }) => sent > 0 || completed > 0)
    const { connections, inFlight, queued, loopLagMs, cpu, activeToMs = active ? toMs : fromMs } = gauges
    return {
      fromMs,
      toMs,
      activeToMs: Math.max(fromMs, activeToMs),
      targets,
      planned,
      dropped,
      neverSent,
      connections,
      inFlight,
      queued,
      late,
      clamped,
      loopLagMs,
      cpu,
    }
  }

  #of(target: number): TargetCounts {
    const counts = this.#current.targets[target]
    if (counts === undefined) throw new RangeError(`There is no target ${target}`)
    return counts
  }

  #fail(counts: TargetCounts, error: LoadError, bytesReceived: number, bytesSent: number): void {
    counts.failed++
    counts.bytesReceived += bytesReceived
    counts.bytesSent += bytesSent
    counts.error(error)
  }
}

class Bank {
  readonly targets: readonly TargetCounts[]
  readonly late: Histogram = newHistogram()
  planned = 0
  dropped = 0
  neverSent = 0
  clamped = 0

  constructor(targets: number, open: boolean) {
    this.targets = Array.from({ length: targets }, () => new TargetCounts(open))
  }

  /** Whole µs, as histograms want them. Less than half a µs reads as 1: that is rounding, and not counted. */
  micros(ms: number): number {
    const micros = Math.round(ms * 1000)
    if (micros >= 1 && micros <= highestMicros) return micros
    if (micros > highestMicros) {
      this.clamped++
      return highestMicros
    }
    // Below zero, or not a number.
    if (micros !== 0) this.clamped++
    return 1
  }

  reset(): void {
    this.planned = 0
    this.dropped = 0
    this.neverSent = 0
    this.clamped = 0
    this.late.reset()
    for (const counts of this.targets) counts.reset()
  }
}

class TargetCounts {
  readonly service: Histogram = newHistogram()
  readonly connect: Histogram = newHistogram()
  /** In the closed model one that stays empty, and `service` itself. */
  readonly wait: Histogram
  readonly total: Histogram
  sent = 0
  completed = 0
  failed = 0
  timedOut = 0
  cut = 0
  connects = 0
  bytesSent = 0
  bytesReceived = 0
  #errors: Partial<Record<ErrorKind, { count: number; readonly example: string }>> = {}

  constructor(open: boolean) {
    this.wait = open ? newHistogram() : emptyHistogram
    this.total = open ? newHistogram() : this.service
  }

  error(error: LoadError): void {
    const known = this.#errors[error.kind]
    if (known === undefined) this.#errors[error.kind] = { count: 1, example: error.detail }
    else known.count++
  }

  interval(): TargetInterval {
    const { wait, service, total, sent, completed, failed, timedOut, cut, connects, connect } = this
    const { bytesSent, bytesReceived } = this
    const errors: Partial<Record<ErrorKind, ErrorCount>> = this.#errors
    return {
      wait,
      service,
      total,
      sent,
      completed,
      failed,
      timedOut,
      cut,
      connects,
      connect,
      bytesSent,
      bytesReceived,
      errors,
    }
  }

  reset(): void {
    this.sent = 0
    this.completed = 0
    this.failed = 0
    this.timedOut = 0
    this.cut = 0
    this.connects = 0
    this.bytesSent = 0
    this.bytesReceived = 0
    this.#errors = {}
    for (const histogram of [this.wait, this.service, this.total, this.connect]) {
      if (histogram.totalCount > 0) histogram.reset()
    }
  }
}

/** Nobody records into it. */
const emptyHistogram = newHistogram()
