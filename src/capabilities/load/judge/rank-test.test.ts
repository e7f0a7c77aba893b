import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { leastOfRankTest, rankTest } from "./rank-test.ts"

function near(value: number, wanted: number, within = 1e-9): void {
  assert.ok(Math.abs(value - wanted) <= within, `${value} for ${wanted}`)
}

test("groups that lie apart give the published least values", () => {
  near(leastOfRankTest(3, 3), 2 / 20)
  near(leastOfRankTest(4, 4), 2 / 70)
  near(leastOfRankTest(5, 5), 2 / 252)
  near(leastOfRankTest(3, 5), 2 / 56)
})

test("known values come out", () => {
  // U = 3 with 4 and 5: 14 of the 126 arrangements lie as far out, both ways (table of Mann and Whitney: 0.056 one-sided).
  near(rankTest([1, 2, 3, 7], [4, 5, 6, 8, 9]), 14 / 126)
  near(rankTest([1, 4], [2, 3]), 1)
  near(rankTest([1, 1, 1], [1, 1, 1]), 1)
})

test("with ties it is the share of all arrangements, counted one by one", () => {
  const values = fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 5 })
  fc.assert(
    fc.property(values, values, (a, b) => near(rankTest(a, b), counted(a, b), 1e-9)),
    { numRuns: 100 },
  )
})

test("for large groups the approximation fits the exact value", () => {
  const a = Array.from({ length: 20 }, (_, at) => at * 2)
  const b = Array.from({ length: 20 }, (_, at) => at * 2 + 7)
  const exact = rankTest(a, b)
  // Two more values in the middle of both change little and need the approximation.
  near(rankTest([...a, 22.1], [...b, 22.2]), exact, 0.02)
})

test("it does not matter which group is named first", () => {
  const values = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 30 })
  fc.assert(
    fc.property(values, values, (a, b) => near(rankTest(a, b), rankTest(b, a), 1e-9)),
    { numRuns: 50 },
  )
})

/** By the definition: U of every way to deal the values into groups of these sizes. */
function counted(a: readonly number[], b: readonly number[]): number {
  const all = [...a, ...b]
  const mean = (a.length * b.length) / 2
  const u = (first: readonly number[], second: readonly number[]) =>
    first.reduce(
      (sum, one) => sum + second.reduce((inner, other) => inner + (one > other ? 1 : one === other ? 0.5 : 0), 0),
      0,
    )
  const distance = Math.abs(u(a, b) - mean)
  let ways = 0
  let extreme = 0
  for (let mask = 0; mask < 2 ** all.length; mask++) {
    const first = all.filter((_, at) => (mask >> at) % 2 === 1)
    if (first.length !== a.length) continue
    ways++
    const second = all.filter((_, at) => (mask >> at) % 2 === 0)
    if (Math.abs(u(first, second) - mean) >= distance - 1e-9) extreme++
  }
  return extreme / ways
}
