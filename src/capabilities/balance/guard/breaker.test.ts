import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { targetFor } from "../../../../test/kit/balance-target.ts"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import type { BreakerSettings } from "../config/settings.ts"
import { Breaker } from "./breaker.ts"
import type { BreakerTicket, DialResult } from "./breaker.ts"

const usual: BreakerSettings = { maxPending: undefined, failureRate: 0.5, minDials: 10, windowMs: 10_000, openMs: 5000 }

function setUp(changes: Partial<BreakerSettings> = {}) {
  const clock = new FakeClock()
  const state: { settings: BreakerSettings } = { settings: { ...usual, ...changes } }
  const target = targetFor("10.0.0.1", clock)
  const events: string[] = []
  const breaker = new Breaker({
    settings: () => state.settings,
    clock,
    onChange: (_, event) => events.push(event),
  })
  const dial = (result: DialResult, times = 1) => {
    for (let time = 0; time < times; time++) breaker.ended(target, breaker.began(target), result)
  }
  return { clock, state, target, events, breaker, dial }
}

test("it opens when the share of failed dials is too high, however they are mixed", () => {
  const { clock, target, events, dial } = setUp()
  for (let round = 0; round < 4; round++) {
    dial("good")
    dial("failed")
    clock.advance(100)
  }
  assert.equal(target.open, false, "too few dials to judge")
  dial("good")
  dial("failed")
  assert.equal(target.open, true)
  assert.equal(target.obstacle(clock.now()), "open")
  assert.deepEqual(events, ["opened"])
})

test("failures below the rate, and failures of long ago, leave it closed", () => {
  const { clock, target, dial } = setUp()
  for (let round = 0; round < 200; round++) {
    dial("good", 6)
    dial("failed", 5)
    clock.advance(500)
  }
  assert.equal(target.open, false)
  const old = setUp()
  for (let round = 0; round < 50; round++) {
    old.dial("failed", 5)
    old.clock.advance(11_000)
  }
  assert.equal(old.target.open, false)
})

test("half-open lets one dial through; a good one closes it with a slow start, a bad one opens it again", () => {
  const { clock, target, events, breaker, dial } = setUp()
  dial("failed", 10)
  clock.advance(5000)
  assert.equal(target.open, false)
  const first = breaker.began(target)
  assert.equal(target.open, true, "the second one has to go elsewhere")
  breaker.ended(target, first, "failed")
  assert.equal(target.open, true)
  clock.advance(4999)
  assert.equal(target.open, true)
  clock.advance(1)
  dial("good")
  assert.equal(target.open, false)
  assert.equal(target.usableSince, clock.now())
  assert.deepEqual(events, ["opened", "half-open", "trying", "opened", "half-open", "trying", "closed"])
  dial("failed", 9)
  assert.equal(target.open, false, "the count began anew")
})

test("a trial whose client left lets the next dial try", () => {
  const { clock, target, breaker, dial } = setUp()
  dial("failed", 10)
  clock.advance(5000)
  dial("unknown")
  assert.equal(target.open, false)
  breaker.began(target)
  assert.equal(target.open, true)
})

test("dials that began before it opened decide nothing afterwards", () => {
  const { clock, target, breaker, dial } = setUp()
  const before = Array.from({ length: 30 }, () => breaker.began(target))
  dial("failed", 10)
  for (const ticket of before.splice(0, 10)) breaker.ended(target, ticket, "good")
  assert.equal(target.open, true)
  clock.advance(5000)
  const trial = breaker.began(target)
  for (const ticket of before.splice(0, 10)) breaker.ended(target, ticket, "failed")
  breaker.ended(target, trial, "good")
  assert.equal(target.open, false)
  for (const ticket of before) breaker.ended(target, ticket, "failed")
  assert.equal(target.open, false)
})

test("a dial that works while it is open, in a panic, closes it; one that fails is no news", () => {
  const { target, dial } = setUp()
  dial("failed", 10)
  dial("failed", 10)
  assert.equal(target.open, true)
  dial("good")
  assert.equal(target.open, false)
})

test("dials that nobody can judge count neither way", () => {
  const { target, dial } = setUp()
  dial("unknown", 100)
  dial("failed", 9)
  assert.equal(target.open, false)
})

test("without a rate it never opens, and a reload that takes the rate away closes it", () => {
  const off = setUp({ failureRate: undefined })
  off.dial("failed", 1000)
  assert.equal(off.target.open, false)
  const { clock, state, target, events, dial } = setUp()
  dial("failed", 10)
  state.settings = { ...usual, failureRate: undefined }
  dial("failed")
  assert.equal(target.open, false)
  assert.deepEqual(events, ["opened", "closed"])
  assert.equal(clock.pending, 0)
})

test("it admits no more pending dials than the settings say", () => {
  const { state, target, breaker } = setUp({ maxPending: 3 })
  target.pending = 2
  assert.equal(breaker.admits(target), true)
  target.pending = 3
  assert.equal(breaker.admits(target), false)
  state.settings = { ...usual, maxPending: undefined }
  assert.equal(breaker.admits(target), true)
})

test("a stop, and a target that goes, leave no timer", () => {
  for (const end of ["stop", "forget"] as const) {
    const { clock, target, breaker, dial } = setUp()
    dial("failed", 10)
    const late = breaker.began(target)
    if (end === "stop") breaker.stop()
    else breaker.forget(target)
    assert.equal(clock.pending, 0)
    assert.equal(target.open, false)
    target.removed = true
    breaker.ended(target, late, "failed")
    assert.equal(clock.pending, 0)
  }
})

test("in whatever order dials end, half-open never lets two through, and it can always close again", () => {
  const step = fc.oneof(
    fc.constant({ do: "begin" as const }),
    fc.record({
      do: fc.constant("end" as const),
      which: fc.nat({ max: 50 }),
      result: fc.constantFrom<DialResult>("good", "failed", "failed", "unknown"),
    }),
    fc.record({ do: fc.constant("wait" as const), ms: fc.constantFrom(1, 500, 5000) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const { clock, target, events, breaker, dial } = setUp({ minDials: 2 })
      const running: BreakerTicket[] = []
      for (const one of steps) {
        if (one.do === "begin") {
          if (!target.open) running.push(breaker.began(target))
        } else if (one.do === "wait") clock.advance(one.ms)
        else {
          const [ticket] = running.splice(one.which % Math.max(1, running.length), 1)
          if (ticket !== undefined) breaker.ended(target, ticket, one.result)
        }
        assert.ok(clock.pending <= 1)
      }
      const trials = events.filter((event) => event === "trying").length
      const settled = events.filter((event, at) => at > 0 && events[at - 1] === "trying" && event !== "trying").length
      assert.ok(trials - settled <= 1)
      for (const ticket of running) breaker.ended(target, ticket, "unknown")
      clock.advance(5000)
      dial("good")
      assert.equal(target.open, false)
      assert.equal(clock.pending, 0)
    }),
    { numRuns: 300 },
  )
})
