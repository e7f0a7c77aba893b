import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { SeededRandom } from "../../../base/random.ts"
import type { Phase, ShapePlan } from "../scenario/scenario.ts"
import { Arrivals } from "./arrivals.ts"
import type { ArrivalOptions } from "./arrivals.ts"
import { Course, planEndMs } from "./course.ts"

function all(options: ArrivalOptions, most = 1_000_000): number[] {
  const arrivals = new Arrivals(options)
  const instants: number[] = []
  for (let at = arrivals.next(); at < Infinity && instants.length < most; at = arrivals.next()) instants.push(at)
  return instants
}

/** Messages in each window of 100 ms. */
function windows(instants: readonly number[], endMs: number): number[] {
  const counts = Array.from({ length: Math.ceil(endMs / 100) }, () => 0)
  for (const at of instants) counts[Math.floor(at / 100)] = (counts[Math.floor(at / 100)] ?? 0) + 1
  return counts
}

/** The formula of each shape, per second, and its integral by fine steps: nothing of the code under test. */
const formulas: readonly { readonly shape: ShapePlan; readonly rate: (ms: number) => number }[] = [
  { shape: { kind: "constant", value: 730 }, rate: () => 730 },
  { shape: { kind: "ramp", from: 0, to: 2000 }, rate: (ms) => (2000 * ms) / 6000 },
  { shape: { kind: "ramp", from: 900, to: 100 }, rate: (ms) => 900 - (800 * ms) / 6000 },
  {
    shape: { kind: "step", from: 100, by: 150, everyMs: 700, until: 800 },
    rate: (ms) => Math.min(800, 100 + 150 * Math.floor(ms / 700)),
  },
  {
    shape: { kind: "sine", mean: 600, amplitude: 500, periodMs: 1700 },
    rate: (ms) => 600 + 500 * Math.sin((2 * Math.PI * ms) / 1700),
  },
  {
    shape: { kind: "sine", mean: 300, amplitude: 900, periodMs: 2000 },
    rate: (ms) => Math.max(0, 300 + 900 * Math.sin((2 * Math.PI * ms) / 2000)),
  },
  { shape: { kind: "sawtooth", from: 50, to: 1500, periodMs: 1300 }, rate: (ms) => 50 + (1450 * (ms % 1300)) / 1300 },
  {
    shape: { kind: "spike", base: 40, peak: 3000, everyMs: 1500, widthMs: 200 },
    rate: (ms) => (ms % 1500 >= 1300 ? 3000 : 40),
  },
]

for (const { shape, rate } of formulas) {
  test(`${shape.kind}: each window of 100 ms has what the formula says`, () => {
    const durationMs = 6000
    const got = windows(all({ phases: [{ shape, durationMs }] }), durationMs)
    for (let window = 0; window < got.length; window++) {
      let wanted = 0
      for (let ms = 0; ms < 100; ms += 0.1) wanted += rate(window * 100 + ms + 0.05) / 10_000
      const difference = Math.abs((got[window] as number) - wanted)
      assert.ok(difference <= 1.05, `window ${window}: ${got[window]} instead of ${wanted.toFixed(2)}`)
    }
  })
}

test("a constant rate has the exact number of messages, evenly spaced, and begins at once", () => {
  const instants = all({ phases: [{ shape: { kind: "constant", value: 1000 / 3 }, durationMs: 30_000 }] })
  assert.equal(instants.length, 10_000)
  assert.equal(instants[0], 0)
  for (let at = 1; at < instants.length; at++) {
    assert.ok(Math.abs((instants[at] as number) - at * 3) < 1e-6)
  }
})

test("phases follow each other without a gap or a doubled message", () => {
  const phases: readonly Phase[] = [
    { shape: { kind: "constant", value: 100 }, durationMs: 1000 },
    { shape: { kind: "ramp", from: 100, to: 300 }, durationMs: 2000 },
    { shape: { kind: "constant", value: 300 }, durationMs: 1000 },
  ]
  const instants = all({ phases })
  assert.equal(instants.length, 100 + 400 + 300)
  assert.equal(planEndMs(phases), 4000)
})

test("Poisson arrivals have the rate, and gaps whose spread is their mean", () => {
  const random = new SeededRandom(7)
  const instants = all({ phases: [{ shape: { kind: "constant", value: 2000 }, durationMs: 50_000 }], random })
  assert.ok(Math.abs(instants.length - 100_000) < 1_300, `${instants.length}`)
  const gaps = instants.slice(1).map((at, index) => at - (instants[index] as number))
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length
  const spread = Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length)
  assert.ok(Math.abs(spread / mean - 1) < 0.02, `${spread / mean}`)
})

test("a replay starts each message at its instant, within the most that is allowed", () => {
  const phases: readonly Phase[] = [
    { shape: { kind: "constant", value: 10 }, durationMs: 200 },
    { shape: { kind: "replay", atMs: [0, 1, 1, 50] }, durationMs: undefined },
    { shape: { kind: "constant", value: 10 }, durationMs: 100 },
  ]
  assert.deepEqual(all({ phases }), [0, 100, 200, 201, 201, 250, 251])
  assert.deepEqual(all({ phases: phases.slice(1, 2), maxRate: 100 }), [0, 10, 20, 50])
})

test("generators that share a plan start together what one alone would", () => {
  const shape = fc.oneof(
    fc.record({
      kind: fc.constant("ramp" as const),
      from: fc.integer({ min: 0, max: 500 }),
      to: fc.integer({ min: 1, max: 500 }),
    }),
    fc.record({ kind: fc.constant("constant" as const), value: fc.integer({ min: 0, max: 500 }) }),
    fc.record({
      kind: fc.constant("replay" as const),
      atMs: fc.array(fc.integer({ min: 0, max: 2000 }), { maxLength: 30 }).map((list) => list.sort((a, b) => a - b)),
    }),
  )
  const phase = fc.record({ shape, durationMs: fc.integer({ min: 1, max: 3000 }) })
  fc.assert(
    fc.property(fc.array(phase, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 5 }), (phases, of) => {
      const alone = all({ phases })
      const together = Array.from({ length: of }, (_, index) => all({ phases, share: { index, of } })).flat()
      assert.deepEqual(
        together.sort((a, b) => a - b),
        alone,
      )
    }),
  )
})

test("the most that is allowed holds within a shape", () => {
  const phases: readonly Phase[] = [{ shape: { kind: "ramp", from: 0, to: 1000 }, durationMs: 10_000 }]
  const instants = all({ phases, maxRate: 400 })
  // A triangle up to 4 s, then a plateau.
  assert.ok(Math.abs(instants.length - (800 + 2400)) <= 1, `${instants.length}`)
})

test("a course tells its value forwards, and nothing behind the end", () => {
  const course = new Course([
    { shape: { kind: "ramp", from: 0, to: 100 }, durationMs: 1000 },
    { shape: { kind: "constant", value: 7 }, durationMs: 500 },
  ])
  assert.equal(course.at(0), 0)
  assert.equal(course.at(250), 25)
  assert.equal(course.at(1000), 7)
  assert.equal(course.at(1499), 7)
  assert.equal(course.at(1500), undefined)
})
