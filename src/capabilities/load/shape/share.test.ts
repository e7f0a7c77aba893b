import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { dealt, shareOf } from "./share.ts"

const some = (most: number) => fc.integer({ min: 1, max: most })

test("all shares together are the whole, and none has two more than another", () => {
  fc.assert(
    fc.property(fc.nat(10_000), some(50), (whole, of) => {
      const shares = Array.from({ length: of }, (_, index) => shareOf(whole, { index, of }))
      assert.equal(
        shares.reduce((sum, share) => sum + share, 0),
        whole,
      )
      assert.ok(Math.max(...shares) - Math.min(...shares) <= 1)
    }),
  )
})

test("connections are dealt without one too many or too few, as evenly as they can be", () => {
  fc.assert(
    fc.property(fc.nat(500), some(12), some(12), fc.nat(1000), (most, targets, of, wish) => {
      const wanted = Math.min(most, wish)
      const hands = Array.from({ length: of }, (_, index) => {
        const each = (count: number) =>
          Array.from({ length: targets }, (_target, at) => dealt(count, most, { at, of: targets }, { index, of }))
        return { now: each(wanted), ever: each(most).reduce((sum, count) => sum + count, 0) }
      })
      for (let at = 0; at < targets; at++) {
        const together = hands.reduce((sum, { now }) => sum + (now[at] as number), 0)
        assert.equal(together, shareOf(wanted, { index: at, of: targets }))
      }
      const ever = hands.map((hand) => hand.ever)
      assert.ok(Math.max(...ever) - Math.min(...ever) <= 1, ever.join())
    }),
  )
})
