/**
 * The run as points over time, however long it lasts: one a second at first; when there are too many, pairs of neighbours
 * become one and each point stands for twice the time. Histograms are kept, so percentiles stay those of all the values.
 */

import type { Interval } from "./interval.ts"
import type { Point } from "./result.ts"
import { emptySnapshot, mergeSnapshots, snapshotPercentile } from "./snapshot.ts"
import type { Snapshot } from "./snapshot.ts"
import { errorsIn, Tally } from "./tally.ts"

export const mostPoints = 1800
/** A shorter stretch is no point of its own, ms. */
const shortestMs = 100

export class Series {
  #slotMs = 1000
  /** Ascending by index; the index is the stretch's start in units of `#slotMs`. */
  #slots: Slot[] = []

  /** `startMs` is where the measured part begins; `latency` are the interval's total times, of all targets. */
  add(interval: Interval, generator: number, startMs: number, latency: Snapshot): void {
    const middle = (interval.fromMs + interval.toMs) / 2 - startMs
    // The end of a run leaves a moment with the last answers, whose rate would be anything.
    const index = Math.max(0, Math.floor(middle / this.#slotMs))
    const moment = interval.toMs - interval.fromMs < shortestMs ? this.#slots.at(-1)?.index : undefined
    this.#slot(Math.min(index, moment ?? index)).add(interval, generator, startMs, latency)
    while (this.#slots.length > mostPoints) this.#halve()
  }

  /** All, or the newest `last` of them. */
  points(last: number = mostPoints): Point[] {
    return this.#slots.slice(-last).map((slot) => slot.point())
  }

  #slot(index: number): Slot {
    // Nearly always the newest one or its successor.
    let at = this.#slots.length
    while (at > 0 && (this.#slots[at - 1]?.index ?? 0) > index) at--
    const found = this.#slots[at - 1]
    if (found?.index === index) return found
    const slot = new Slot(index)
    this.#slots.splice(at, 0, slot)
    return slot
  }

  #halve(): void {
    this.#slotMs *= 2
    const merged: Slot[] = []
    for (const slot of this.#slots) {
      slot.index = Math.floor(slot.index / 2)
      const before = merged.at(-1)
      if (before?.index === slot.index) before.merge(slot)
      else merged.push(slot)
    }
    this.#slots = merged
  }
}

/** What one generator said of itself last, and for how long it was heard. */
interface Share {
  spanMs: number
  connections: number
  inFlight: number
  queued: number
}

class Slot {
  index: number
  readonly #tally = new Tally()
  readonly #shares = new Map<number, Share>()
  #latency: Snapshot = emptySnapshot
  #fromMs = Number.POSITIVE_INFINITY
  #toMs = 0
  #loopLagMs = 0

  constructor(index: number) {
    this.index = index
  }

  add(interval: Interval, generator: number, startMs: number, latency: Snapshot): void {
    this.#tally.addPlan(interval)
    for (const target of interval.targets) this.#tally.addTarget(target)
    const { connections, inFlight, queued } = interval
    const spanMs = interval.toMs - interval.fromMs
    this.#share(generator, { spanMs, connections, inFlight, queued })
    this.#latency = mergeSnapshots([this.#latency, latency])
    this.#fromMs = Math.min(this.#fromMs, interval.fromMs - startMs)
    this.#toMs = Math.max(this.#toMs, interval.toMs - startMs)
    this.#loopLagMs = Math.max(this.#loopLagMs, interval.loopLagMs)
  }

  merge(later: Slot): void {
    this.#tally.add(later.#tally)
    for (const [generator, share] of later.#shares) this.#share(generator, share)
    this.#latency = mergeSnapshots([this.#latency, later.#latency])
    this.#fromMs = Math.min(this.#fromMs, later.#fromMs)
    this.#toMs = Math.max(this.#toMs, later.#toMs)
    this.#loopLagMs = Math.max(this.#loopLagMs, later.#loopLagMs)
  }

  point(): Point {
    const tally = this.#tally
    const shares = [...this.#shares.values()]
    // A generator may have been heard once in this stretch and another twice: each counts for the time it was heard.
    const spanMs = shares.reduce((sum, share) => sum + share.spanMs, 0) / Math.max(1, shares.length)
    return {
      atMs: (this.#fromMs + this.#toMs) / 2,
      spanMs,
      planned: tally.planned,
      completed: tally.completed,
      failed: tally.failed,
      dropped: tally.dropped,
      rate: spanMs > 0 ? (tally.completed / spanMs) * 1000 : 0,
      connections: shares.reduce((sum, share) => sum + share.connections, 0),
      inFlight: shares.reduce((sum, share) => sum + share.inFlight, 0),
      queued: shares.reduce((sum, share) => sum + share.queued, 0),
      bytesSent: tally.bytesSent,
      bytesReceived: tally.bytesReceived,
      p50: snapshotPercentile(this.#latency, 50),
      p90: snapshotPercentile(this.#latency, 90),
      p99: snapshotPercentile(this.#latency, 99),
      p999: snapshotPercentile(this.#latency, 99.9),
      max: this.#latency.max,
      errors: errorsIn(tally),
      loopLagMs: this.#loopLagMs,
    }
  }

  #share(generator: number, share: Share): void {
    const spanMs = (this.#shares.get(generator)?.spanMs ?? 0) + share.spanMs
    this.#shares.set(generator, { ...share, spanMs })
  }
}
