import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { clientAt, pick, rig, short, tally, untried, type Rig } from "../../../../test/kit/balance-pool.ts"
import type { Target } from "../target/target.ts"

const clients = 10_000

test("a client stays at its target, whichever balancer it comes to and in whichever order the targets are named", () => {
  const one = hashed(five)
  const other = hashed(five.toReversed(), { seed: 99 })
  const first = homes(one)
  assert.deepEqual(homes(one), first)
  assert.deepEqual(homes(other), first)
  assert.deepEqual(first.slice(0, 8), ["e", "a", "d", "c", "a", "d", "a", "e"])
})

test("a client is the same by IPv4 and by IPv4 in IPv6", () => {
  const { pool } = hashed(five)
  for (let at = 0; at < 200; at++) {
    assert.deepEqual(
      pick(pool, 1, () => `::ffff:${clientAt(at)}`),
      pick(pool, 1, () => clientAt(at)),
    )
  }
})

test("clients are spread by weight", () => {
  const counts = tally(homes(hashed([{ name: "a", weight: 3 }, "b", { name: "c", weight: 6 }])))
  for (const [name, part] of Object.entries({ a: 0.3, b: 0.1, c: 0.6 })) {
    assert.ok(Math.abs((counts[name] ?? 0) / clients - part) < 0.015, JSON.stringify(counts))
  }
})

test("when a target is down only its clients move, to all others evenly, and they are back when it is", () => {
  const states = fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }).filter((up) => up.includes(true))
  const made = hashed(five)
  const all = homes(made)
  fc.assert(
    fc.property(states, (up) => {
      for (const [at, target] of made.pool.targets.entries()) target.healthy = up[at] as boolean
      made.pool.changed()
      const isUp = new Map(made.pool.targets.map(({ name, healthy }) => [name.slice(4), healthy]))
      for (const [at, name] of homes(made).entries()) {
        if (isUp.get(all[at] as string) === true) assert.equal(name, all[at])
        else assert.equal(isUp.get(name), true)
      }
    }),
    { numRuns: 12 },
  )
  for (const target of made.pool.targets) target.healthy = target.name !== "rdv:c"
  made.pool.changed()
  const moved = tally(homes(made).filter((_, at) => all[at] === "c"))
  const each = (tally(all)["c"] ?? 0) / 4
  for (const name of ["a", "b", "d", "e"]) assert.ok(Math.abs((moved[name] ?? 0) - each) < 5 * Math.sqrt(each))
})

test("when a target leaves the file or comes into it, hardly more clients move than its own", () => {
  const made = hashed(five)
  const before = homes(made)
  made.pool.update(made.app(five.filter((name) => name !== "c")))
  const without = homes(made)
  const strangers = without.filter((name, at) => before[at] !== "c" && name !== before[at]).length
  assert.ok(strangers / clients < 0.01, `${strangers}`)
  made.pool.update(made.app(five))
  assert.deepEqual(homes(made), before)
})

test("drained, full, tried and ejected targets lose their clients alone, too", () => {
  const made = hashed(["a", "b", { name: "c", maxConnections: 1 }, "d"])
  const all = homes(made, 500)
  const [a, b, c, d] = made.pool.targets as [Target, Target, Target, Target]
  a.orders = "drain"
  b.ejectedUntil = made.clock.now() + 1
  c.active = 1
  made.pool.changed()
  assert.deepEqual(tally(homes(made, 500)), { d: 500 })
  assert.deepEqual(made.pool.choose({ client: "", tried: new Set([d]) }), { target: undefined, obstacle: "full" })
  a.orders = "serve"
  made.clock.advance(1)
  c.active = 0
  made.pool.changed()
  assert.deepEqual(homes(made, 500), all)
})

