import assert from "node:assert/strict"
import { test } from "node:test"
import { rawContent, RawMember, shareRig } from "../../../../test/kit/share-relay-rig.ts"
import type { ShareRig } from "../../../../test/kit/share-relay-rig.ts"
import { someKeys } from "../../../../test/kit/swarm-keys.ts"
import { base64url } from "../../../base/bytes.ts"
import { dial } from "../../../transport/dial.ts"
import { MemoryPublications } from "./publications.ts"

const lengths = (count: number): number[] => [300, ...Array.from({ length: count }, () => 20_000)]

/** Members over the session of one. */
function crowd(rig: ShareRig, first: RawMember, count: number): RawMember[] {
  const connect = () => dial(rig.running.addresses[0] as never, { timeoutMs: 5_000 })
  return Array.from({ length: count }, () => new RawMember(first.agent, connect))
}

test("names and reasons in long letters make no picture that is larger than a message", async (t) => {
  const rig = await shareRig(t)
  const sender = await rig.member()
  await sender.share(rawContent(lengths(3)))
  const first = await rig.member()
  const all = crowd(rig, first, 60)
  for (const [at, member] of all.entries()) {
    member.join(`m${at}`, { label: "漢".repeat(64) })
    await member.message("welcome")
    member.say({ do: "failure", reason: "漢".repeat(512) })
  }
  await sender.until(() => sender.messages.filter(({ do: verb }) => verb === "failure").length === 60, "60 failures")
  const before = sender.messages.length
  await sender.until(
    () => sender.messages.slice(before).some((message) => message.do === "swarm" && message.picture.more > 0),
    "a picture that leaves some out",
  )
  assert.equal(sender.end, undefined)
})

test("a path is there when both of its ends say so", async (t) => {
  const rig = await shareRig(t, { carrier: "direct" })
  const content = rawContent(lengths(20))
  const sender = await rig.member()
  await sender.share(content)
  const [victim, liar] = [await rig.member(), await rig.member()]
  victim.join("victim")
  await victim.until(() => victim.table !== undefined, "a table")
  liar.join("liar")
  await liar.until(() => liar.table !== undefined, "a table")
  liar.holds(true)
  victim.holds(false)
  victim.say({ do: "window", bytes: 1 << 20 })
  const names = { victim: (await victim.message("welcome")).you, liar: (await liar.message("welcome")).you }
  liar.say({ do: "path", member: names.victim, state: "up", over: "tcp" })
  const picture = () => sender.messages.findLast((message) => message.do === "swarm")
  await sender.until(() => picture()?.picture.members.some(({ label }) => label === "liar") === true, "a picture")
  assert.ok(picture()?.picture.members.every(({ paths }) => paths === 0))
  assert.ok(!victim.messages.some((message) => message.do === "take"))
  victim.say({ do: "path", member: names.liar, state: "up", over: "tcp" })
  await victim.message("take")
  // Who is back need not wait until the other one says it again.
  liar.join("liar")
  await liar.until(() => liar.messages.filter(({ do: verb }) => verb === "welcome").length === 2, "another welcome")
  liar.holds(true)
  const takes = victim.messages.filter(({ do: verb }) => verb === "take").length
  liar.say({ do: "path", member: names.victim, state: "up", over: "tcp" })
  await victim.until(() => victim.messages.filter(({ do: verb }) => verb === "take").length > takes, "a take again")
})

test("a liar that returns under another name waits, is put out sooner, and its neighbours are hardly hit", async (t) => {
  const rig = await shareRig(t)
  const content = rawContent(lengths(30))
  const sender = await rig.member()
  await sender.share(content)
  const neighbour = await rig.guest()
  await neighbour.receive("neighbour", { window: 0 })
  const liar = await rig.guest()
  // Without the manifest nobody would ask for more.
  liar.answer = (chunk) =>
    chunk === 0 ? content.chunks[0] : (content.chunks[chunk] as Uint8Array).map((byte) => byte ^ 1)
  liar.join("liar")
  await liar.connected()
  await liar.until(() => liar.table !== undefined, "a table")
  liar.holds(true)
  sender.stream?.end()
  neighbour.say({ do: "window", bytes: 1 << 20 })
  assert.match((await liar.ended()).message, /3 chunks that were not what they should be/)
  for (const [name, code, message] of [
    ["liar", "forbidden", /You sent chunks/],
    ["another", "limit", /Somebody at your address sent false chunks: nobody new from there for [56]\d s/],
  ] as const) {
    const again = await rig.guest()
    again.join(name)
    const error = await again.ended()
    assert.equal(error.code, code)
    assert.match(error.message, message)
  }
  // Who is here stays, and comes back; so does who shows a token.
  assert.equal(neighbour.end, undefined)
  const back = await rig.guest()
  back.join("neighbour")
  await back.message("welcome")
  const known = await rig.member()
  known.join("known")
  await known.message("welcome")
})

