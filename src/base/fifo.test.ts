import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { Fifo } from "./fifo.ts"

test("a list gives back what it was given, in order, like an array", () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.constant("push" as const) },
    { weight: 4, arbitrary: fc.constant("shift" as const) },
    { weight: 1, arbitrary: fc.constant("unshift" as const) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 2000, size: "max" }), (steps) => {
      const fifo = new Fifo<number>()
      const model: number[] = []
      steps.forEach((each, at) => {
        if (each === "push") {
          fifo.push(at)
          model.push(at)
        } else if (each === "unshift") {
          fifo.unshift(at)
          model.unshift(at)
        } else assert.equal(fifo.shift(), model.shift())
        assert.equal(fifo.length, model.length)
        assert.equal(fifo.peek(), model[0])
      })
      while (model.length > 0) assert.equal(fifo.shift(), model.shift())
      assert.equal(fifo.shift(), undefined)
    }),
  )
})

test("a cleared list is empty and goes on", () => {
  const fifo = new Fifo<string>()
  fifo.push("a")
  fifo.push("b")
  fifo.shift()
  fifo.clear()
  assert.equal(fifo.length, 0)
  fifo.push("c")
  assert.equal(fifo.shift(), "c")
})
