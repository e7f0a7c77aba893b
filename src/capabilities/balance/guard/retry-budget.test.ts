import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { RetryBudget } from "./retry-budget.ts"

function setUp(budget: number) {
  const clock = new FakeClock()
  const retries = new RetryBudget({ settings: () => ({ attempts: 3, budget }), clock })
  /** So many connections per second, each of which would retry 3 times: how many retries there are per second. */
  const run = (perSecond: number, seconds: number) => {
    let taken = 0
    for (let tick = 0; tick < seconds * 100; tick++) {
      clock.advance(10)
      for (let dial = Math.floor(tick * perSecond * 0.01); dial < Math.floor((tick + 1) * perSecond * 0.01); dial++) {
        retries.dialled()
        for (let attempt = 0; attempt < 3; attempt++) if (retries.take()) taken++
      }
    }
    return taken / seconds
  }
  return { clock, retries, run }
}

test("with all targets down, retries stay a share of the dials", () => {
  const { run } = setUp(0.2)
  const rate = run(1000, 30)
  assert.ok(rate > 195 && rate < 210, `${rate} retries/s at 1000 dials/s and a budget of 0.2`)
})

test("ten per second are always allowed, and the share is not added to them", () => {
  const { run } = setUp(0.2)
  const rate = run(20, 30)
  assert.ok(rate > 9.5 && rate < 11, `${rate} retries/s at 20 dials/s`)
})

test("a budget of 0 leaves those ten", () => {
  const { clock, retries } = setUp(0)
  clock.advance(60_000)
  let taken = 0
  for (let dial = 0; dial < 1000; dial++) {
    retries.dialled()
    if (retries.take()) taken++
  }
  assert.equal(taken, 10)
})

test("traffic of long ago is worth nothing", () => {
  const { clock, retries } = setUp(1)
  for (let dial = 0; dial < 1000; dial++) retries.dialled()
  clock.advance(11_000)
  let taken = 0
  while (retries.take()) taken++
  assert.equal(taken, 10)
})
