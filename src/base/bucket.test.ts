import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock } from "../../test/kit/fake-clock.ts"
import { Bucket } from "./bucket.ts"

const step = fc.record({ waitMs: fc.nat(3_000), amount: fc.integer({ min: 1, max: 2_000 }) })
const rate = fc.integer({ min: 1, max: 1_000 })

test("in no span of time is more taken than the rate and one burst allow", () => {
  fc.assert(
    fc.property(rate, fc.array(step), (perSecond, steps) => {
      const clock = new FakeClock()
      const bucket = new Bucket({ clock, perSecond })
      const taken: { at: number; amount: number }[] = []
      for (const { waitMs, amount } of steps) {
        clock.advance(waitMs)
        if (bucket.take(amount)) taken.push({ at: clock.now(), amount })
      }
      for (const [from, first] of taken.entries()) {
        let sum = 0
        for (const { at, amount } of taken.slice(from)) {
          sum += amount
          assert.ok(sum <= perSecond + ((at - first.at) * perSecond) / 1000 + 0.001)
        }
      }
    }),
  )
})

test("who stays within the rate is never refused", () => {
  fc.assert(
    fc.property(rate, fc.array(fc.integer({ min: 1, max: 1_000 })), (perSecond, amounts) => {
      const clock = new FakeClock()
      const bucket = new Bucket({ clock, perSecond })
      for (const wanted of amounts) {
        const amount = Math.min(wanted, perSecond)
        assert.ok(bucket.take(amount))
        clock.advance((amount * 1000) / perSecond)
      }
    }),
  )
})

test("after the wait that it tells, the amount is there, and shortly before it is not", () => {
  fc.assert(
    fc.property(rate, fc.array(step, { maxLength: 20 }), (perSecond, steps) => {
      const clock = new FakeClock()
      const bucket = new Bucket({ clock, perSecond })
      for (const { waitMs, amount } of steps) {
        clock.advance(waitMs)
        bucket.spend(amount)
        const wanted = Math.min(amount, perSecond)
        const neededMs = bucket.waitMs(wanted)
        if (neededMs > 1) {
          clock.advance(neededMs - 1)
          assert.ok(!bucket.take(wanted))
          clock.advance(1)
        } else clock.advance(neededMs)
        assert.ok(bucket.take(wanted))
      }
    }),
  )
})

test("a debt is paid by time alone, and what was not used is not saved beyond the size", () => {
  const clock = new FakeClock()
  const bucket = new Bucket({ clock, perSecond: 10, size: 20 })
  bucket.spend(50)
  assert.equal(bucket.level, -30)
  assert.equal(bucket.waitMs(1), 3_100)
  clock.advance(3_000)
  assert.ok(!bucket.take(1))
  clock.advance(3_600_000)
  assert.equal(bucket.level, 20)
  assert.equal(bucket.waitMs(21), Infinity)
})
