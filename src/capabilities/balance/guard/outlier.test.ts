import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import type { OutlierSettings } from "../config/settings.ts"
import type { Target } from "../target/target.ts"
import { Outlier } from "./outlier.ts"
import { targetFor } from "../../../../test/kit/balance-target.ts"

const usual: OutlierSettings = {
  connectFailures: 3,
  earlyResets: 2,
  ejectMs: 5000,
  maxEjectMs: 300_000,
  maxEjected: 0.5,
  panicBelow: 0,
}

function setUp(count: number, changes: Partial<OutlierSettings> = {}) {
  const clock = new FakeClock()
  const settings = { ...usual, ...changes }
  const targets = Array.from({ length: count }, (_, at) => targetFor(`10.0.0.${at + 1}`, clock))
  const events: string[] = []
  const outlier = new Outlier({
    targets: () => targets,
    settings: () => settings,
    clock,
    onChange: (target, event) => events.push(`${target.name} ${event}`),
  })
  const isOut = (target: Target) => target.obstacle(clock.now()) === "ejected"
  const fail = (target: Target, times = 1) => {
    for (let time = 0; time < times; time++) outlier.connectFailed(target)
  }
  return { clock, settings, targets: targets as [Target, Target, ...Target[]], events, outlier, isOut, fail }
}

test("connects that fail in a row eject a target, and it comes back by itself with a slow start", () => {
  const { clock, targets, events, isOut, fail } = setUp(2)
  fail(targets[0], 2)
  assert.equal(isOut(targets[0]), false)
  fail(targets[0])
  assert.equal(isOut(targets[0]), true)
  assert.equal(targets[0].totals.ejections, 1)
  clock.advance(4999)
  assert.equal(isOut(targets[0]), true)
  clock.advance(1)
  assert.equal(isOut(targets[0]), false)
  assert.equal(targets[0].usableSince, clock.now())
  assert.deepEqual(events, ["10.0.0.1:80 ejected", "10.0.0.1:80 returned"])
})

test("a connect that works between failures keeps a target in", () => {
  const { targets, outlier, events, fail } = setUp(2)
  for (let round = 0; round < 10; round++) {
    fail(targets[0], 2)
    outlier.connected(targets[0])
  }
  assert.deepEqual(events, [])
})

test("early resets in a row eject, though the connects work; a byte from the target pardons", () => {
  const { targets, outlier, isOut } = setUp(2)
  const once = () => {
    outlier.connected(targets[0])
    outlier.earlyReset(targets[0])
  }
  once()
  outlier.good(targets[0])
  once()
  assert.equal(isOut(targets[0]), false)
  once()
  assert.equal(isOut(targets[0]), true)
})

test("a dead target costs one dial per return, and stays out twice as long each time up to the cap", () => {
  const { clock, targets, isOut, fail } = setUp(2)
  fail(targets[0], 2)
  for (const seconds of [5, 10, 20, 40, 80, 160, 300, 300, 300]) {
    fail(targets[0])
    assert.equal(targets[0].ejectedUntil, clock.now() + seconds * 1000)
    clock.advance(seconds * 1000)
    assert.equal(isOut(targets[0]), false)
  }
})

test("time in good order makes the next ejection short again", () => {
  const { clock, targets, outlier, fail } = setUp(2)
  fail(targets[0], 3)
  for (const ms of [5000, 10_000, 20_000]) {
    clock.advance(ms)
    fail(targets[0])
  }
  clock.advance(40_000)
  outlier.connected(targets[0])
  clock.advance(2 * 40_000)
  fail(targets[0], 2)
  assert.equal(targets[0].ejectedUntil, 0, "it is no longer on probation")
  fail(targets[0])
  assert.equal(targets[0].ejectedUntil - clock.now(), 20_000)
})

