/**
 * A histogram that is kept: only the places that hold something, so that hundreds of seconds cost as much memory as one
 * histogram. Adding several back together gives the very counts that one histogram of all values would have.
 */

import type { Histogram } from "hdr-histogram-js"
import { bucketCount, countsOf, newRunHistogram } from "./histogram.ts"

export interface Snapshot {
  /** Places in the counts array, ascending. */
  readonly places: Uint16Array
  readonly counts: Float64Array
  readonly total: number
  /** µs. */
  readonly min: number
  readonly max: number
}

export const emptySnapshot: Snapshot = {
  places: new Uint16Array(0),
  counts: new Float64Array(0),
  total: 0,
  min: Number.MAX_SAFE_INTEGER,
  max: 0,
}

export function snapshotOf(histogram: Histogram): Snapshot {
  if (histogram.totalCount === 0) return emptySnapshot
  const from = countsOf(histogram)
  const highest = Math.min(from.countsArrayIndex(from.maxValue), bucketCount - 1)
  let used = 0
  for (let place = 0; place <= highest; place++) if (from.getCountAtIndex(place) > 0) used++
  const places = new Uint16Array(used)
  const counts = new Float64Array(used)
  let at = 0
  for (let place = 0; place <= highest; place++) {
    const count = from.getCountAtIndex(place)
    if (count === 0) continue
    places[at] = place
    counts[at++] = count
  }
  return { places, counts, total: from.totalCount, min: from.minNonZeroValue, max: from.maxValue }
}

export function mergeSnapshots(one: Snapshot, other: Snapshot): Snapshot {
  if (one.total === 0) return other
  if (other.total === 0) return one
  const places = new Uint16Array(one.places.length + other.places.length)
  const counts = new Float64Array(places.length)
  let used = 0
  let first = 0
  let second = 0
  while (first < one.places.length || second < other.places.length) {
    const left = one.places[first] ?? bucketCount
    const right = other.places[second] ?? bucketCount
    const place = Math.min(left, right)
    let count = 0
    if (left === place) count += one.counts[first++] ?? 0
    if (right === place) count += other.counts[second++] ?? 0
    places[used] = place
    counts[used++] = count
  }
  return {
    places: places.slice(0, used),
    counts: counts.slice(0, used),
    total: one.total + other.total,
    min: Math.min(one.min, other.min),
    max: Math.max(one.max, other.max),
  }
}

/** One histogram of all of them. */
export function histogramOf(snapshots: Iterable<Snapshot>): Histogram {
  const into = countsOf(newRunHistogram())
  let total = 0
  for (const snapshot of snapshots) {
    if (snapshot.total === 0) continue
    const { places, counts } = snapshot
    for (let at = 0; at < places.length; at++) into.addToCountAtIndex(places[at] ?? 0, counts[at] ?? 0)
    total += snapshot.total
    into.maxValue = Math.max(into.maxValue, snapshot.max)
    into.minNonZeroValue = Math.min(into.minNonZeroValue, snapshot.min)
  }
  into.setTotalCount(total)
  return into
}

/** As `percentile` of the whole histogram would say, µs. */
export function snapshotPercentile(snapshot: Snapshot, percent: number): number {
  const { places, counts, total, max } = snapshot
  if (total === 0) return 0
  // A hair below, so that 99.9 % of 1,000 is the 999th and not, by floating point, the 1,000th.
  const wanted = Math.max(1, Math.ceil((percent / 100) * total * (1 - 2 ** -52)))
  let seen = 0
  for (let at = 0; at < places.length; at++) {
    seen += counts[at] ?? 0
    if (seen >= wanted) return Math.min(highestOfPlace(places[at] ?? 0), max)
  }
  return max
}

/** 2,048 places of 1 µs, then 1,024 of 2 µs, 1,024 of 4 µs, … */
function highestOfPlace(place: number): number {
  if (place < 2048) return place
  const magnitude = Math.floor(place / 1024) - 1
  return ((place % 1024) + 1024 + 1) * 2 ** magnitude - 1
}
