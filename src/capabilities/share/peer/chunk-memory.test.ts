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

test("while chunks are looked for, those that were here last are found", () => {
  const memory = new ChunkMemory({ limitBytes: 1_000_000, spareBytes: 48 * 1024 })
  const put = (chunk: number) => {
    const bytes = memory.take(16_000) as Uint8Array
    bytes.fill(chunk)
    memory.give(bytes, chunk)
  }
  put(1)
  assert.equal(memory.find(1), undefined)
  for (const chunk of [2, 3, 4]) {
    assert.equal(memory.find(chunk), undefined)
    put(chunk)
  }
  for (const chunk of [2, 3, 4]) {
    const found = memory.find(chunk) as Uint8Array
    assert.equal(found.length, 16_000)
    assert.ok(found.every((byte) => byte === chunk))
    assert.equal(memory.taken, 16 * 1024)
    assert.equal(memory.find(chunk), undefined)
    memory.give(found, chunk)
  }
  // The next ones take the places of the oldest.
  put(5)
  assert.deepEqual(
    [2, 3, 4, 5].map((chunk) => memory.find(chunk)?.[0]),
    [undefined, 3, 4, 5],
  )
})

test("chunks of another version are not found, and their memory is used again", () => {
  const memory = new ChunkMemory({ limitBytes: 1_000_000, spareBytes: 32 * 1024 })
  memory.find(7)
  const first = memory.take(16_000) as Uint8Array
  memory.give(first, 7)
  memory.forget()
  assert.equal(memory.find(7), undefined)
  assert.equal(memory.take(16_000)?.buffer, first.buffer)
})
