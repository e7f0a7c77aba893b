import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { ReceiveWindow, WindowBudget } from "./credit.ts"

const KiB = 1024

test("credit is never lost: what the sender may send and what is unread always make the window", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ send: fc.nat(100 * KiB), consume: fc.nat(100 * KiB), waitMs: fc.nat(50), raise: fc.boolean() }),
      ),
      fc.integer({ min: 0, max: 20 }),
      (steps, rttMs) => {
        const budget = new WindowBudget(4096 * KiB)
        const window = new ReceiveWindow(budget.take(128 * KiB, 128 * KiB), 1024 * KiB, budget, 0)
        let credit = 128 * KiB
        let unread = 0
        let owed = 0
        let now = 0
        for (const { send, consume, waitMs, raise } of steps) {
          now += waitMs
          const sent = Math.min(send, credit)
          credit -= sent
          unread += sent
          assert.equal(window.received(sent), true)
          if (raise) credit += window.raise(256 * KiB)
          const before = window.window
          const done = Math.min(consume, unread)
          unread -= done
          owed += done
          const given = window.consumed(done, now, rttMs)
          assert.ok(given >= 0)
          if (given > 0) {
            assert.equal(given, owed + window.window - before)
            owed = 0
          }
          credit += given
          assert.equal(credit + unread + owed, window.window)
          assert.ok(owed * 2 < window.window, "credit is given back at the latest at half a window")
          assert.ok(window.window <= 1024 * KiB)
          assert.equal(budget.granted, window.window)
        }
        assert.equal(window.received(credit), true)
        assert.equal(window.received(1), false)
        window.release()
        assert.equal(budget.granted, 0)
      },
    ),
    { numRuns: 300 },
  )
})

test("a window that empties within two round trips doubles, and one that does not stays", () => {
  const budget = new WindowBudget(64 * 1024 * KiB)
  const quick = new ReceiveWindow(budget.take(256 * KiB, 0), 1024 * KiB, budget, 0)
  assert.equal(quick.consumed(128 * KiB, 15, 10), 128 * KiB + 256 * KiB)
  assert.equal(quick.window, 512 * KiB)
  assert.equal(quick.consumed(256 * KiB, 100, 10), 256 * KiB)
  assert.equal(quick.window, 512 * KiB)
  quick.consumed(256 * KiB, 101, 10)
  quick.consumed(512 * KiB, 102, 10)
  assert.equal(quick.window, 1024 * KiB)
})

test("the budget gives every stream its least, spreads the rest, and returns to zero", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ wanted: fc.nat(2 ** 20), least: fc.nat(2 ** 17) }), { maxLength: 100 }),
      (takes) => {
        const cap = 2 ** 22
        const budget = new WindowBudget(cap)
        let leasts = 0
        const taken = takes.map(({ wanted, least }) => {
          const before = budget.granted
          const got = budget.take(wanted, least)
          leasts += least
          assert.ok(got >= least)
          assert.ok(got <= Math.max(least, wanted))
          assert.ok(got <= Math.max(least, (cap - before) / 4))
          return got
        })
        assert.ok(budget.granted <= cap + leasts)
        for (const bytes of taken) budget.give(bytes)
        assert.equal(budget.granted, 0)
      },
    ),
  )
})
