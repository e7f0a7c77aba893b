import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { passing, pick, rig, short, tally, untried } from "../../../../test/kit/balance-pool.ts"
import type { Pool } from "../pool/pool.ts"
import type { Target } from "../target/target.ts"

const kind = "least-connections"

test("no other target would have fewer connections for its weight with one more than the chosen one has now", () => {
  const parts = fc.array(fc.record({ weight: fc.integer({ min: 1, max: 9 }), load: fc.nat(50) }), {
    minLength: 1,
    maxLength: 8,
  })
  fc.assert(
    fc.property(parts, (wishes) => {
      const { pool } = rig({ targets: wishes.map(({ weight }, at) => ({ name: `t${at}`, weight })), policy: { kind } })
      for (const [at, { load }] of wishes.entries()) {
        const target = pool.targets[at] as Target
        target.active = load >> 1
        target.pending = load - (load >> 1)
      }
      const { target } = pool.choose({ client: "", tried: untried })
      const { load, weight } = wishes[pool.targets.indexOf(target as Target)] as (typeof wishes)[number]
      for (const other of wishes) assert.ok(load / weight < (other.load + 1) / other.weight + 1e-12)
    }),
  )
})

test("with equal weights it is the target with the fewest", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50), { minLength: 1, maxLength: 8 }), (loads) => {
      const { pool } = rig({ targets: loads.map((_, at) => ({ name: `t${at}`, weight: 0.3 })), policy: { kind } })
      for (const [at, target] of pool.targets.entries()) target.active = loads[at] as number
      const { target } = pool.choose({ client: "", tried: untried })
      assert.equal(target?.active, Math.min(...loads))
    }),
  )
})

test("connections that stay are spread by weight", () => {
  const { pool } = rig({ targets: [{ name: "a", weight: 3 }, { name: "b", weight: 2 }, "c"], policy: { kind } })
  assert.deepEqual(stay(pool, 600), { a: 300, b: 200, c: 100 })
})

test("short connections, which find everybody idle, are spread by weight too", () => {
  const { pool } = rig({ targets: [{ name: "a", weight: 3 }, { name: "b", weight: 2 }, "c"], policy: { kind } })
  const counts = tally(pick(pool, 600))
  for (const [name, expected] of [
    ["a", 300],
    ["b", 200],
    ["c", 100],
  ] as const) {
    assert.ok(Math.abs((counts[name] ?? 0) - expected) <= 2, JSON.stringify(counts))
  }
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
      const { pool } = rig({ targets: weights.map((weight, at) => ({ name: `t${at}`, weight })), policy: { kind } })
      const counts = passing(pool, 6_000, together)
      for (const [at, weight] of weights.entries()) {
        const part = (counts[at] as number) / 6_000
        assert.ok(Math.abs(part - weight / sum) < 0.01, `${weights.join(":")}, ${together} at a time: ${counts.join()}`)
      }
    }
  }
})

test("a target whose connections last ten times as long gets no more of them than the others at a time", () => {
  const { pool } = rig({ targets: ["a", "b"], policy: { kind } })
  const [slow, quick] = pool.targets as [Target, Target]
  let most = 0
  const running: { target: Target; until: number }[] = []
  for (let now = 0; now < 5_000; now++) {
    for (const { target, until } of running) if (until === now) target.active--
    const { target } = pool.choose({ client: "", tried: untried }) as { target: Target }
    target.active++
    running.push({ target, until: now + (target === slow ? 100 : 10) })
    most = Math.max(most, slow.active - quick.active)
  }
  assert.ok(most <= 1, `${most} more`)
})

test("a target that comes back from nothing is filled up at once, and only so far that it is even with the others", () => {
  const { pool } = rig({ targets: ["a", "b", "c"], policy: { kind } })
  for (const target of pool.targets.slice(0, 2)) target.active = 50
  assert.deepEqual(tally(stayers(pool, 50)), { c: 50 })
  const counts = tally(stayers(pool, 30))
  assert.deepEqual(counts, { a: 10, b: 10, c: 10 })
})

function stay(pool: Pool, count: number): Record<string, number> {
  return tally(stayers(pool, count))
}

function stayers(pool: Pool, count: number): string[] {
  return Array.from({ length: count }, () => {
    const { target } = pool.choose({ client: "", tried: untried }) as { target: Target }
    target.active++
    return short(target)
  })
}
