/**
 * Counts of durations by size, for Prometheus: a few numbers of fixed memory, and an `add` that allocates nothing. How far
 * a quantile of it may be wrong is the width of a bucket.
 */

import type { HistogramSnapshot } from "./snapshot.ts"

/** How long a connect or a wait takes, ms. */
export const shortBounds: readonly number[] = [
  0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
]

/** How long a connection lives, ms: up to a day. */
export const longBounds: readonly number[] = [
  1, 5, 25, 100, 500, 1_000, 5_000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000,
]

export class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: Float64Array
  #sum = 0

  /** `bounds` rise. A sample that equals a bound is below it. */
  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = new Float64Array(bounds.length + 1)
  }

  /** ms; what is no number, or below 0, counts as 0. */
  add(sample: number): void {
    const value = sample > 0 ? sample : 0
    const bounds = this.#bounds
    let low = 0
    let high = bounds.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (value <= (bounds[middle] as number)) high = middle
      else low = middle + 1
    }
    this.#counts[low] = (this.#counts[low] as number) + 1
    this.#sum += value
  }

  snapshot(): HistogramSnapshot {
    return { bounds: this.#bounds, counts: Array.from(this.#counts), sum: this.#sum }
  }
}

export function countIn({ counts }: HistogramSnapshot): number {
  return counts.reduce((sum, count) => sum + count, 0)
}

/**
 * The value below which this share (0 to 1) of the samples is, interpolated within its bucket as Prometheus does; the
 * highest bound for what is above all. Undefined without a sample.
 */
export function quantile(share: number, histogram: HistogramSnapshot): number | undefined {
  const { bounds, counts } = histogram
  const total = countIn(histogram)
  if (total === 0) return undefined
  const rank = share * total
  let seen = 0
  for (let at = 0; at < bounds.length; at++) {
    const count = counts[at] ?? 0
    if (count > 0 && seen + count >= rank) {
      const from = at === 0 ? 0 : (bounds[at - 1] as number)
      return from + ((bounds[at] as number) - from) * Math.max(0, (rank - seen) / count)
    }
    seen += count
  }
  return bounds.at(-1)
}

/** What came between two snapshots of the same histogram. After a restart, all of `after`. */
export function since(before: HistogramSnapshot | undefined, after: HistogramSnapshot): HistogramSnapshot {
  if (before === undefined || countIn(before) > countIn(after)) return after
  return {
    bounds: after.bounds,
    counts: after.counts.map((count, at) => Math.max(0, count - (before.counts[at] ?? 0))),
    sum: Math.max(0, after.sum - before.sum),
  }
}

/** Of threads that have the same bounds. */
export function merged(all: readonly HistogramSnapshot[]): HistogramSnapshot {
  const [first] = all
  const bounds = first?.bounds ?? []
  const counts = Array.from({ length: bounds.length + 1 }, () => 0)
  let sum = 0
  for (const histogram of all) {
    sum += histogram.sum
    for (const [at, count] of histogram.counts.entries()) counts[at] = (counts[at] ?? 0) + count
  }
  return { bounds, counts, sum }
}
