/**
 * A histogram that is kept: only the places that hold something, so that hundreds of seconds cost as much memory as one
 * histogram. Adding several back together gives the very counts that one histogram of all values would have.
 */

import type { Histogram } from "hdr-histogram-js"
import { bucketCount, countsOf, newRunHistogram } from "./histogram.ts"
import type { TargetInterval } from "./interval.ts"

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

/** Dense while one call lasts, empty between calls: what is counted is put together here and then cut to size. */
const scratch = new Float64Array(bucketCount)

export function snapshotOf(histogram: Histogram): Snapshot {
  if (histogram.totalCount === 0) return emptySnapshot
  const from = countsOf(histogram)
  const last = Math.min(from.countsArrayIndex(from.maxValue), bucketCount - 1)
  const first = Math.min(from.countsArrayIndex(from.minNonZeroValue), last)
  for (let place = first; place <= last; place++) scratch[place] = from.getCountAtIndex(place)
  return cutOut(first, last, from.totalCount, from.minNonZeroValue, from.maxValue)
}

/** All in one; the very one when only one holds something. */
export function mergeSnapshots(snapshots: readonly Snapshot[]): Snapshot {
  const [only = emptySnapshot, ...others] = snapshots.filter(({ total }) => total > 0)
  if (others.length === 0) return only
  let { total, min, max } = emptySnapshot
  let first = bucketCount
  let last = 0
  for (const snapshot of [only, ...others]) {
    const { places, counts } = snapshot
    for (let at = 0; at < places.length; at++) {
      const place = places[at] ?? 0
      scratch[place] = (scratch[place] ?? 0) + (counts[at] ?? 0)
    }
    total += snapshot.total
    min = Math.min(min, snapshot.min)
    max = Math.max(max, snapshot.max)
    first = Math.min(first, places[0] ?? bucketCount)
    last = Math.max(last, places.at(-1) ?? 0)
  }
  return cutOut(first, last, total, min, max)
}

/** Leaves the scratch empty. */
function cutOut(first: number, last: number, total: number, min: number, max: number): Snapshot {
  let used = 0
  for (let place = first; place <= last; place++) if (scratch[place] !== 0) used++
  const places = new Uint16Array(used)
  const counts = new Float64Array(used)
  let at = 0
  for (let place = first; place <= last; place++) {
    const count = scratch[place] ?? 0
    if (count === 0) continue
    places[at] = place
    counts[at++] = count
  }
  scratch.fill(0, first, last + 1)
  return { places, counts, total, min, max }
}

export function addSnapshot(into: Histogram, snapshot: Snapshot): void {
  if (snapshot.total === 0) return
  const to = countsOf(into)
  const { places, counts } = snapshot
  for (let at = 0; at < places.length; at++) to.addToCountAtIndex(places[at] ?? 0, counts[at] ?? 0)
  to.maxValue = Math.max(to.maxValue, snapshot.max)
  to.minNonZeroValue = Math.min(to.minNonZeroValue, snapshot.min)
  to.setTotalCount(to.totalCount + snapshot.total)
}

/** One histogram of all of them. */
export function histogramOf(snapshots: readonly Snapshot[]): Histogram {
  const into = newRunHistogram()
  for (const snapshot of snapshots) addSnapshot(into, snapshot)
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

/** The four times of a target, or of all targets, in one stretch. */
export interface TimeSnapshots {
  readonly wait: Snapshot
  readonly service: Snapshot
  readonly total: Snapshot
  readonly connect: Snapshot
}

export const noTimes: TimeSnapshots = {
  wait: emptySnapshot,
  service: emptySnapshot,
  total: emptySnapshot,
  connect: emptySnapshot,
}

export function timesOf({ wait, service, total, connect }: TargetInterval): TimeSnapshots {
  const served = snapshotOf(service)
  return {
    wait: snapshotOf(wait),
    service: served,
    // In the closed model they are the same, and kept once.
    total: total === service ? served : snapshotOf(total),
    connect: snapshotOf(connect),
  }
}

export function mergeTimes(times: readonly TimeSnapshots[]): TimeSnapshots {
  const service = mergeSnapshots(times.map((each) => each.service))
  return {
    wait: mergeSnapshots(times.map((each) => each.wait)),
    service,
    total: times.every((each) => each.total === each.service)
      ? service
      : mergeSnapshots(times.map((each) => each.total)),
    connect: mergeSnapshots(times.map((each) => each.connect)),
  }
}