test("the only target stays in use whatever it does, unless the settings say all may go", () => {
  const { targets, fail, isOut } = setUp(1)
  fail(targets[0], 100)
  assert.equal(isOut(targets[0]), false)
  const all = setUp(1, { maxEjected: 1 })
  all.fail(all.targets[0], 3)
  assert.equal(all.isOut(all.targets[0]), true)
})

test("of two targets one may go at a small share, and none at the share 0", () => {
  const { targets, fail, isOut } = setUp(2, { maxEjected: 0.1 })
  fail(targets[0], 3)
  fail(targets[1], 3)
  assert.deepEqual(targets.map(isOut), [true, false])
  const none = setUp(2, { maxEjected: 0 })
  none.fail(none.targets[0], 3)
  assert.equal(none.isOut(none.targets[0]), false)
})

test("one that fails on while others use up the share goes as soon as there is room", () => {
  const { clock, targets, fail, isOut } = setUp(3, { maxEjected: 0.3 })
  fail(targets[0], 3)
  fail(targets[1], 5)
  assert.equal(isOut(targets[1]), false)
  clock.advance(5000)
  fail(targets[1])
  assert.deepEqual(targets.map(isOut), [false, true, false])
})

test("an ejected target that takes a connection all the same is back at once", () => {
  const { clock, targets, outlier, events, fail, isOut } = setUp(2)
  fail(targets[0], 3)
  clock.advance(1000)
  outlier.connected(targets[0])
  assert.equal(isOut(targets[0]), false)
  assert.deepEqual(events, ["10.0.0.1:80 ejected", "10.0.0.1:80 returned"])
  clock.advance(60_000)
  assert.equal(events.length, 2)
})

test("targets that operators took out, or the file, do not count", () => {
  const { targets, fail, isOut } = setUp(4)
  const [a, b, c, d] = targets as readonly Target[] as [Target, Target, Target, Target]
  b.orders = "disable"
  c.removed = true
  fail(c, 3)
  assert.equal(isOut(c), false)
  assert.equal(c.ejectedUntil, 0)
  fail(a, 3)
  fail(d, 3)
  assert.deepEqual([isOut(a), isOut(d)], [true, false])
})

test("no failures eject when the settings turn it off", () => {
  const { targets, fail, outlier, events } = setUp(4, { connectFailures: 0, earlyResets: 0 })
  fail(targets[0], 50)
  for (let reset = 0; reset < 50; reset++) outlier.earlyReset(targets[0])
  assert.deepEqual(events, [])
})

test("a stop leaves no timer and nothing ejected", () => {
  const { clock, targets, outlier, fail, isOut } = setUp(2)
  fail(targets[0], 3)
  outlier.stop()
  assert.equal(clock.pending, 0)
  assert.equal(isOut(targets[0]), false)
})

test("whatever happens, no more are out than the share allows, and all come back", () => {
  const step = fc.record({
    at: fc.nat({ max: 9 }),
    what: fc.constantFrom("fail", "fail", "fail", "reset", "reset", "connect", "good"),
    ms: fc.constantFrom(0, 0, 0, 1000, 20_000),
  })
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 10 }),
      fc.constantFrom(0, 0.1, 0.34, 0.5, 0.9, 1),
      fc.array(step, { maxLength: 120 }),
      (count, maxEjected, steps) => {
        const { clock, targets, outlier, isOut } = setUp(count, { maxEjected })
        const most = maxEjected === 1 ? count : Math.min(count - 1, Math.ceil(count * maxEjected))
        for (const { at, what, ms } of steps) {
          const target = targets[at % count] as Target
          if (what === "fail") outlier.connectFailed(target)
          else if (what === "reset") outlier.earlyReset(target)
          else if (what === "connect") outlier.connected(target)
          else outlier.good(target)
          clock.advance(ms)
          assert.ok(targets.filter(isOut).length <= most)
        }
        clock.advance(300_000)
        assert.equal(targets.filter(isOut).length, 0)
        assert.equal(clock.pending, 0)
      },
    ),
    { numRuns: 200 },
  )
})
