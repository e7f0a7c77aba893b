/**
 * The last seconds with the histograms of each target, for thresholds over windows. Memory is bounded by the longest
 * window that is asked for.
 */

import type { Histogram } from "hdr-histogram-js"
import type { Interval } from "./interval.ts"
import type { Measured } from "./measured.ts"
import { histogramOf, mergeTimes, noTimes } from "./snapshot.ts"
import type { TimeSnapshots } from "./snapshot.ts"
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

  /** `times` are the interval's, of each target and of all together. */
  add(
    interval: Interval,
    generator: number,
    startMs: number,
    times: readonly TimeSnapshots[],
    whole: TimeSnapshots,
  ): void {
    if (this.#keep === 0) return
    const middle = (interval.fromMs + interval.toMs) / 2 - startMs
    const index = Math.max(0, Math.floor(middle / 1000))
    let second = this.#seconds.get(index)
    if (second === undefined) {
      second = new Second(this.#targets)
      this.#seconds.set(index, second)
      for (const old of this.#seconds.keys()) if (old <= index - this.#keep) this.#seconds.delete(old)
    }
    second.add(interval, generator, times, whole)
  }

  /** Of the seconds from `first` up to and without `end`; of all targets, or of one. */
  window(first: number, end: number, target: number | undefined): Measured {
    const counts = new Tally()
    const times: TimeSnapshots[] = []
    let spanMs = 0
    for (let index = first; index < end; index++) {
      const second = this.#seconds.get(index)
      if (second === undefined) continue
      spanMs += second.spanMs()
      const part = target === undefined ? second.whole : second.targets[target]
      if (part === undefined) continue
      counts.add(part.tally)
      times.push(part.times)
    }
    // As in the totals, where no plan says it.
    if (target !== undefined) counts.planned = begunIn(counts)
    return new Window(counts, spanMs, times, this.#closed)
  }
}

/** Adds up only the times that are asked for: a threshold asks for one of them. */
class Window implements Measured {
  readonly counts: Tally
  readonly spanMs: number
  readonly #times: readonly TimeSnapshots[]
  readonly #closed: boolean

  constructor(counts: Tally, spanMs: number, times: readonly TimeSnapshots[], closed: boolean) {
    this.counts = counts
    this.spanMs = spanMs
    this.#times = times
    this.#closed = closed
  }

  get wait(): Histogram | undefined {
    return this.#closed ? undefined : this.#sum("wait")
  }

  get service(): Histogram {
    return this.#sum("service")
  }

  get latency(): Histogram {
    return this.#sum("total")
  }

  get connect(): Histogram {
    return this.#sum("connect")
  }

  #sum(name: keyof TimeSnapshots): Histogram {
    return histogramOf(this.#times.map((times) => times[name]))
  }
}

class Second {
  readonly whole: Part = new Part()
  readonly targets: readonly Part[]
  readonly #spans = new Map<number, number>()

  constructor(targets: number) {
    this.targets = Array.from({ length: targets }, () => new Part())
  }

  add(interval: Interval, generator: number, times: readonly TimeSnapshots[], whole: TimeSnapshots): void {
    const spanMs = interval.toMs - interval.fromMs
    this.#spans.set(generator, (this.#spans.get(generator) ?? 0) + spanMs)
    this.whole.tally.addPlan(interval)
    this.whole.times = mergeTimes([this.whole.times, whole])
    for (const [at, part] of this.targets.entries()) {
      const target = interval.targets[at]
      if (target === undefined) continue
      part.tally.addTarget(target)
      this.whole.tally.addTarget(target)
      part.times = mergeTimes([part.times, times[at] ?? noTimes])
    }
  }

  /** As for a point of the series: each generator counts for the time it was heard. */
  spanMs(): number {
    let sum = 0
    for (const span of this.#spans.values()) sum += span
    return sum / Math.max(1, this.#spans.size)
  }
}

class Part {
  readonly tally = new Tally()
  times: TimeSnapshots = noTimes
}
