import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { SwarmSimulation } from "../../../../test/kit/swarm-simulation.ts"
import { Bitmap } from "../content/bitmap.ts"
import { Front } from "./front.ts"
import { Lead } from "./lead.ts"
import { Load } from "./load.ts"
import { Member } from "./member.ts"

const MB = 1e6
const chunkBytes = 262_144
const chunks = 400

interface Facts {
  /** How many times as fast as the slowest the fastest is. */
  readonly spread: number
  /** Chunks. */
  readonly cache?: number
  /** Direct paths of each, about. */
  readonly partners?: number
  /** Others, that take a hundred bytes a second. */
  readonly stalled?: number
  /** Only the fastest tenth. */
  readonly isFastAlone?: boolean
}

/** A hundred receivers between 10 MB/s and `spread` times that. Until all of them are through that are not stalled. */
async function uneven({ spread, cache = chunks / 2, partners = 0, stalled = 0, isFastAlone = false }: Facts) {
  const simulation = new SwarmSimulation({ chunks, cacheBytes: cache * chunkBytes, relayUp: 4_000 * MB })
  const sender = simulation.add("sender", { full: true, up: 400 * MB })
  for (let at = isFastAlone ? 90 : 0; at < 100; at++)
    simulation.add(`r${at}`, { up: 100 * MB, down: 10 * MB * (1 + ((spread - 1) * at) / 99) })
  for (let at = 0; at < stalled; at++) simulation.add(`stalled${at}`, { down: 100 })
  const names = [...simulation.members.keys()]
  // As the relay introduces them: each to half as many others as it may have.
  for (const [at, name] of names.entries()) {
    for (let path = 0; path < partners / 2; path++) {
      const step = 1 + Math.floor(simulation.random.fraction() * (names.length - 1))
      simulation.scheduler.path(name, names[(at + step) % names.length] as string, "up")
    }
  }
  const receivers = [...simulation.members.values()].filter(({ name }) => name.startsWith("r"))
  const start = simulation.clock.now()
  await simulation.run(() => receivers.every(({ have }) => have.isFull))
  const took = receivers.map(({ doneAt = Infinity }) => doneAt - start)
  const bytes = chunks * chunkBytes
  return {
    fetched: simulation.relayDown.bytes / bytes,
    sent: sender.up.bytes / bytes,
    fastest: Math.min(...took),
    slowest: Math.max(...took),
  }
}

test("a cache of half the content is enough for receivers of which some are twice as fast as others", async () => {
  const { fetched, sent } = await uneven({ spread: 2 })
  assert.ok(fetched <= 1.01 && sent <= 1.01, `${fetched} copies fetched, ${sent} sent`)
})

test("what slow receivers missed comes from others directly, and not to the relay again", async () => {
  const { fetched, sent } = await uneven({ spread: 4, partners: 4 })
  assert.ok(fetched <= 1.05, `${fetched} copies fetched`)
  assert.ok(sent <= 1.02, `${sent} copies sent`)
})

test("what the relay fetches again comes from receivers, and little of it from the sender", async () => {
  const { fetched, sent } = await uneven({ spread: 4, cache: chunks / 8 })
  assert.ok(fetched <= 2.4, `${fetched} copies fetched`)
  assert.ok(sent <= 1.2, `${sent} copies sent`)
})

test("who is fast waits for who is slow a fifth of the time at most", async () => {
  const alone = await uneven({ spread: 4, isFastAlone: true })
  for (const cache of [chunks / 2, chunks / 8]) {
    const beside = await uneven({ spread: 4, cache })
    assert.ok(
      beside.fastest <= alone.fastest * 1.25 + 600,
      `${alone.fastest} ms alone, ${beside.fastest} beside others`,
    )
    // Who is slow loses nothing either: 105 MB at 10 MB/s.
    assert.ok(beside.slowest <= 11_000, `${beside.slowest} ms`)
  }
})

