import assert from "node:assert/strict"
import { test } from "node:test"
import { StreamIds } from "./stream-ids.ts"

test("the dialer counts odd numbers, the acceptor even ones", () => {
  const dialer = new StreamIds(1)
  const acceptor = new StreamIds(2)
  const free = () => false
  assert.deepEqual([dialer.next(free), dialer.next(free), dialer.next(free)], [1, 3, 5])
  assert.deepEqual([acceptor.next(free), acceptor.next(free)], [2, 4])
  assert.equal(dialer.isOurs(7), true)
  assert.equal(dialer.isOurs(8), false)
  assert.equal(acceptor.isOurs(0xffff_fffe), true)
})

for (const [first, last] of [
  [1, 0xffff_ffff],
  [2, 0xffff_fffe],
] as const) {
  test(`after ${last} the numbers start over at ${first} and skip those in use`, () => {
    const ids = new StreamIds(first, last - 4)
    const live = new Set<number>([first, first + 2, first + 6])
    const next = () => ids.next((id) => live.has(id))
    assert.deepEqual([next(), next()], [last - 2, last])
    assert.deepEqual([next(), next(), next()], [first + 4, first + 8, first + 10])
    assert.equal(ids.wasUsed(last), true)
  })
}

test("a number that nobody ever opened is known as such", () => {
  const ids = new StreamIds(1)
  assert.equal(ids.wasUsed(1), false)
  ids.next(() => false)
  assert.equal(ids.wasUsed(1), true)
  assert.equal(ids.wasUsed(3), false)
  assert.equal(ids.wasUsed(2), false)
  ids.seen(6)
  assert.equal(ids.wasUsed(4), true)
  assert.equal(ids.wasUsed(8), false)
})
