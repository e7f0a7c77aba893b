import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { Histogram, countIn, longBounds, merged, quantile, shortBounds, since } from "./histogram.ts"

test("each sample is in the bucket of the first bound that is not below it", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0, max: 1e8, noNaN: true })), (samples) => {
      const histogram = new Histogram(longBounds)
      for (const sample of samples) histogram.add(sample)
      const { counts } = histogram.snapshot()
      const expected = counts.map(
        (_, at) =>
          samples.filter((each) => each <= (longBounds[at] ?? Infinity) && each > (longBounds[at - 1] ?? -1)).length,
      )
      assert.deepEqual(counts, expected)
    }),
  )
})

test("a sample that is no duration counts as 0", () => {
  const histogram = new Histogram([1, 2])
  for (const sample of [NaN, -3, 0]) histogram.add(sample)
  assert.deepEqual(histogram.snapshot(), { bounds: [1, 2], counts: [3, 0, 0], sum: 0 })
})

test("a quantile is in the bucket of the sample that it stands for", () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 20_000, noNaN: true }), { minLength: 1 }),
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      (samples, share) => {
        const histogram = new Histogram(shortBounds)
        for (const sample of samples) histogram.add(sample)
        const exact = samples.toSorted((a, b) => a - b)[Math.max(0, Math.ceil(share * samples.length) - 1)] as number
        const at = shortBounds.findIndex((bound) => exact <= bound)
        const found = quantile(share, histogram.snapshot()) as number
        assert.ok(found >= (shortBounds[at - 1] ?? 0) && found <= (shortBounds[at] as number), `${exact} as ${found}`)
      },
    ),
  )
  assert.equal(quantile(0.5, new Histogram(shortBounds).snapshot()), undefined)
})

test("what came between two snapshots is their difference, and all after a restart", () => {
  const histogram = new Histogram([1, 2])
  histogram.add(1)
  const before = histogram.snapshot()
  histogram.add(3)
  assert.deepEqual(since(before, histogram.snapshot()), { bounds: [1, 2], counts: [0, 0, 1], sum: 3 })
  assert.deepEqual(since(histogram.snapshot(), before), before)
  assert.deepEqual(since(undefined, before), before)
})

test("threads' histograms add up", () => {
  const [a, b] = [new Histogram([1, 2]), new Histogram([1, 2])]
  a.add(1)
  b.add(2)
  b.add(5)
  const both = merged([a.snapshot(), b.snapshot()])
  assert.deepEqual(both, { bounds: [1, 2], counts: [1, 1, 1], sum: 8 })
  assert.equal(countIn(both), 3)
})
