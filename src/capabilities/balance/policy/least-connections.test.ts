import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { pick, rig, short, tally, untried } from "../../../../test/kit/balance-pool.ts"
import type { Pool } from "../pool/pool.ts"
import type { Target } from "../target/target.ts"

const kind = "least-connections"

test("the target with the fewest connections for its weight is chosen", () => {
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
      const ratio = (at: number) => (wishes[at] as { load: number }).load / (wishes[at] as { weight: number }).weight
      const chosen = pool.targets.indexOf(target as Target)
      for (const at of wishes.keys()) assert.ok(ratio(chosen) <= ratio(at) + 1e-12)
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