test("who is faster than most gets its part of what the relay sends, and waits for them no longer", async () => {
  const few = async (slow: number) => {
    const simulation = new SwarmSimulation({ chunks, cacheBytes: 190 * chunkBytes, relayUp: 4_000 * MB })
    simulation.add("sender", { full: true, up: 1_000 * MB })
    const fast = simulation.add("fast", { down: 80 * MB })
    for (let at = 0; at < slow; at++) simulation.add(`r${at}`, { down: 20 * MB })
    const start = simulation.clock.now()
    await simulation.run()
    return (fast.doneAt ?? Infinity) - start
  }
  const alone = await few(0)
  // Their windows are more than what the relay has under way in all.
  const beside = await few(40)
  assert.ok(beside <= alone * 1.25 + 600, `${alone} ms alone, ${beside} beside others`)
})

test("a partner that gives slowly keeps nobody from what the relay can bring", async () => {
  const simulation = new SwarmSimulation({ chunks, cacheBytes: 32 * chunkBytes })
  simulation.add("sender", { full: true, up: 100 * MB })
  simulation.add("partner", { up: 0.1 * MB })
  await simulation.run()
  simulation.add("late")
  simulation.scheduler.path("partner", "late", "up")
  const took = await simulation.run(undefined, 60_000)
  assert.ok(took < 10_000, `${took} ms`)
})

test("nobody waits for receivers that stand still", async () => {
  const alone = await uneven({ spread: 1 })
  const beside = await uneven({ spread: 1, cache: 32, stalled: 20 })
  assert.ok(beside.slowest <= alone.slowest * 1.1, `${alone.slowest} ${beside.slowest}`)
  assert.ok(beside.fetched <= 1.05, `${beside.fetched} copies fetched`)
})

function follower(name: string, place: number, gapMs: number, now: number): Member {
  const load = new Load({ clock: new FakeClock(), leastBytes: 1, mostBytes: 1 })
  const member = new Member(name, new Bitmap(1_000), load, now)
  Object.assign(member, { hasRelayPath: true, window: 1, place, gapMs })
  return member
}

test("the front waits while somebody who keeps up would lose something, and goes on when all have moved", () => {
  const clock = new FakeClock()
  const lead = new Lead()
  for (let chunk = 0; chunk < 100; chunk++) lead.append(chunk)
  const behind = follower("behind", 20, 10, clock.now())
  const members = new Map([
    ["ahead", follower("ahead", 100, 10, clock.now())],
    ["behind", behind],
  ])
  const front = new Front({ clock, lead, members, cacheBytes: 80, chunkBytes: 1 })
  assert.ok(!front.hasRoom(0) && front.holds(0) && front.isHeld)
  behind.place = 60
  clock.advance(10)
  assert.ok(front.hasRoom(0) && !front.holds(0) && !front.isHeld)
  assert.ok(!front.hasRoom(40), "what is under way needs room as well")
})

test("the front does not wait for who is many times slower than most, nor for who got nothing for a second", () => {
  const clock = new FakeClock()
  const lead = new Lead()
  for (let chunk = 0; chunk < 100; chunk++) lead.append(chunk)
  const front = (slow: Member) => {
    const members = new Map(["a", "b", "c"].map((name) => [name, follower(name, 100, 10, clock.now())]))
    members.set("slow", slow)
    return new Front({ clock, lead, members, cacheBytes: 80, chunkBytes: 1 })
  }
  assert.ok(!front(follower("slow", 0, 70, clock.now())).hasRoom(0))
  assert.ok(front(follower("slow", 0, 90, clock.now())).hasRoom(0))
  assert.ok(front(follower("slow", 0, 10, clock.now() - 1_001)).hasRoom(0))
})

test("the patience of the front ends, and comes back slowly", () => {
  const clock = new FakeClock()
  const lead = new Lead()
  for (let chunk = 0; chunk < 100; chunk++) lead.append(chunk)
  const behind = follower("behind", 0, 10, clock.now())
  const front = new Front({ clock, lead, members: new Map([["behind", behind]]), cacheBytes: 80, chunkBytes: 1 })
  let held = 0
  for (let at = 0; at < 10_000; at += 10) {
    behind.movedAt = clock.now()
    if (front.holds(0)) held += 10
    clock.advance(10)
  }
  assert.ok(held >= 1_500 && held <= 500 + 0.2 * 10_000 + 20, `${held} ms of 10,000`)
})
