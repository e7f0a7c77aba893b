import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { clientAt, pick, rig, short, tally, untried, type Rig } from "../../../../test/kit/balance-pool.ts"
import type { Target } from "../target/target.ts"
import { shareOut } from "./levels.ts"

test("the first level that is well enough gets everything", () => {
  assert.deepEqual(shareOut([0.7, 1], 0.7), [1, 0])
  assert.deepEqual(shareOut([0, 1, 1], 0.7), [0, 1, 0])
  assert.deepEqual(shareOut([0, 0], 0.7), [0, 0])
  assert.deepEqual(shareOut([0.01, 1], 0), [1, 0])
})

test("what a level cannot cover goes to the next, and what none covers is shared by what each can", () => {
  assert.deepEqual(shareOut([0.35, 1], 0.7), [0.5, 0.5])
  const [first, second] = shareOut([0.07, 0.21], 0.7) as [number, number]
  assert.ok(Math.abs(first - 0.25) < 1e-9 && Math.abs(second - 0.75) < 1e-9)
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 5 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      (shares, spillBelow) => {
        const loads = shareOut(shares, spillBelow)
        const sum = loads.reduce((total, load) => total + load, 0)
        assert.ok(Math.abs(sum - (shares.some((share) => share > 0) ? 1 : 0)) < 1e-9)
        for (const [at, load] of loads.entries()) assert.ok(load >= 0 && (load === 0 || shares[at] !== 0))
      },
    ),
  )
})

test("a lower priority gets nothing while the first group is well, and its part when it is not", () => {
  const made = rig({ targets: [...group("a", 4, 0), ...group("b", 2, 1)] })
  assert.deepEqual(groups(made), { a: 10_000 })
  down(made, "a0")
  assert.deepEqual(groups(made), { a: 10_000 }, "three of four are enough")
  down(made, "a1")
  // 0.5 / 0.7 = 71 %.
  near(groups(made)["a"], 7143)
  down(made, "a2", "a3")
  assert.deepEqual(groups(made), { b: 10_000 })
  assert.equal(why(made), "spill")
  down(made, "b0", "b1")
  assert.deepEqual(groups(made), { none: 10_000 })
})

test("the share of a group that is well counts by weight", () => {
  const made = rig({ targets: [{ name: "a0", weight: 9 }, { name: "a1" }, { name: "b0", priority: 1 }] })
  down(made, "a1")
  assert.deepEqual(groups(made), { a: 10_000 })
  up(made)
  down(made, "a0")
  near(groups(made)["a"], 1429)
})

test("a group whose targets are all full or tried passes connections on to the next one", () => {
  const made = rig({ targets: [{ name: "a0", maxConnections: 1 }, { name: "a1" }, { name: "b0", priority: 1 }] })
  const [a0, a1, b0] = made.pool.targets as [Target, Target, Target]
  a0.active = 1
  assert.deepEqual(made.pool.choose({ client: "", tried: new Set([a1]) }), { target: b0, why: "retry 1" })
  assert.deepEqual(made.pool.choose({ client: "", tried: new Set([a1, b0]) }), { target: undefined, obstacle: "full" })
})

test("what the operator has taken out makes no group look sick", () => {
  const made = rig({ targets: [...group("a", 4, 0), ...group("b", 2, 1)], panicBelow: 0.5 })
  for (const target of made.pool.targets.slice(0, 3)) target.orders = "drain"
  made.pool.changed()
  assert.deepEqual(groups(made), { a: 10_000 })
  assert.equal(made.pool.panic, false)
  ;(made.pool.targets[3] as Target).orders = "disable"
  made.pool.changed()
  assert.deepEqual(groups(made), { b: 10_000 })
  assert.equal(why(made), "round-robin", "b is what there is now")
})

test("clients that are kept together spill together: the same clients go to the next group each time", () => {
  const made = rig({ targets: [...group("a", 4, 0), ...group("b", 2, 1)], policy: { kind: "hash" } })
  down(made, "a0", "a1")
  const names = pick(made.pool, 1000, clientAt)
  assert.deepEqual(pick(made.pool, 1000, clientAt), names)
  near(tally(names.map((name) => name[0] as string))["a"], 714)
})

