import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import {
  addHistogram,
  bucketCount,
  correctedFor,
  countsOf,
  highestMicros,
  newHistogram,
  newRunHistogram,
  percentile,
  quantilesOf,
} from "./histogram.ts"
import { histogramOf, mergeSnapshots, snapshotOf, snapshotPercentile } from "./snapshot.ts"

const micros = fc.oneof(
  fc.integer({ min: 1, max: 5000 }),
  fc.integer({ min: 1, max: 2_000_000 }),
  fc.integer({ min: 1, max: highestMicros }),
)
const parts = fc.array(fc.array(micros, { maxLength: 60 }), { minLength: 1, maxLength: 6 })
const percents = [0.1, 10, 50, 75, 90, 95, 99, 99.9, 99.99, 100]

function recorded(values: readonly number[]): ReturnType<typeof newHistogram> {
  const histogram = newHistogram()
  for (const value of values) histogram.recordValue(value)
  return histogram
}

test("the counts array is as long as this program believes", () => {
  assert.equal(countsOf(newHistogram()).countsArrayLength, bucketCount)
})

test("adding parts gives what recording everything in one gives", () => {
  fc.assert(
    fc.property(parts, (groups) => {
      const sum = newRunHistogram()
      for (const group of groups) addHistogram(sum, recorded(group))
      assert.deepEqual(quantilesOf(sum), quantilesOf(recorded(groups.flat())))
    }),
    { numRuns: 40 },
  )
})

test("snapshots, merged in any way, give what recording everything in one gives", () => {
  fc.assert(
    fc.property(parts, (groups) => {
      const all = recorded(groups.flat())
      const snapshots = groups.map((group) => snapshotOf(recorded(group)))
      assert.deepEqual(quantilesOf(histogramOf(snapshots)), quantilesOf(all))
      const merged = mergeSnapshots([mergeSnapshots(snapshots.slice(1)), ...snapshots.slice(0, 1)])
      assert.deepEqual(quantilesOf(histogramOf([merged])), quantilesOf(all))
      for (const percent of percents) assert.equal(snapshotPercentile(merged, percent), percentile(all, percent))
    }),
    { numRuns: 40 },
  )
})

test("percentiles are within 0.1 % of those of the sorted values", () => {
  fc.assert(
    fc.property(fc.array(micros, { minLength: 1, maxLength: 300 }), (values) => {
      const sorted = values.toSorted((one, other) => one - other)
      const histogram = recorded(values)
      for (const percent of percents) {
        const exact = sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length - 1e-9) - 1)] ?? 0
        const told = percentile(histogram, percent)
        assert.ok(told >= exact && told <= exact * 1.001 + 1, `p${percent}: ${told} for ${exact}`)
      }
    }),
    { numRuns: 60 },
  )
})

test("nothing recorded gives zeros", () => {
  const { count, min, mean, p50, p9999, max } = quantilesOf(newHistogram())
  assert.deepEqual([count, min, mean, p50, p9999, max], [0, 0, 0, 0, 0, 0])
})

test("the correction fills in what was not sent, as one step after the other would", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 3_000_000 }), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 900, max: 100_000 }),
      (values, expected) => {
        const histogram = recorded(values)
        const stepwise = newRunHistogram()
        stepwise.addWhileCorrectingForCoordinatedOmission(newHistogram(), expected)
        const counts = countsOf(histogram)
        for (const value of new Set(values.map((each) => counts.countsArrayIndex(each)))) {
          const count = counts.getCountAtIndex(value)
          const lowest = counts.valueFromIndex(value)
          stepwise.recordValueWithCount(lowest, count)
          for (let missing = lowest - expected; missing >= expected; missing -= expected) {
            stepwise.recordValueWithCount(missing, count)
          }
        }
        const corrected = correctedFor(histogram, expected)
        assert.equal(corrected.totalCount, stepwise.totalCount)
        const told = countsOf(corrected)
        const wanted = countsOf(stepwise)
        for (let place = 0; place < bucketCount; place++) {
          assert.equal(told.getCountAtIndex(place), wanted.getCountAtIndex(place), `place ${place}`)
        }
      },
    ),
    { numRuns: 30 },
  )
})

test("correcting an hour of silence at a pace of 1 µs takes no time", () => {
  const histogram = recorded([highestMicros])
  const corrected = correctedFor(histogram, 1)
  assert.ok(Math.abs(corrected.totalCount - highestMicros) < highestMicros * 0.001)
  assert.ok(Math.abs(percentile(corrected, 50) - highestMicros / 2) < highestMicros * 0.001)
})
