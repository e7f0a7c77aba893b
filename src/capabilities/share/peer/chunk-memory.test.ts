import assert from "node:assert/strict"
import { test } from "node:test"
import { ChunkMemory } from "./chunk-memory.ts"

test("memory is exactly as long as asked for, and used again", () => {
  const memory = new ChunkMemory({ limitBytes: 1_000_000, spareBytes: 1_000_000 })
  const first = memory.take(65_552) as Uint8Array
  assert.equal(first.length, 65_552)
  memory.give(first)
  const second = memory.take(70_000) as Uint8Array
  assert.equal(second.length, 70_000)
  assert.ok(second.buffer === first.buffer)
  memory.give(second)
  assert.equal(memory.taken, 0)
})

test("above the limit there is none, but one piece there always is", () => {
  const memory = new ChunkMemory({ limitBytes: 100_000, spareBytes: 0 })
  const large = memory.take(500_000) as Uint8Array
  assert.equal(memory.take(1), undefined)
  memory.give(large)
  assert.notEqual(memory.take(1), undefined)
})

test("what is kept has a bound", () => {
  const memory = new ChunkMemory({ limitBytes: 1_000_000, spareBytes: 16_384 })
  const [one, two] = [memory.take(16_384) as Uint8Array, memory.take(16_384) as Uint8Array]
  memory.give(one)
  memory.give(two)
  const again = [memory.take(10), memory.take(10)]
  assert.equal(again.filter((each) => each?.buffer === one.buffer || each?.buffer === two.buffer).length, 1)
})