test("panic: when too few are usable, all are used, but for those that the operator took out", () => {
  const made = rig({ targets: group("a", 5, 0), panicBelow: 0.5 })
  ;(made.pool.targets[4] as Target).orders = "disable"
  down(made, "a0", "a1")
  assert.equal(made.pool.panic, false)
  assert.deepEqual(Object.keys(tally(pick(made.pool, 100))).toSorted(), ["a2", "a3"])
  down(made, "a2")
  assert.equal(made.pool.panic, true)
  assert.equal(made.pool.usableCount(), 1)
  assert.deepEqual(tally(pick(made.pool, 100)), { a0: 25, a1: 25, a2: 25, a3: 25 })
  assert.equal(why(made), "panic")
  up(made)
  assert.equal(made.pool.panic, false)
})

test("panic at 0 never comes: when nobody is usable there is no target", () => {
  const made = rig({ targets: group("a", 2, 0) })
  down(made, "a0", "a1")
  assert.equal(made.pool.panic, false)
  assert.deepEqual(made.pool.choose({ client: "", tried: untried }), { target: undefined, obstacle: "none" })
})

test("a group that is well keeps the others from panic", () => {
  const made = rig({ targets: [...group("a", 4, 0), ...group("b", 2, 1)], panicBelow: 0.5 })
  down(made, "a0", "a1", "a2", "a3")
  assert.equal(made.pool.panic, false)
  assert.deepEqual(groups(made), { b: 10_000 })
  down(made, "b0", "b1")
  assert.equal(made.pool.panic, true)
  assert.deepEqual(groups(made), { a: 10_000 })
})

test("targets of our zone come first, and others help when too few of them are well", () => {
  const made = rig({
    targets: [
      { name: "a0", zone: "here" },
      { name: "b0", zone: "there" },
      { name: "a1", zone: "here" },
      { name: "b1" },
      { name: "c0", zone: "here", priority: 1 },
    ],
    policy: { locality: "zone" },
    zone: "here",
  })
  assert.deepEqual(groups(made), { a: 10_000 })
  down(made, "a0")
  near(groups(made)["a"], 7143)
  assert.equal(groups(made)["c"], undefined, "priority goes before nearness")
  down(made, "a1")
  assert.deepEqual(groups(made), { b: 10_000 })
})

test("without a zone of our own, zones mean nothing", () => {
  const made = rig({ targets: [{ name: "a0", zone: "x" }, { name: "b0" }], policy: { locality: "zone" } })
  assert.deepEqual(groups(made), { a: 5000, b: 5000 })
})

test("measured distance: the nearest come first, and who was never measured is tried", () => {
  const made = rig({ targets: ["a0", "a1", "b0", "b1"], policy: { locality: "rtt" } })
  const [a0, a1, b0, b1] = made.pool.targets as [Target, Target, Target, Target]
  assert.deepEqual(groups(made), { a: 5000, b: 5000 })
  a0.distanceMs = 1
  a1.distanceMs = 2.5
  b0.distanceMs = 20
  made.clock.advance(1000)
  assert.deepEqual(tally(pick(made.pool, 300)), { a0: 100, a1: 100, b1: 100 })
  b1.distanceMs = 35
  made.clock.advance(1000)
  assert.deepEqual(groups(made), { a: 10_000 })
  down(made, "a0", "a1")
  assert.deepEqual(groups(made), { b: 10_000 })
})

test("slow start: who comes back begins with a tenth of its part and has all of it in time", () => {
  const made = rig({ targets: ["a0", "b0"], slowStartMs: 10_000, policy: { kind: "random" } })
  assert.deepEqual(made.pool.targets[0]?.usableSince, 0)
  near(groups(made)["b"], 5000)
  down(made, "b0")
  pick(made.pool, 1)
  up(made)
  near(groups(made)["b"], 909)
  made.clock.advance(5000)
  near(groups(made)["b"], 3333)
  made.clock.advance(5000)
  near(groups(made)["b"], 5000)
})

test("slow start: who is added at run time begins slowly, who was there at the start does not", () => {
  const made = rig({ targets: ["a0"], slowStartMs: 10_000, policy: { kind: "random" } })
  made.pool.update(made.app(["a0", "b0"]))
  near(groups(made)["b"], 909)
  made.clock.advance(10_000)
  near(groups(made)["b"], 5000)
})