test("who says more than anybody has to say is put out, and the others stay", async (t) => {
  const rig = await shareRig(t, { limits: { messagesPerSecond: 50, messagesAtOnce: 200 } })
  const content = rawContent(lengths(3))
  const sender = await rig.member()
  await sender.share(content)
  const loud = await rig.member()
  await loud.receive("loud", { window: 0 })
  for (let at = 0; at < 300; at++) loud.say({ do: "window", bytes: 0 })
  assert.equal((await loud.ended()).code, "rate_limited")
  const other = await rig.member()
  await other.receive("other")
  await other.until(() => other.got.size === 4, "every chunk")
})

test("a failure is told to the sender once, however often it is said", async (t) => {
  const rig = await shareRig(t)
  const sender = await rig.member()
  await sender.share(rawContent(lengths(3)))
  const receiver = await rig.member()
  await receiver.receive("r", { window: 0 })
  for (let at = 0; at < 20; at++) receiver.say({ do: "failure", reason: `disk full ${at}` })
  receiver.say({ do: "done", version: 1 })
  await sender.message("finished")
  assert.deepEqual(
    sender.messages.filter(({ do: verb }) => verb === "failure"),
    [{ do: "failure", member: "r", reason: "disk full 0" }],
  )
})

test("who comes and goes under new names leaves little behind", async (t) => {
  const rig = await shareRig(t, { limits: { membersPerSwarm: 5 } })
  const sender = await rig.member()
  await sender.share(rawContent(lengths(3)))
  const first = await rig.member()
  await first.receive("first")
  await first.until(() => first.got.size === 4, "every chunk")
  first.say({ do: "done", version: 1 })
  await sender.message("finished")
  first.stream?.end()
  const [restless] = crowd(rig, await rig.member(), 1) as [RawMember]
  for (let at = 0; at < 30; at++) {
    const welcomes = restless.messages.length
    restless.join(`name-${at}`)
    await restless.until(() => restless.messages.slice(welcomes).some(({ do: verb }) => verb === "welcome"), "welcome")
    restless.stream?.end()
    await restless.until(() => restless.end !== undefined, "the end")
  }
  const seen = sender.messages.length
  await sender.until(() => sender.messages.slice(seen).some(({ do: verb }) => verb === "swarm"), "a picture")
  const { picture } = await sender.message("swarm")
  assert.ok(picture.members.length + picture.more <= 12, `${picture.members.length + picture.more} members`)
  // Who has everything is remembered longest.
  const done = picture.members.find(({ label }) => label === "first")
  assert.deepEqual([done?.state, done?.have, done?.line], ["done", 4, "9999"])
})

test("few may watch at once", async (t) => {
  const rig = await shareRig(t, { limits: { watchersPerSwarm: 2 } })
  const sender = await rig.member()
  await sender.share(rawContent(lengths(3)))
  const watch = { do: "watch", swarm: "482713", access: base64url(someKeys(1).access) } as const
  const all = crowd(rig, await rig.member(), 3)
  for (const watcher of all) watcher.open(watch)
  const [one, two, three] = all as [RawMember, RawMember, RawMember]
  assert.equal((await three.ended()).code, "limit")
  await one.message("swarm")
  await two.message("swarm")
})

test("a table may come in as many parts as it has bytes", async (t) => {
  const rig = await shareRig(t)
  const content = rawContent(lengths(3))
  const sender = await rig.member()
  sender.table = content.table
  const header = {
    do: "publish",
    swarm: "482713",
    member: "s",
    access: base64url(someKeys(1).access),
    publisher: "cHVibGlzaGVyLXNlY3JldA",
    table: content.facts,
  } as const
  sender.open(header as never)
  const bytes = content.table.encode()
  for (let at = 0; at < bytes.length; at++) sender.stream?.write(bytes.subarray(at, at + 1))
  await sender.message("welcome")
})

test("one ticket holds two connections at most", async (t) => {
  const rig = await shareRig(t)
  const content = rawContent([300, ...Array.from({ length: 8 }, () => 900_000)])
  const sender = await rig.member()
  await sender.share(content)
  const greedy = await rig.member()
  greedy.stall = true
  await greedy.receive("greedy", { window: 16 << 20 })
  const { ticket } = await greedy.message("welcome")
  const paths = [greedy.path]
  for (let at = 0; at < 5; at++) {
    await greedy.openPath(ticket)
    paths.push(greedy.path)
  }
  const status = () => rig.share.status() as { swarms: { paths: number }[] }
  await greedy.until(() => (status().swarms[0]?.paths ?? 9) <= 3, "two paths of one ticket, and the sender's")
})

test("a share for so many stays one for so many when its relay is started anew", async (t) => {
  const store = new MemoryPublications()
  const content = rawContent(lengths(3))
  const rig = await shareRig(t, { store })
  const sender = await rig.member()
  await sender.share(content, { maxPeers: 1 })
  const first = await rig.member()
  await first.receive("first")
  await first.until(() => first.got.size === 4, "every chunk")
  first.say({ do: "done", version: 1 })
  await sender.message("finished")
  rig.share.close()
  const again = await shareRig(t, { store })
  await (await again.member()).share(content)
  const second = await again.member()
  second.join("second")
  assert.equal((await second.ended()).code, "limit")
  // Who has a place keeps it.
  await (await again.member()).receive("first")
})
