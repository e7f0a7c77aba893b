import assert from "node:assert/strict"
import { test } from "node:test"
import { Slabs } from "./slabs.ts"

const length = 262_160
const cost = Slabs.cost(length)

test("what makes room for chunks that are promised together is the memory that they get", () => {
  const slabs = new Slabs(4 * cost)
  const taken = Array.from({ length: 4 }, () => {
    assert.ok(slabs.reserve(length))
    return slabs.take(length)
  })
  const known = new Set(taken.map(({ buffer }) => buffer))
  // As a full cache does: one goes for each promise, and all promises are kept later.
  for (let chunk = 0; chunk < 3; chunk++) {
    assert.equal(slabs.reserve(length), false)
    slabs.give(taken.pop() as Uint8Array)
    assert.ok(slabs.reserve(length))
  }
  for (let chunk = 0; chunk < 3; chunk++) assert.ok(known.has(slabs.take(length).buffer))
  assert.equal(slabs.usedBytes, 4 * cost)
})

test("memory of other sizes is let go before it and what is new are more than the bound", () => {
  const slabs = new Slabs(4 * cost)
  const taken = Array.from({ length: 4 }, () => {
    assert.ok(slabs.reserve(length))
    return slabs.take(length)
  })
  const old = new Set(taken.map(({ buffer }) => buffer))
  for (const memory of taken) slabs.give(memory)
  assert.equal(slabs.usedBytes, 0)
  assert.ok(slabs.reserve(2 * length))
  assert.ok(!old.has(slabs.take(2 * length).buffer))
  // Nothing of before is left.
  assert.ok(slabs.reserve(length))
  assert.ok(!old.has(slabs.take(length).buffer))
})
