import assert from "node:assert/strict"
import { test } from "node:test"
import { doubtsOf } from "./doubts.ts"
import type { Effort } from "./doubts.ts"
import { newHistogram } from "./histogram.ts"

function late(...groups: readonly (readonly [micros: number, count: number])[]): Effort["late"] {
  const histogram = newHistogram()
  for (const [micros, count] of groups) histogram.recordValueWithCount(micros, count)
  return histogram
}

const calm: Effort = {
  model: "open",
  late: late([50, 1000]),
  latencyP99: 20_000,
  durationMs: 10_000,
  cpu: 0.4,
  loopLagMs: 2,
  clamped: 0,
  planned: 1000,
  expected: 1000,
}

test("a generator that kept its plan raises no doubt", () => {
  assert.deepEqual(doubtsOf(calm), { doubts: [], overloaded: false })
  assert.equal(doubtsOf({ ...calm, late: late([50, 995], [40_000, 5]) }).overloaded, false)
  assert.equal(doubtsOf({ ...calm, planned: 992 }).overloaded, false)
  assert.equal(doubtsOf({ ...calm, late: late([7000, 1000]), latencyP99: 90_000 }).overloaded, false)
  assert.equal(doubtsOf({ ...calm, cpu: 0.99 }).overloaded, false)
  // Of few messages the slow start of one is the p99.
  assert.equal(doubtsOf({ ...calm, late: late([50, 49], [40_000, 1]), latencyP99: 0 }).overloaded, false)
})

test("lateness is told with how much and why", () => {
  const slow = { ...calm, late: late([50, 950], [40_000, 50]) }
  const { doubts, overloaded } = doubtsOf({ ...slow, cpu: 0.98 })
  assert.equal(overloaded, true)
  assert.deepEqual(doubts, [
    "The generator did not keep its plan: 5 % of the messages started more than 10 ms late (p99 40 ms), because its " +
      "core was busy (98 %): use --workers or a lower rate",
  ])
  assert.match(doubtsOf({ ...slow, loopLagMs: 230 }).doubts[0] ?? "", /its event loop stood still for up to 230 ms/)
  assert.match(doubtsOf(slow).doubts[0] ?? "", /though its core was only 40 % busy/)
})

test("lateness below 10 ms counts when it is large beside the latency, or when the core was full", () => {
  assert.equal(doubtsOf({ ...calm, late: late([7000, 1000]), latencyP99: 20_000 }).overloaded, true)
  assert.equal(doubtsOf({ ...calm, late: late([2000, 1000]), cpu: 0.97 }).overloaded, true)
})

test("a rate that was not reached is told", () => {
  const { doubts, overloaded } = doubtsOf({ ...calm, planned: 9000, expected: 12_000, cpu: 1 })
  assert.equal(overloaded, true)
  assert.match(doubts[0] ?? "", /^The generator did not reach the planned rate: it started 9,000 of 12,000 messages/)
})

test("in the closed model a full core is a doubt and no overload", () => {
  const { doubts, overloaded } = doubtsOf({ ...calm, model: "closed", late: late(), expected: undefined, cpu: 0.99 })
  assert.equal(overloaded, false)
  assert.match(doubts[0] ?? "", /used 99 % of its core/)
})

test("times that were clamped are told", () => {
  assert.match(doubtsOf({ ...calm, clamped: 2 }).doubts[0] ?? "", /^2 times were below 0 or above 1 h/)
})