test("it is told when a client is not at its own target", () => {
  const { pool } = hashed(["a", "b"])
  const why = () =>
    Array.from({ length: 100 }, (_, at) => pool.choose({ client: clientAt(at), tried: untried }) as { why: string })
  assert.deepEqual([...new Set(why().map((choice) => choice.why))], ["hash"])
  ;(pool.targets[0] as Target).healthy = false
  pool.changed()
  assert.deepEqual([...new Set(why().map((choice) => choice.why))].toSorted(), ["hash", "hash-next"])
})

test("with a bound no target gets more than so many times its share, however uneven the clients are", () => {
  const cases = fc.record({
    bound: fc.constantFrom(1, 1.1, 1.25, 2),
    weights: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 8 }),
    // A few clients bring nearly everything.
    visits: fc.array(fc.nat(3), { minLength: 50, maxLength: 300 }),
  })
  fc.assert(
    fc.property(cases, ({ bound, weights, visits }) => {
      const { pool } = hashed(
        weights.map((weight, at) => ({ name: `t${at}`, weight })),
        { policy: { bound } },
      )
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      for (const [at, visit] of visits.entries()) {
        const { target } = pool.choose({ client: clientAt(visit), tried: untried }) as { target: Target }
        target.active++
        const most = Math.ceil((bound * (at + 1) * target.settings.weight) / total)
        assert.ok(target.active <= most, `${target.active} of ${most}`)
      }
    }),
    { numRuns: 50 },
  )
})

test("with a bound of 1.25 most clients of an even crowd are at home all the same", () => {
  const free = hashed(five)
  const own = homes(free, 2000)
  const { pool } = hashed(five, { policy: { bound: 1.25 } })
  let home = 0
  for (const [at, name] of own.entries()) {
    const { target } = pool.choose({ client: clientAt(at), tried: untried }) as { target: Target }
    target.active++
    if (short(target) === name) home++
  }
  assert.ok(home / own.length > 0.97, `${home}`)
})

test("when hardly anybody of many is up, clients are still spread and still stay", () => {
  const made = hashed(Array.from({ length: 600 }, (_, at) => `t${at}`))
  for (const [at, target] of made.pool.targets.entries()) target.healthy = at === 17 || at === 400
  made.pool.changed()
  const names = homes(made, 2000)
  assert.deepEqual(homes(made, 2000), names)
  const counts = tally(names)
  assert.deepEqual(Object.keys(counts).toSorted(), ["t17", "t400"])
  assert.ok(Math.abs((counts["t17"] ?? 0) - 1000) < 150, JSON.stringify(counts))
})

test("in slow start a target takes its own clients back part by part", () => {
  const made = hashed(five, { slowStartMs: 10_000 })
  const all = homes(made, 2000)
  const own = all.filter((name) => name === "c").length
  const c = made.pool.targets[2] as Target
  c.healthy = false
  made.pool.changed()
  pick(made.pool, 1)
  c.healthy = true
  made.pool.changed()
  let before = new Set<number>()
  for (const part of [0.1, 0.5, 0.8]) {
    made.clock.advance(part === 0.1 ? 0 : part * 10_000 - (made.clock.now() - c.usableSince))
    const names = homes(made, 2000)
    const there = new Set([...names.keys()].filter((at) => names[at] === "c"))
    assert.ok(Math.abs(there.size / own - part) < 0.08, `${there.size} of ${own} at ${part}`)
    for (const at of before) assert.ok(there.has(at), "who is back stays")
    for (const [at, name] of names.entries()) assert.ok(name === all[at] || all[at] === "c")
    before = there
  }
  made.clock.advance(10_000)
  assert.deepEqual(homes(made, 2000), all)
})

const five = ["a", "b", "c", "d", "e"]

function hashed(
  targets: Parameters<typeof rig>[0]["targets"],
  more: { policy?: { bound: number }; seed?: number; slowStartMs?: number } = {},
): Rig {
  return rig({ ...more, targets, policy: { kind: "hash", ...more.policy } })
}

function homes({ pool }: Rig, count = clients): string[] {
  return pick(pool, count, clientAt)
}
