import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { SwarmSimulation } from "../../../../test/kit/swarm-simulation.ts"
import { Bitmap } from "../content/bitmap.ts"

const MB = 1e6
const chunkBytes = 262_144

function fleet(simulation: SwarmSimulation, receivers: number, uplink: number, sender = uplink): void {
  simulation.add("sender", { full: true, up: sender })
  for (let at = 0; at < receivers; at++) simulation.add(`r${at}`, { up: uplink })
}

for (const receivers of [1, 10, 50]) {
  test(`with limited uplinks, ${receivers} receivers take hardly longer than what is possible`, async () => {
    const simulation = new SwarmSimulation({ chunks: 400, relayUp: 1 })
    fleet(simulation, receivers, 10 * MB)
    for (const name of simulation.members.keys()) simulation.scheduler.relayPath(name, "down")
    simulation.scheduler.carrier("direct")
    simulation.mesh(receivers > 16 ? 24 : Infinity)
    const took = await simulation.run()
    const bytes = 400 * chunkBytes
    const bound = Math.max(bytes / (10 * MB), (receivers * bytes) / (10 * MB + receivers * 10 * MB)) * 1000
    assert.ok(took <= bound * (receivers > 16 ? 1.15 : 1.1), `${(took / bound).toFixed(3)} of the bound`)
    assert.ok(simulation.scheduler.stats().duplicates <= 400 * 0.02 + 4)
  })
}

test("through the relay alone, each chunk leaves the sender once, with a cache of 8 MiB for 100 receivers", async () => {
  const simulation = new SwarmSimulation({ chunks: 400, cacheBytes: 32 * chunkBytes, relayUp: 1_000 * MB })
  fleet(simulation, 100, 100 * MB)
  const took = await simulation.run()
  assert.ok(simulation.relayDown.bytes <= 1.05 * 400 * chunkBytes, `${simulation.relayDown.bytes / chunkBytes} fetched`)
  const bound = ((100 * 400 * chunkBytes) / (1_000 * MB)) * 1000
  assert.ok(took <= 1.1 * bound)
})

test("a cache of less than a hundredth of the content is enough", async () => {
  const simulation = new SwarmSimulation({ chunks: 1_000, cacheBytes: 8 * chunkBytes, relayUp: 1_000 * MB })
  fleet(simulation, 20, 100 * MB)
  await simulation.run()
  assert.ok(
    simulation.relayDown.bytes <= 1.05 * 1_000 * chunkBytes,
    `${simulation.relayDown.bytes / chunkBytes} fetched`,
  )
})

test("a slow receiver makes nobody else slow", async () => {
  const run = async (slow: boolean) => {
    const simulation = new SwarmSimulation({ chunks: 400, cacheBytes: 64 * chunkBytes, relayUp: 1_000 * MB })
    fleet(simulation, 50, 100 * MB)
    if (slow) simulation.add("slow", { down: 100_000 })
    return simulation.run(() =>
      [...simulation.members.values()].every(({ name, have }) => name === "slow" || have.isFull),
    )
  }
  const alone = await run(false)
  const beside = await run(true)
  assert.ok(beside <= alone * 1.1, `${alone} ${beside}`)
})

test("whoever comes late gets the rest from the others, and the sender is spared", async () => {
  const simulation = new SwarmSimulation({ chunks: 200, cacheBytes: 8 * chunkBytes })
  fleet(simulation, 5, 100 * MB, 10 * MB)
  await simulation.run()
  const before = (simulation.members.get("sender") as { up: { bytes: number } }).up.bytes
  simulation.add("late", {})
  await simulation.run()
  const after = (simulation.members.get("sender") as { up: { bytes: number } }).up.bytes
  assert.ok(after - before < 0.3 * 200 * chunkBytes, `${(after - before) / chunkBytes} chunks of the sender`)
})

