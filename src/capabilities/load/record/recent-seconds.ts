/**
 * The last seconds with the histograms of each target, for thresholds over windows. Memory is bounded by the longest
 * window that is asked for.
 */

import type { Interval } from "./interval.ts"
import { emptySnapshot, histogramOf, mergeSnapshots, snapshotOf } from "./snapshot.ts"
import type { Snapshot } from "./snapshot.ts"
import type { Measured } from "./measured.ts"
import { begunIn, Tally } from "./tally.ts"

/** How many seconds one generator may be behind the first. */
const slackSeconds = 15

export class RecentSeconds {
  readonly #targets: number
  readonly #closed: boolean
  readonly #keep: number
  readonly #seconds = new Map<number, Second>()

  constructor(targets: number, model: "open" | "closed", windowMs: number) {
    this.#targets = targets
    this.#closed = model === "closed"
    this.#keep = windowMs > 0 ? Math.ceil(windowMs / 1000) + slackSeconds : 0
  }

  add(interval: Interval, generator: number, startMs: number): void {
    if (this.#keep === 0) return
    const middle = (interval.fromMs + interval.toMs) / 2 - startMs
    const index = Math.max(0, Math.floor(middle / 1000))
    let second = this.#seconds.get(index)
    if (second === undefined) {
      second = new Second(this.#targets)
      this.#seconds.set(index, second)
      for (const old of this.#seconds.keys()) if (old <= index - this.#keep) this.#seconds.delete(old)
    }
    second.add(interval, generator)
  }

  /** Of the seconds from `first` up to and without `end`; of all targets, or of one. */
  window(first: number, end: number, target: number | undefined): Measured {
    const tally = new Tally()
    const parts: TargetSecond[] = []
    let spanMs = 0
    for (let index = first; index < end; index++) {
      const second = this.#seconds.get(index)
      if (second === undefined) continue
      spanMs += second.spanMs()
      if (target === undefined) tally.add(second.plan)
      const chosen = target === undefined ? second.targets : second.targets.slice(target, target + 1)
      for (const part of chosen) {
        tally.add(part.tally)
        parts.push(part)
      }
    }
    if (this.#closed || target !== undefined) tally.planned = begunIn(tally)
    const service = histogramOf(parts.map((part) => part.service))
    return {
      counts: tally,
      spanMs,
      wait: this.#closed ? undefined : histogramOf(parts.map((part) => part.wait)),
      service,
      latency: this.#closed ? service : histogramOf(parts.map((part) => part.total)),
      connect: histogramOf(parts.map((part) => part.connect)),
    }
  }
}

class Second {
  readonly plan = new Tally()
  readonly targets: readonly TargetSecond[]
  readonly #spans = new Map<number, number>()

  constructor(targets: number) {
    this.targets = Array.from({ length: targets }, () => new TargetSecond())
  }

  add(interval: Interval, generator: number): void {
    this.plan.addPlan(interval)
    const spanMs = interval.toMs - interval.fromMs
    this.#spans.set(generator, (this.#spans.get(generator) ?? 0) + spanMs)
    for (const [at, part] of this.targets.entries()) {
      const target = interval.targets[at]
      if (target === undefined) continue
      part.tally.addTarget(target)
      part.wait = mergeSnapshots(part.wait, snapshotOf(target.wait))
      part.service = mergeSnapshots(part.service, snapshotOf(target.service))
      // In the closed model they are the same, and kept once.
      if (target.total !== target.service) part.total = mergeSnapshots(part.total, snapshotOf(target.total))
      part.connect = mergeSnapshots(part.connect, snapshotOf(target.connect))
    }
  }

  /** As for a point of the series: each generator counts for the time it was heard. */
  spanMs(): number {
    let sum = 0
    for (const span of this.#spans.values()) sum += span
    return sum / Math.max(1, this.#spans.size)
  }
}

class TargetSecond {
  readonly tally = new Tally()
  wait: Snapshot = emptySnapshot
  service: Snapshot = emptySnapshot
  total: Snapshot = emptySnapshot
  connect: Snapshot = emptySnapshot
}
