import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { hashText, mix } from "./hashing.ts"
import { maglevTable, type MaglevEntry } from "./maglev.ts"

test("hashes and tables are the same in every process and every version", () => {
  assert.deepEqual(
    ["", "a", "10.0.0.1", "2001:db8::1"].map((text) => hashText(text)),
    [2_872_998_923, 444_641_715, 2_931_590_574, 3_849_813_818],
  )
  const table = maglevTable(entries([1, 2, 3]))
  let digest = 0
  for (const index of table) digest = mix(digest ^ index)
  assert.equal(digest, 1_146_707_465)
})

test("every slot has a target, and each has its weight's part of them", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 12 }), (weights) => {
      const counts = countSlots(maglevTable(entries(weights)), weights.length)
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      for (const [at, weight] of weights.entries()) {
        const exact = (65_537 * weight) / total
        // Each is rounded once, and the last round is not complete.
        assert.ok(Math.abs((counts[at] ?? 0) - exact) <= weights.length + 1, `${counts[at]} instead of ${exact}`)
      }
    }),
    { numRuns: 20 },
  )
})

test("the order in which targets are named does not matter", () => {
  const forth = entries([1, 3, 2, 1])
  const back = forth.toReversed()
  const named = (list: readonly MaglevEntry[]) => [...maglevTable(list)].map((index) => list[index]?.name)
  assert.deepEqual(named(forth), named(back))
})

test("when one of ten leaves or comes, hardly more slots change than its own", () => {
  const ten = entries(Array.from({ length: 10 }, () => 1))
  const before = maglevTable(ten)
  for (const [gone] of ten.entries()) {
    const rest = ten.filter((_, at) => at !== gone)
    const after = maglevTable(rest)
    let moved = 0
    for (const [slot, index] of before.entries()) if (ten[index] !== rest[after[slot] as number]) moved++
    assert.ok(moved / before.length < 0.108, `${moved}`)
  }
})

test("nobody makes an empty table, and very many targets share a larger one", () => {
  assert.equal(maglevTable([]).length, 0)
  const table = maglevTable(entries(Array.from({ length: 700 }, () => 1)))
  assert.equal(table.length, 655_373)
  const counts = countSlots(table, 700)
  assert.ok(Math.max(...counts) - Math.min(...counts) <= 1)
})

function entries(weights: readonly number[]): MaglevEntry[] {
  return weights.map((weight, at) => ({ name: `10.0.0.${at}:80`, weight }))
}

function countSlots(table: Uint16Array, targets: number): number[] {
  const counts = Array.from({ length: targets }, () => 0)
  for (const index of table) counts[index] = (counts[index] ?? 0) + 1
  return counts
}
