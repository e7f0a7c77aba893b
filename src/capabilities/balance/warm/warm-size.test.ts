import assert from "node:assert/strict"
import { test } from "node:test"
import { WarmSize } from "./warm-size.ts"

test("it grows by one with each client that finds none, up to four times the least", () => {
  const size = new WarmSize(3, 0)
  assert.equal(size.wanted, 3)
  size.missed()
  size.missed()
  assert.equal(size.wanted, 5)
  for (let client = 0; client < 100; client++) size.missed()
  assert.equal(size.wanted, 12)
})

test("what was never needed for some seconds is given back by halves, and never more than that", () => {
  const size = new WarmSize(2, 0)
  for (let client = 0; client < 6; client++) size.missed()
  size.look(4_000)
  assert.equal(size.wanted, 8, "too early")
  size.look(5_000)
  assert.equal(size.wanted, 8, "all were needed")
  size.taken(4)
  size.taken(6)
  size.look(10_000)
  assert.equal(size.wanted, 6, "half of the four that nobody touched")
  size.look(15_000)
  assert.equal(size.wanted, 3, "nobody came")
  size.look(20_000)
  size.look(25_000)
  assert.equal(size.wanted, 2)
})

test("another setting counts at once, and what was learnt stays as far as it fits", () => {
  const size = new WarmSize(2, 0)
  for (let client = 0; client < 6; client++) size.missed()
  size.least = 3
  assert.equal(size.wanted, 9)
  size.least = 1
  assert.equal(size.wanted, 4)
  size.least = 10
  assert.equal(size.wanted, 13)
})
