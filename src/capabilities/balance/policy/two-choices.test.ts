import assert from "node:assert/strict"
import { test } from "node:test"
import { passing, pick, rig, short, tally, untried } from "../../../../test/kit/balance-pool.ts"
import type { Pool } from "../pool/pool.ts"
import type { Target } from "../target/target.ts"

const policy = { kind: "peak-ewma" } as const

test("with the same latency, connections that stay are nearly even, far more than by lot", () => {
  const names = Array.from({ length: 50 }, (_, at) => `t${at}`)
  const spread = (kind: "peak-ewma" | "random") => {
    const { pool } = rig({ targets: names, policy: { kind } })
    for (const target of pool.targets) target.latency.add(1)
    stay(pool, 5000)
    const loads = pool.targets.map(({ active }) => active)
    return Math.max(...loads) - Math.min(...loads)
  }
  assert.ok(spread("peak-ewma") <= 20)
  assert.ok(spread("random") >= 30)
})

test("connections that stay are spread by weight", () => {
  const { pool } = rig({ targets: [{ name: "a", weight: 3 }, "b", "c"], policy })
  for (const target of pool.targets) target.latency.add(1)
  const counts = tally(stay(pool, 1000))
  assert.ok(Math.abs((counts["a"] ?? 0) - 600) < 40, JSON.stringify(counts))
})

test("short connections are spread by weight as long as latencies are alike", () => {
  const { pool } = rig({ targets: [{ name: "a", weight: 3 }, "b"], policy })
  for (const [at, target] of pool.targets.entries()) target.latency.add(1 + at * 0.02)
  const counts = tally(pick(pool, 4000))
  assert.ok(Math.abs((counts["a"] ?? 0) - 3000) < 120, JSON.stringify(counts))
})

test("short connections are spread by weight, however many of them run at a time", () => {
  for (const weights of [
    [3, 1],
    [5, 3, 2],
    [9, 1],
    [1, 1, 1],
  ]) {
    const sum = weights.reduce((all, each) => all + each)
    for (const together of [1, 2, 3, 5, 20]) {
      const { pool } = rig({ targets: weights.map((weight, at) => ({ name: `t${at}`, weight })), policy })
      for (const target of pool.targets) target.latency.add(2)
      const counts = passing(pool, 6_000, together)
      for (const [at, weight] of weights.entries()) {
        const part = (counts[at] as number) / 6_000
        // By lot, and of two only.
        assert.ok(Math.abs(part - weight / sum) < 0.12, `${weights.join(":")}, ${together} at a time: ${counts.join()}`)
      }
    }
  }
})

test("below a millisecond latencies are alike", () => {
  const { pool } = rig({ targets: [{ name: "a", weight: 3 }, "b"], policy })
  const [a, b] = pool.targets as [Target, Target]
  a.latency.add(0.9)
  b.latency.add(0.1)
  const counts = tally(pick(pool, 4_000))
  assert.ok(Math.abs((counts["a"] ?? 0) - 3_000) < 120, JSON.stringify(counts))
  a.latency.add(1.2)
  assert.deepEqual(tally(pick(pool, 100)), { b: 100 })
})

test("a slow target gets fewer connections, in proportion to how slow it is", () => {
  const { pool } = rig({ targets: ["a", "b"], policy })
  const [a, b] = pool.targets as [Target, Target]
  a.latency.add(10)
  b.latency.add(40)
  const counts = tally(stay(pool, 500))
  assert.ok(Math.abs((counts["a"] ?? 0) - 400) <= 10, JSON.stringify(counts))
})

test("one stall is enough to be avoided, and time forgives it", () => {
  const { pool, clock } = rig({ targets: ["a", "b"], policy })
  const [a, b] = pool.targets as [Target, Target]
  for (const target of [a, b]) target.latency.add(2)
  b.latency.add(1000)
  assert.deepEqual(tally(pick(pool, 200)), { a: 200 })
  clock.advance(30_000)
  assert.deepEqual(tally(pick(pool, 200)), { a: 200 })
  clock.advance(90_000)
  const counts = tally(pick(pool, 200))
  assert.ok((counts["b"] ?? 0) > 50, "without connections it would never show that it is well again")
})

test("a target that never was asked is judged by its load", () => {
  const { pool } = rig({ targets: ["a", "b"], policy })
  const [a, b] = pool.targets as [Target, Target]
  a.latency.add(5)
  a.active = 10
  assert.deepEqual(tally(pick(pool, 20)), { b: 20 })
  b.pending = 20
  assert.deepEqual(tally(pick(pool, 20)), { a: 20 })
})

test("a single target is chosen, and a full or tried one never", () => {
  const { pool } = rig({ targets: [{ name: "a", maxConnections: 0 }, "b", "c"], policy })
  const [, b, c] = pool.targets as [Target, Target, Target]
  for (let turn = 0; turn < 50; turn++) {
    assert.equal(pool.choose({ client: "", tried: new Set([b]) }).target, c)
  }
  assert.deepEqual(pool.choose({ client: "", tried: new Set([b, c]) }), { target: undefined, obstacle: "full" })
})

function stay(pool: Pool, count: number): string[] {
  return Array.from({ length: count }, () => {
    const { target } = pool.choose({ client: "", tried: untried }) as { target: Target }
    target.active++
    return short(target)
  })
}
