import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { Ranges } from "./datagram-ranges.ts"

test("ranges agree with a set of numbers, whatever is added in whatever order", () => {
  const pair = fc.tuple(fc.nat(60), fc.integer({ min: 1, max: 12 }))
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 40 }), (pairs) => {
      const ranges = new Ranges()
      const model = new Set<number>()
      for (const [from, length] of pairs) {
        let added = 0
        for (let number = from; number < from + length; number++) {
          if (!model.has(number)) added++
          model.add(number)
        }
        assert.equal(ranges.add(from, from + length), added)
        assert.equal(ranges.size, model.size)
      }
      for (let number = 0; number < 80; number++) assert.equal(ranges.has(number), model.has(number))
      for (let at = 1; at < ranges.count; at++) assert.ok(ranges.from(at) > ranges.to(at - 1), "ranges do not touch")
      const gaps = [...ranges.missing(3, 70)].flatMap(([from, to]) =>
        Array.from({ length: to - from }, (_, at) => from + at),
      )
      assert.deepEqual(
        gaps,
        Array.from({ length: 67 }, (_, at) => at + 3).filter((number) => !model.has(number)),
      )
      const taken: number[] = []
      for (let next = ranges.takeFirst(5); next !== undefined; next = ranges.takeFirst(5)) {
        assert.ok(next.to - next.from <= 5)
        for (let number = next.from; number < next.to; number++) taken.push(number)
      }
      assert.deepEqual(
        taken,
        [...model].toSorted((a, b) => a - b),
      )
      assert.equal(ranges.size, 0)
    }),
  )
})
