import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { KneeSearch } from "./knee.ts"
import type { KneeOptions, KneeResult } from "./knee.ts"

function search(options: KneeOptions, holds: (rate: number) => boolean): KneeResult {
  const knee = new KneeSearch(options)
  for (let runs = 0; runs < 1000; runs++) {
    const step = knee.next()
    if (step.done) return step.result
    knee.report(step.rate, holds(step.rate))
  }
  throw new Error("It does not end")
}

test("with a monotone truth the rate is found within the tolerance, confirmed, in few runs", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.3, max: 2e6, noNaN: true }),
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.double({ min: 0.01, max: 0.3, noNaN: true }),
      (truth, start, tolerance) => {
        const highest = 1_000_000
        const result = search({ start, tolerance, highest }, (rate) => rate <= truth)
        if (truth < 1) {
          assert.deepEqual([result.rate, result.ended], [undefined, "lowest"])
          return
        }
        const { rate = 0, confirmed, failedAt, ended } = result
        assert.ok(confirmed && rate <= truth)
        if (truth >= highest) assert.deepEqual([rate, ended, failedAt], [highest, "highest", undefined])
        else assert.ok(truth <= rate * (1 + tolerance) * 1.001 && (failedAt ?? 0) > truth, `${rate} for ${truth}`)
        assert.ok(result.runs.length <= 40, `${result.runs.length} runs`)
      },
    ),
    { numRuns: 300 },
  )
})

test("with a noisy truth it ends within the runs allowed, with a rate that held", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100_000 }),
      fc.integer({ min: 5, max: 80 }),
      fc.infiniteStream(fc.boolean()),
      (start, mostRuns, noise) => {
        const result = search({ start, mostRuns }, () => noise.next().value)
        assert.ok(result.runs.length <= mostRuns)
        if (result.rate !== undefined) {
          assert.ok(result.runs.some(({ rate, held }) => held && rate === result.rate))
        }
        if (result.confirmed) {
          assert.ok(result.runs.filter(({ rate, held }) => held && rate === result.rate).length >= 2)
        }
      },
    ),
    { numRuns: 300 },
  )
})

test("one mishap on the way up does not make the answer small", () => {
  let mishaps = 1
  const { rate = 0 } = search({ start: 100 }, (tried) => tried <= 10_000 && !(tried >= 800 && mishaps-- > 0))
  assert.ok(rate > 9000 && rate <= 10_000, `${rate}`)
})

test("one lucky run does not make the answer large", () => {
  let luck = 1
  const { rate = 0, confirmed } = search({ start: 1000 }, (tried) => tried <= 10_000 || (tried < 12_000 && luck-- > 0))
  assert.ok(confirmed && rate > 8000 && rate <= 10_000, `${rate}`)
})

test("it asks the same until it is told, and takes no answer to another question", () => {
  const knee = new KneeSearch({ start: 100 })
  assert.deepEqual(
    [knee.next(), knee.next()],
    [
      { done: false, rate: 100 },
      { done: false, rate: 100 },
    ],
  )
  assert.throws(() => knee.report(200, true), RangeError)
})