test("the sender may leave when each chunk is elsewhere", async () => {
  const simulation = new SwarmSimulation({ chunks: 300, relayUp: 1 })
  fleet(simulation, 10, 10 * MB)
  for (const name of simulation.members.keys()) simulation.scheduler.relayPath(name, "down")
  simulation.scheduler.carrier("direct")
  simulation.mesh()
  await simulation.run(() =>
    simulation.scheduler
      .stats()
      .copies.slice(0, 2)
      .every((chunks) => chunks === 0),
  )
  simulation.remove("sender")
  await simulation.run()
})

test("a third of the receivers vanishes half way, and all others finish soon", async () => {
  const simulation = new SwarmSimulation({ chunks: 400, relayUp: 50 * MB })
  fleet(simulation, 30, 10 * MB)
  simulation.scheduler.carrier("direct")
  simulation.mesh(16)
  await simulation.run(() => (simulation.members.get("r0")?.have.count ?? 0) > 200)
  for (let at = 0; at < 30; at += 3) simulation.remove(`r${at}`)
  const took = await simulation.run(undefined, 60_000)
  assert.ok(took < 12_000, `${took} ms`)
})

test("holders that never answer are asked less and less", async () => {
  const simulation = new SwarmSimulation({ chunks: 200, relayUp: 100 * MB })
  for (const name of ["a", "b", "c"]) {
    simulation.add(name, { full: true })
    simulation.silent.add(name)
  }
  fleet(simulation, 2, 10 * MB)
  const took = await simulation.run()
  assert.ok(took < 30_000, `${took} ms`)
})

test("what nobody has is waited for, and comes when its holder returns", async () => {
  const simulation = new SwarmSimulation({ chunks: 50, cacheBytes: 4 * chunkBytes, relayUp: 100 * MB })
  fleet(simulation, 3, 10 * MB)
  await simulation.run(() => (simulation.members.get("r0")?.have.count ?? 0) > 20)
  simulation.remove("sender")
  await simulation.run(() => simulation.scheduler.stats().underWay === 0, 60_000)
  const missing = simulation.scheduler.stats().copies[0] as number
  assert.ok(missing > 0 && missing < 30)
  simulation.add("sender", { full: true, up: 10 * MB })
  await simulation.run()
})

test("whoever comes late to a large content that many have gets all of it", async () => {
  const simulation = new SwarmSimulation({ chunks: 6_000, chunkBytes: 65_536, cacheBytes: 32 * 65_536 })
  for (let at = 0; at < 20; at++) simulation.add(`r${at}`, { full: true })
  simulation.add("late")
  const took = await simulation.run(undefined, 60_000)
  assert.ok(took < 10_000, `${took} ms`)
})

test("thousands of rare chunks that a member has keep nothing else from it", async () => {
  for (const carrier of ["relay", "direct"] as const) {
    const simulation = new SwarmSimulation({ chunks: 10_000, chunkBytes: 65_536, cacheBytes: 64 * 65_536 })
    for (const name of ["b", "c"]) {
      const { have } = simulation.add(name)
      for (let chunk = 0; chunk < 10_000; chunk++) if (chunk === 0 || chunk >= 5_000) have.add(chunk)
      for (let chunk = 0; chunk < 10_000; chunk++) if (have.has(chunk)) simulation.scheduler.have(name, chunk)
      simulation.scheduler.window(name, 0)
    }
    const { have } = simulation.add("a")
    for (let chunk = 0; chunk < 5_000; chunk++) {
      have.add(chunk)
      simulation.scheduler.have("a", chunk)
    }
    simulation.scheduler.carrier(carrier)
    if (carrier === "direct") simulation.mesh()
    await simulation.run(() => have.isFull, 60_000)
  }
})

