import assert from "node:assert/strict"
import { test } from "node:test"
import { WriteSize } from "./write-size.ts"

/** So many of the last writes were small. */
function smallOnes(size: WriteSize, writes: number, msOf: (isSmall: boolean, at: number) => number): number {
  let small = 0
  for (let at = 0; at < writes; at++) {
    const isSmall = size.next() !== Infinity
    if (isSmall) small++
    size.took(262_144, msOf(isSmall, at))
  }
  return small
}

test("what is cheaper is done nearly always, and what was dearer is tried again", () => {
  const size = new WriteSize()
  smallOnes(size, 32, (isSmall) => (isSmall ? 0.2 : 0.1))
  assert.ok(smallOnes(size, 640, (isSmall) => (isSmall ? 0.2 : 0.1)) <= 12)
  // The host took the memory back.
  smallOnes(size, 640, (isSmall) => (isSmall ? 0.2 : 0.9))
  assert.ok(smallOnes(size, 640, (isSmall) => (isSmall ? 0.2 : 0.9)) >= 620)
})

test("a write during which the process lost its turn changes little", () => {
  const size = new WriteSize()
  const cost = (isSmall: boolean, at: number) => (at % 40 === 39 ? 20 : isSmall ? 0.3 : 0.1)
  smallOnes(size, 64, cost)
  assert.ok(smallOnes(size, 640, cost) <= 100)
})

test("short writes teach nothing", () => {
  const size = new WriteSize()
  for (let at = 0; at < 100; at++) {
    size.next()
    size.took(1_000, at)
  }
  assert.ok(smallOnes(size, 64, (isSmall) => (isSmall ? 0.1 : 0.2)) > 0)
})