test("slow start: a target in panic that gets well starts slowly from that moment", () => {
  const made = rig({ targets: ["a0", "b0"], slowStartMs: 10_000, panicBelow: 0.6, policy: { kind: "random" } })
  down(made, "b0")
  assert.equal(made.pool.panic, true)
  made.clock.advance(60_000)
  up(made)
  near(groups(made)["b"], 909)
})

test("slow start counts from the moment that a check gave, not from the next connection", () => {
  const made = rig({ targets: ["a0", "b0"], slowStartMs: 10_000, policy: { kind: "random" } })
  down(made, "b0")
  pick(made.pool, 1)
  made.clock.advance(1000)
  ;(made.pool.targets[1] as Target).usableSince = made.clock.now()
  up(made)
  made.clock.advance(5000)
  near(groups(made)["b"], 3333)
})

test("slow start: a target that is alone gets all", () => {
  const made = rig({ targets: ["a0"], slowStartMs: 10_000 })
  down(made, "a0")
  pick(made.pool, 1)
  up(made)
  assert.deepEqual(groups(made), { a: 10_000 })
})

test("the search leaves nobody out: whatever the state, a target that may be used is found", () => {
  const state = fc.record({
    priority: fc.nat(2),
    weight: fc.nat(3),
    maxConnections: fc.constantFrom(undefined, 0, 1),
    healthy: fc.boolean(),
    tried: fc.boolean(),
  })
  const kinds = ["round-robin", "random", "least-connections", "peak-ewma", "hash"] as const
  fc.assert(
    fc.property(
      fc.array(state, { maxLength: 8 }),
      fc.constantFrom(...kinds),
      fc.constantFrom(0, 0.5),
      (states, kind, panicBelow) => {
        const { pool, clock } = rig({
          targets: states.map(({ priority, weight, maxConnections }, at) => ({
            name: `t${at}`,
            priority,
            weight,
            maxConnections,
          })),
          policy: { kind, bound: kind === "hash" ? 1.2 : undefined },
          panicBelow,
        })
        const tried = new Set<Target>()
        for (const [at, target] of pool.targets.entries()) {
          target.healthy = (states[at] as { healthy: boolean }).healthy
          if ((states[at] as { tried: boolean }).tried) tried.add(target)
        }
        pool.changed()
        const may = (target: Target) =>
          target.settings.weight > 0 && (pool.panic || target.healthy) && !tried.has(target)
        const free = pool.targets.filter((target) => may(target) && !target.isFull)
        for (let turn = 0; turn < 5; turn++) {
          const choice = pool.choose({ client: clientAt(turn), tried })
          if (choice.target === undefined) {
            assert.equal(free.length, 0)
            assert.equal(choice.obstacle, pool.targets.some(may) ? "full" : "none")
          } else assert.ok(free.includes(choice.target))
        }
        assert.equal(
          pool.usableCount(),
          pool.targets.filter((target) => [undefined, "full"].includes(target.obstacle(clock.now()))).length,
        )
      },
    ),
    { numRuns: 300 },
  )
})

function group(letter: string, count: number, priority: number): { name: string; priority: number }[] {
  return Array.from({ length: count }, (_, at) => ({ name: `${letter}${at}`, priority }))
}

/** How many of 10,000 connections go to the targets of each letter. */
function groups({ pool }: Rig): Record<string, number> {
  return tally(pick(pool, 10_000).map((name) => (name === "none" ? name : (name[0] as string))))
}

function why({ pool }: Rig): string | undefined {
  const choice = pool.choose({ client: "10.0.0.1", tried: untried })
  return choice.target === undefined ? undefined : choice.why
}

function down({ pool }: Rig, ...names: string[]): void {
  for (const target of pool.targets) if (names.includes(short(target))) target.healthy = false
  pool.changed()
}

function up({ pool }: Rig): void {
  for (const target of pool.targets) target.healthy = true
  pool.changed()
}

/** Within 4 standard deviations, roughly. */
function near(actual: number | undefined, expected: number): void {
  assert.ok(Math.abs((actual ?? 0) - expected) < 4 * Math.sqrt(expected), `${actual} instead of about ${expected}`)
}
