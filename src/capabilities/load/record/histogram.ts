/**
 * The one geometry of all histograms here: whole µs from 1 µs to 1 h with three significant digits, so that any two can
 * be added without loss. A stretch of time counts in 32 bits (95 KB), a whole run in 64.
 */

import { build, JsHistogram } from "hdr-histogram-js"
import type { Histogram } from "hdr-histogram-js"
import type { Quantiles } from "./result.ts"

export const highestMicros = 3_600_000_000

/** Places in the counts array. */
export const bucketCount = 23_552

const geometry = {
  autoResize: false,
  lowestDiscernibleValue: 1,
  highestTrackableValue: highestMicros,
  numberOfSignificantValueDigits: 3,
} as const

/** For a stretch of time: at most 4,294,967,295 of one value. */
export function newHistogram(): Histogram {
  return build({ ...geometry, bitBucketSize: 32 })
}

/** For a whole run. */
export function newRunHistogram(): Histogram {
  return build({ ...geometry, bitBucketSize: 64 })
}

/** What the library hides behind its interface: the counts themselves. Its WebAssembly kind is never built here. */
export function countsOf(histogram: Histogram): JsHistogram {
  if (!(histogram instanceof JsHistogram)) throw new TypeError("A histogram of another kind than this program builds")
  return histogram
}

export function addHistogram(into: Histogram, from: Histogram): void {
  if (from.totalCount > 0) into.add(from)
}

/** The value that `percent` of all values do not exceed, µs; never above the highest value recorded, 0 when empty. */
export function percentile(histogram: Histogram, percent: number): number {
  return Math.min(histogram.getValueAtPercentile(percent), histogram.maxValue)
}

export function quantilesOf(histogram: Histogram): Quantiles {
  const count = histogram.totalCount
  return {
    count,
    min: count === 0 ? 0 : histogram.minNonZeroValue,
    mean: histogram.mean,
    stddev: histogram.stdDeviation,
    p50: percentile(histogram, 50),
    p75: percentile(histogram, 75),
    p90: percentile(histogram, 90),
    p95: percentile(histogram, 95),
    p99: percentile(histogram, 99),
    p999: percentile(histogram, 99.9),
    p9999: percentile(histogram, 99.99),
    max: histogram.maxValue,
  }
}

/**
 * HdrHistogram's correction for coordinated omission: each value above `expectedMicros` stands for a connection that sent
 * nothing meanwhile; the messages it would have sent at that pace are filled in, each waiting so much less:
 * v - e, v - 2e, … down to e. Values of one bucket are filled in together, so that an hour of silence costs no hour.
 */
export function correctedFor(histogram: Histogram, expectedMicros: number): Histogram {
  const result = newRunHistogram()
  addHistogram(result, histogram)
  if (!(expectedMicros > 0)) return result
  const counts = countsOf(histogram)
  const highest = counts.countsArrayIndex(histogram.maxValue)
  for (let index = 0; index <= highest; index++) {
    const count = counts.getCountAtIndex(index)
    if (count === 0) continue
    let missing = counts.valueFromIndex(index) - expectedMicros
    while (missing >= expectedMicros) {
      const lowest = Math.max(lowestOfBucket(missing), expectedMicros)
      const steps = Math.floor((missing - lowest) / expectedMicros) + 1
      result.recordValueWithCount(Math.max(1, Math.floor(missing)), count * steps)
      missing -= steps * expectedMicros
    }
  }
  return result
}

/** 2,048 values of one unit each, then 1,024 of two, of four, … */
function lowestOfBucket(value: number): number {
  const size = 2 ** Math.max(0, Math.floor(Math.log2(value)) - 10)
  return Math.floor(value / size) * size
}
