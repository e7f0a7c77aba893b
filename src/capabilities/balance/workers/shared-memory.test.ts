import assert from "node:assert/strict"
import { test } from "node:test"
import { appOf, settingsOf, targetOf } from "../../../../test/kit/balance-rig.ts"
import type { Settings } from "../config/settings.ts"
import { Tally } from "../limit/tally.ts"
import { CounterPlan, counterName, Ids, SharedSeats, shareMemory } from "./shared-memory.ts"

function setUp() {
  const settings = (names: readonly string[], ports: readonly number[]) =>
    settingsOf(
      names.map((name, at) => ({
        ...appOf(
          80 + at,
          ports.map((port) => targetOf(port)),
        ),
        name,
      })),
    )
  const memory = shareMemory(2, settings(["web"], [1]))
  const [one, two] = [0, 1].map((loop) => new Tally(memory.cells, memory.tally, loop)) as [Tally, Tally]
  return { settings, memory, one, two }
}

test("a count keeps its place through reloads as long as it is there, and while somebody is counted", () => {
  const { settings, one } = setUp()
  const plan = new CounterPlan(one, 13)
  const files = [
    settings(["web"], [1, 2]),
    settings(["web", "mail"], [1]),
    settings(["web", "mail"], [1, 3]),
    settings(["web", "mail", "more"], [1, 3]),
  ] as const
  const first = plan.follow(files[0], files[0])
  const gone = first.get(counterName("target", "web", "127.0.0.1:2")) as number
  const second = plan.follow(files[1], files[0])
  assert.ok(second.has(counterName("target", "web", "127.0.0.1:2")), "loops may take it until they have the new file")
  one.take(gone, undefined)
  const third = plan.follow(files[2], files[1])
  for (const [name, place] of second) assert.equal(third.get(name), place)
  one.give(gone)
  const fourth = plan.follow(files[3], files[2])
  assert.equal(new Set(fourth.values()).size, fourth.size, "a place twice")
  assert.ok([...fourth.values()].includes(gone), "the place is used again")
})

test("a place that came free is used again as late as possible", () => {
  const { settings, one } = setUp()
  const plan = new CounterPlan(one, 8)
  const files = [1, 2, 3, 4, 5].map((port) => settings(["web"], [port])) as [Settings, ...Settings[]]
  const places = files.map((file, at) =>
    plan.follow(file, files[Math.max(0, at - 1)] as Settings).get(counterName("target", "web", `127.0.0.1:${at + 1}`)),
  )
  assert.deepEqual(places, [3, 4, 5, 6, 7])
  const after = plan.follow(settings(["web"], [6]), files[4] as Settings)
  assert.equal(after.get(counterName("target", "web", "127.0.0.1:6")), 3)
})

test("a file with more counts than there are places changes nothing", () => {
  const { settings, one } = setUp()
  const plan = new CounterPlan(one, 8)
  const file = settings(["web"], [1, 2])
  const before = plan.follow(file, file)
  assert.throws(() => plan.follow(settings(["a", "b", "c"], [1, 2, 3]), file), { code: "limit" })
  assert.deepEqual(plan.follow(file, file), before)
})

test("seats of all loops count as one, and a dead loop's come back", () => {
  const { one, two } = setUp()
  const [here, there] = [new SharedSeats(one, 3), new SharedSeats(two, 3)]
  assert.deepEqual([here.take(2), there.take(2), here.take(2), there.take(2)], [true, true, false, false])
  assert.equal(here.taken, 2)
  one.release(1)
  assert.deepEqual([here.taken, here.take(2), here.take(2)], [1, true, false])
})

test("no id comes twice, whichever loop gives it out", () => {
  const { memory } = setUp()
  const loops = [new Ids(memory.ids), new Ids(memory.ids), new Ids(memory.ids)]
  const given = Array.from({ length: 9_000 }, (_, at) => loops[at % 3]?.next())
  assert.equal(new Set(given).size, 9_000)
})
