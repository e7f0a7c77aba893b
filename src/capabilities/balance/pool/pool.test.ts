import assert from "node:assert/strict"
import { test } from "node:test"
import { pick, rig, short, untried } from "../../../../test/kit/balance-pool.ts"
import type { Target } from "../target/target.ts"
import type { Choice } from "./pool.ts"

test("round robin takes the targets one after the other", () => {
  const { pool } = rig({ targets: ["a", "b", "c"] })
  const names = pick(pool, 9)
  assert.equal(new Set(names.slice(0, 3)).size, 3)
  assert.deepEqual(names.slice(3, 6), names.slice(0, 3))
  assert.deepEqual(names.slice(6), names.slice(0, 3))
})

test("a target that is down, ejected, open, drained or disabled gets nothing, and gets its part again afterwards", () => {
  const { pool, clock } = rig({ targets: ["a", "b"] })
  const [a] = pool.targets as [Target]
  const ways: [string, (bad: boolean) => void][] = [
    ["down", (bad) => (a.healthy = !bad)],
    ["ejected", (bad) => (a.ejectedUntil = bad ? clock.now() + 1000 : 0)],
    ["open", (bad) => (a.open = bad)],
    ["drained", (bad) => (a.orders = bad ? "drain" : "serve")],
    ["disabled", (bad) => (a.orders = bad ? "disable" : "serve")],
    ["weightless", (bad) => (a.settings = { ...a.settings, weight: bad ? 0 : 1 })],
  ]
  for (const [name, set] of ways) {
    set(true)
    pool.changed()
    assert.deepEqual(pick(pool, 3), ["b", "b", "b"], name)
    assert.equal(pool.usableCount(), 1)
    set(false)
    pool.changed()
    assert.deepEqual(pick(pool, 4).toSorted(), ["a", "a", "b", "b"], name)
    assert.equal(pool.usableCount(), 2)
  }
})

test("an ejection ends by the clock, without a word", () => {
  const { pool, clock } = rig({ targets: ["a", "b"] })
  ;(pool.targets[0] as Target).ejectedUntil = clock.now() + 1000
  pool.changed()
  clock.advance(999)
  assert.deepEqual(pick(pool, 2), ["b", "b"])
  clock.advance(1)
  assert.deepEqual(pick(pool, 2).toSorted(), ["a", "b"])
})

test("what was tried is not chosen again; when all were tried there is no target", () => {
  const { pool } = rig({ targets: ["a", "b", "c"] })
  const tried = new Set<Target>()
  const whys: string[] = []
  for (let turn = 0; turn < 3; turn++) {
    const { target, why } = pool.choose({ client: "10.0.0.1", tried }) as Choice & { target: Target }
    assert.ok(!tried.has(target))
    tried.add(target)
    whys.push(why)
  }
  assert.deepEqual(whys, ["round-robin", "retry 1", "retry 2"])
  assert.deepEqual(pool.choose({ client: "10.0.0.1", tried }), { target: undefined, obstacle: "none" })
})

test("full targets are skipped; when all that is left is full, it says so", () => {
  const { pool } = rig({ targets: [{ name: "a", maxConnections: 2 }, { name: "b", maxConnections: 1 }, "c"] })
  const [a, b, c] = pool.targets as [Target, Target, Target]
  a.active = 1
  a.pending = 1
  b.active = 1
  assert.deepEqual(pick(pool, 2), ["c", "c"])
  const tried = new Set([c])
  assert.deepEqual(pool.choose({ client: "", tried }), { target: undefined, obstacle: "full" })
  tried.add(a)
  tried.add(b)
  assert.deepEqual(pool.choose({ client: "", tried }), { target: undefined, obstacle: "none" })
  a.pending = 0
  assert.deepEqual(pick(pool, 2).toSorted(), ["a", "c"])
})

test("without targets there is nothing to choose", () => {
  const { pool } = rig({ targets: [] })
  assert.deepEqual(pool.choose({ client: "", tried: untried }), { target: undefined, obstacle: "none" })
  assert.equal(pool.panic, false)
  assert.equal(pool.usableCount(), 0)
})

test("a reload keeps the targets by name with all that is known of them, and marks those that left", () => {
  const { pool, app } = rig({ targets: ["a", "b"] })
  const [a, b] = pool.targets as [Target, Target]
  a.active = 7
  b.orders = "drain"
  const change = pool.update(app(["c", { name: "b", weight: 5 }]))
  assert.deepEqual(
    { added: change.added.map(short), removed: change.removed.map(short), kept: change.kept.map(short) },
    { added: ["c"], removed: ["a"], kept: ["b"] },
  )
  assert.deepEqual(pool.targets.map(short), ["c", "b"])
  assert.equal(pool.targets[1], b)
  assert.equal(b.settings.weight, 5)
  assert.equal(b.orders, "drain", "the operator's word stays while the file's is the same")
  assert.ok(a.removed)
  assert.equal(a.active, 7)
  assert.deepEqual(pick(pool, 2), ["c", "c"])
})

test("what a reload says anew about disabled overrides the operator", () => {
  const { pool, app } = rig({ targets: ["a", { name: "b", disabled: true }] })
  const [a, b] = pool.targets as [Target, Target]
  assert.equal(b.orders, "disable")
  b.orders = "serve"
  pool.update(app(["a", { name: "b", disabled: true }]))
  assert.equal(b.orders, "serve")
  pool.update(app([{ name: "a", disabled: true }, "b"]))
  assert.equal(a.orders, "disable")
  assert.equal(b.orders, "serve")
})

test("of two targets with one name the first counts", () => {
  const { pool } = rig({ targets: [{ name: "a", weight: 2 }, { name: "a", weight: 3 }, "b"] })
  assert.deepEqual(pool.targets.map(short), ["a", "b"])
  assert.equal(pool.targets[0]?.settings.weight, 2)
})
