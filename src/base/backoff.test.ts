import assert from "node:assert/strict"
import { test } from "node:test"
import { Backoff } from "./backoff.ts"

test("delays double up to their cap, lie in the upper half of their bound, and are short again after a success", () => {
  const bounds = [100, 200, 400, 800, 1000, 1000]
  for (const random of [0, 0.5, 0.999]) {
    const backoff = new Backoff({ firstMs: 100, maxMs: 1000, random: () => random })
    for (const bound of bounds) assert.equal(backoff.next(), bound / 2 + (random * bound) / 2)
    backoff.reset()
    assert.equal(backoff.next(), 50 + random * 50)
  }
})

test("after a thousand failures the delay is still the cap", () => {
  const backoff = new Backoff({ firstMs: 10, maxMs: 5000, random: () => 0.5 })
  for (let attempt = 0; attempt < 1000; attempt++) backoff.next()
  assert.equal(backoff.next(), 3750)
})
