import assert from "node:assert/strict"
import { test } from "node:test"
import type { MemberPicture, SwarmPicture } from "../protocol/control.ts"
import { SwarmStory } from "./swarm-story.ts"
import type { SeedUntil } from "./swarm-story.ts"

const base: MemberPicture = {
  label: "m",
  role: "receiver",
  state: "working",
  have: 0,
  line: "",
  inBytesPerSecond: 0,
  outBytesPerSecond: 0,
  via: { relay: 0, direct: 0, cast: 0 },
  paths: 0,
}
const sender: MemberPicture = { ...base, role: "sender", have: 10 }

function picture(
  states: readonly MemberPicture["state"][],
  copies: readonly number[],
  facts: Partial<SwarmPicture> = {},
): SwarmPicture {
  return {
    swarm: "482713",
    version: 1,
    chunks: 10,
    bytes: 10_000,
    copies,
    cache: { chunks: 0, bytes: 0, hits: 0, misses: 0 },
    relay: { inBytes: 0, outBytes: 0 },
    members: [sender, ...states.map((state) => ({ ...base, state }))],
    more: 0,
    ...facts,
  }
}

function story(seedUntil: SeedUntil, waitFor = 0): { story: SwarmStory; told: string[] } {
  const told: string[] = []
  const events = {
    safe: (copies: number) => told.push(`safe ${copies}`),
    unsafe: () => told.push("unsafe"),
    allDone: (count: number) => told.push(`all ${count}`),
    enough: () => told.push("enough"),
  }
  return { story: new SwarmStory({ seedUntil, waitFor }, events), told }
}

test("a sender may leave when each part is with somebody else, and hears when that is over", () => {
  const { story: it, told } = story({ kind: "forever" })
  it.look(picture([], [0, 10]))
  it.look(picture(["working"], [0, 4, 6]))
  assert.deepEqual(told, [])
  it.look(picture(["working", "working"], [0, 0, 10]))
  it.look(picture(["working", "working"], [0, 0, 8, 2]))
  it.look(picture(["working"], [0, 4, 6]))
  assert.deepEqual(told, ["safe 1", "unsafe"])
})

test("a receiver that is through and leaves is no trouble: nobody needs what it had", () => {
  const { story: it, told } = story({ kind: "copies", copies: 2 })
  it.look(picture(["done"], [0, 0, 10]))
  it.look(picture(["away"], [0, 10]))
  assert.deepEqual(told, ["safe 1", "all 1"])
  it.done()
  it.done()
  it.look(picture(["away", "away"], [0, 10]))
  assert.deepEqual(told.slice(2), ["all 2", "enough"])
})

test("all are through when nobody works any more, and again after a latecomer", () => {
  const { story: it, told } = story({ kind: "complete" })
  it.look(picture(["done", "working"], [0, 1, 9]))
  assert.deepEqual(told, [])
  it.look(picture(["done", "done"], [0, 0, 0, 10]))
  assert.deepEqual(told, ["safe 2", "all 2", "enough"])
  it.look(picture(["done", "done", "working"], [0, 0, 0, 10]))
  it.look(picture(["done", "done", "done"], [0, 0, 0, 0, 10]))
  assert.deepEqual(told.slice(3), ["all 3"])
})

test("who leaves after being through counts, and does not make the others news", () => {
  const { story: it, told } = story({ kind: "forever" })
  it.done()
  it.look(picture(["working"], [0, 10]))
  it.done()
  it.look(picture([], [0, 10]))
  it.look(picture(["failed"], [0, 10]))
  assert.deepEqual(told, ["all 2"])
})

test("--wait-for: fewer are not all; --seed-until copies=N counts copies besides the sender's", () => {
  const waits = story({ kind: "complete" }, 2)
  waits.story.look(picture(["done"], [0, 0, 10]))
  assert.deepEqual(waits.told, ["safe 1"])
  waits.story.look(picture(["done", "done"], [0, 0, 0, 10]))
  assert.deepEqual(waits.told.slice(1), ["all 2", "enough"])
  const copies = story({ kind: "copies", copies: 3 })
  copies.story.look(picture(["working", "working"], [0, 0, 0, 10]))
  assert.deepEqual(copies.told, ["safe 2"])
  copies.story.look(picture(["working", "working"], [0, 0, 0, 0, 10]))
  assert.deepEqual(copies.told, ["safe 2", "enough"])
})

test("another version begins anew", () => {
  const { story: it, told } = story({ kind: "forever" })
  it.look(picture(["done"], [0, 0, 10]))
  it.look(picture(["working"], [0, 5, 5], { version: 2 }))
  it.look(picture(["done"], [0, 0, 10], { version: 2 }))
  assert.deepEqual(told, ["safe 1", "all 1", "safe 1", "all 1"])
})

test("of members that a picture leaves out their ends are counted", () => {
  const { story: it, told } = story({ kind: "complete" }, 3)
  it.look(picture(["done"], [0, 0, 10], { more: 2 }))
  assert.deepEqual(told, ["safe 1"])
  for (let at = 0; at < 3; at++) it.done()
  it.look(picture(["done"], [0, 0, 10], { more: 2 }))
  assert.deepEqual(told, ["safe 1", "all 3", "enough"])
})
