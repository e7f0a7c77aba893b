import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { pick, rig, short, tally, untried } from "../../../../test/kit/balance-pool.ts"
import type { Target } from "../target/target.ts"

const weights = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 })
const seed = fc.integer({ min: 0, max: 1_000_000 })

test("in any run of as many connections as the weights sum up to, each target gets exactly its weight", () => {
  fc.assert(
    fc.property(weights, seed, fc.nat(50), (parts, from, skipped) => {
      const { pool } = rig({ targets: named(parts), seed: from })
      const total = parts.reduce((sum, part) => sum + part, 0)
      pick(pool, skipped)
      const counts = tally(pick(pool, total))
      assert.deepEqual(counts, Object.fromEntries(parts.map((part, at) => [letter(at), part])))
    }),
  )
})

test("a heavy target's turns are spread out", () => {
  const { pool } = rig({ targets: named([5, 1, 1]) })
  const text = pick(pool, 70).join("")
  assert.ok(!text.includes("aaaaa"), text)
  fc.assert(
    fc.property(weights, seed, (parts, from) => {
      const { pool: other } = rig({ targets: named(parts), seed: from })
      const total = parts.reduce((sum, part) => sum + part, 0)
      const names = pick(other, total * 2)
      // At every moment each is within the number of targets of its exact part; in practice within 1 or 2.
      const counts: Record<string, number> = {}
      for (const [at, name] of names.entries()) {
        counts[name] = (counts[name] ?? 0) + 1
        for (const [index, part] of parts.entries()) {
          const exact = ((at + 1) * part) / total
          assert.ok(Math.abs((counts[letter(index)] ?? 0) - exact) < parts.length)
        }
      }
    }),
  )
})

test("many balancers do not all begin with the same target", () => {
  for (const parts of [
    [1, 1, 1, 1],
    [3, 2, 2, 1],
  ]) {
    const first = Array.from({ length: 40 }, (_, at) => pick(rig({ targets: named(parts), seed: at }).pool, 1)[0])
    assert.equal(new Set(first).size, 4)
  }
})

test("a target that was full makes nothing up for it later", () => {
  const { pool } = rig({ targets: [{ name: "a", weight: 2, maxConnections: 1 }, "b", "c"] })
  const [a] = pool.targets as [Target]
  a.active = 1
  assert.deepEqual(tally(pick(pool, 100)), { b: 50, c: 50 })
  a.active = 0
  assert.deepEqual(tally(pick(pool, 8)), { a: 4, b: 2, c: 2 })
})

test("the rotation goes on where it was when a target comes or leaves", () => {
  const { pool } = rig({ targets: named([1, 1, 1, 1]) })
  const flapping = pool.targets[3] as Target
  const seen: string[] = []
  for (let round = 0; round < 300; round++) {
    seen.push(...pick(pool, 1))
    flapping.healthy = !flapping.healthy
    pool.changed()
  }
  const counts = tally(seen)
  for (const name of ["a", "b", "c"]) assert.ok((counts[name] ?? 0) >= 75, JSON.stringify(counts))
})

test("what a dead target would have got is spread evenly over the others", () => {
  const { pool } = rig({ targets: named([1, 1, 1]) })
  const dead = pool.targets[2]
  const counts: Record<string, number> = {}
  for (let connection = 0; connection < 300; connection++) {
    let { target } = pool.choose({ client: "", tried: untried })
    if (target === dead) ({ target } = pool.choose({ client: "", tried: new Set([target as Target]) }))
    const name = short(target as Target)
    counts[name] = (counts[name] ?? 0) + 1
  }
  assert.deepEqual(counts, { a: 150, b: 150 })
})

test("random: each target gets its weight's part of many connections", () => {
  const { pool } = rig({ targets: named([1, 2, 7]), policy: { kind: "random" } })
  const counts = tally(pick(pool, 20_000))
  near(counts["a"], 2000)
  near(counts["b"], 4000)
  near(counts["c"], 14_000)
})

test("random: those that are full or tried are never drawn, and the others keep their proportions", () => {
  const { pool } = rig({
    targets: [{ name: "a", weight: 1000, maxConnections: 0 }, "b", { name: "c", weight: 3 }, "d"],
    policy: { kind: "random" },
  })
  const tried = new Set([pool.targets[3] as Target])
  const names = Array.from({ length: 8000 }, () => short(pool.choose({ client: "", tried }).target as Target))
  const counts = tally(names)
  assert.deepEqual(Object.keys(counts).toSorted(), ["b", "c"])
  near(counts["b"], 2000)
  near(counts["c"], 6000)
})

/** Within 4 standard deviations of a binomial count, roughly. */
function near(actual: number | undefined, expected: number): void {
  assert.ok(Math.abs((actual ?? 0) - expected) < 4 * Math.sqrt(expected), `${actual} instead of about ${expected}`)
}

function named(parts: readonly number[]): { name: string; weight: number }[] {
  return parts.map((weight, at) => ({ name: letter(at), weight }))
}

function letter(at: number): string {
  return String.fromCharCode(97 + at)
}
