import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import type { ByteWays } from "../protocol/control.ts"
import { HaveBatch } from "./have-batch.ts"

function batch(): {
  clock: FakeClock
  said: { chunks: readonly number[]; via: ByteWays }[]
  batch: HaveBatch
  line: { isClear: boolean }
} {
  const clock = new FakeClock()
  const said: { chunks: readonly number[]; via: ByteWays }[] = []
  const line = { isClear: true }
  const say = (chunks: readonly number[], via: ByteWays) => {
    if (line.isClear) said.push({ chunks, via })
    return line.isClear
  }
  return { clock, said, batch: new HaveBatch({ clock, say }), line }
}

test("sixteen chunks go at once, fewer after twenty milliseconds", () => {
  const { clock, said, batch: have } = batch()
  for (let chunk = 0; chunk < 18; chunk++) have.add(chunk, 10, chunk % 2 === 0 ? "relay" : "direct")
  assert.equal(said.length, 1)
  assert.deepEqual(said[0]?.via, { relay: 80, direct: 80, cast: 0 })
  clock.advance(20)
  assert.deepEqual(said[1], { chunks: [16, 17], via: { relay: 10, direct: 10, cast: 0 } })
  assert.equal(clock.pending, 0)
})

test("a line that is full lets them gather, and nothing is said twice", () => {
  const { clock, said, batch: have, line } = batch()
  line.isClear = false
  for (let chunk = 0; chunk < 2_500; chunk++) have.add(chunk, 1, "relay")
  clock.advance(100)
  assert.equal(said.length, 0)
  line.isClear = true
  have.flush()
  assert.deepEqual(
    said.map(({ chunks }) => chunks.length),
    [1_000, 1_000, 500],
  )
  assert.equal(
    said.reduce((sum, { via }) => sum + via.relay, 0),
    2_500,
  )
})

test("what holds says is not said again, but its bytes are counted", () => {
  const { said, batch: have } = batch()
  have.add(1, 100, "cast")
  have.clear()
  have.flush()
  assert.equal(said.length, 0)
  have.add(2, 10, "cast")
  have.flush()
  assert.deepEqual(said, [{ chunks: [2], via: { relay: 0, direct: 0, cast: 110 } }])
})