test("with thousands of chunks, those who have few of them give as well", async () => {
  const simulation = new SwarmSimulation({ chunks: 6_000, relayUp: 1 })
  fleet(simulation, 8, 10 * MB)
  for (const name of simulation.members.keys()) simulation.scheduler.relayPath(name, "down")
  simulation.scheduler.carrier("direct")
  simulation.mesh()
  const took = await simulation.run()
  const bound = ((6_000 * chunkBytes) / (10 * MB)) * 1000
  assert.ok(took <= bound * 1.1, `${(took / bound).toFixed(3)} of the bound`)
})

test("a thousand receivers finish, and the sender has given each chunk once", async () => {
  const simulation = new SwarmSimulation({ chunks: 200, cacheBytes: 64 * chunkBytes, relayUp: 10_000 * MB })
  fleet(simulation, 1_000, 100 * MB)
  await simulation.run()
  assert.ok(simulation.relayDown.bytes <= 1.05 * 200 * chunkBytes, `${simulation.relayDown.bytes / chunkBytes} fetched`)
})

test("whatever fails, everybody finishes and the books are even", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 2 ** 31 }),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 8 }),
      fc.constantFrom("relay" as const, "direct" as const),
      fc.array(fc.tuple(fc.constantFrom("leave", "join", "cut", "join-paths", "down", "up", "lost"), fc.nat(1000)), {
        maxLength: 30,
      }),
      async (seed, chunks, receivers, carrier, events) => {
        const simulation = new SwarmSimulation({
          chunks,
          seed,
          cacheBytes: 4 * chunkBytes,
          relayUp: 20 * MB,
          failing: 0.05,
          windowBytes: 1 << 20,
        })
        fleet(simulation, receivers, 5 * MB)
        simulation.scheduler.carrier(carrier)
        simulation.mesh()
        let steps = 0
        const left = [...events]
        await simulation.run(
          () => {
            if (++steps % 7 === 0 && left.length > 0)
              happen(simulation, left.shift() as [string, number], chunks, left.length === 0)
            return left.length === 0 && simulation.isDone
          },
          600_000,
          () => left.length > 0,
        )
        // The last reports are still under way.
        await simulation.run(() => simulation.scheduler.stats().underWay === 0, 60_000)
        assert.equal(simulation.scheduler.stats().fetching, 0)
      },
    ),
    { numRuns: 200 },
  )
})

function happen(simulation: SwarmSimulation, [what, who]: [string, number], chunks: number, isLast: boolean): void {
  const names = [...simulation.members.keys()].filter((name) => name !== "sender")
  const name = names[who % Math.max(1, names.length)]
  if (what === "join") simulation.add(`n${who}`, { up: 5e6 })
  else if (name === undefined) return
  else if (what === "leave") simulation.remove(name)
  else if (what === "join-paths") simulation.mesh()
  else if (what === "cut") simulation.scheduler.path(name, "sender", "down")
  else if (what === "down") simulation.scheduler.relayPath(name, "down")
  else if (what === "lost") {
    // Behind the report that it has it.
    const isNews = simulation.members.get(name)?.have.remove(who % chunks)
    if (isNews === true) simulation.clock.after(2, () => simulation.scheduler.lost(name, who % chunks))
  }
  // Without any way nobody could finish.
  if (what !== "down" || isLast)
    for (const each of simulation.members.keys()) simulation.scheduler.relayPath(each, "up")
}

test("bitmaps count, and refuse bits behind their end", () => {
  const bitmap = new Bitmap(11)
  assert.ok(bitmap.add(10) && !bitmap.add(10) && bitmap.has(10))
  assert.equal(bitmap.count, 1)
  assert.deepEqual([...bitmap.missing()], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  bitmap.fill()
  assert.ok(bitmap.isFull && [...bitmap.missing()].length === 0)
  assert.ok(Bitmap.from(bitmap.bytes(), 11).isFull)
  assert.throws(() => Bitmap.from(new Uint8Array([255, 15]), 11), { code: "protocol" })
  assert.throws(() => Bitmap.from(new Uint8Array(3), 11), { code: "protocol" })
})
