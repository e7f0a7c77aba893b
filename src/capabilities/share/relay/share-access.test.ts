import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import fc from "fast-check"
import { rawContent, shareRig } from "../../../../test/kit/share-relay-rig.ts"
import type { PublishOptions, RawContent, RawMember, ShareRig } from "../../../../test/kit/share-relay-rig.ts"
import { someKeys } from "../../../../test/kit/swarm-keys.ts"
import { base64url } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import { piecesService } from "../protocol/control.ts"
import { relayGreetingByte } from "../paths/relay-greeting.ts"
import { dial } from "../../../transport/dial.ts"
import { MemoryPublications } from "./publications.ts"
import type { Publication } from "./publications.ts"
import type { ShareOptions } from "./share-service.ts"

const lengths = (count: number): number[] => [300, ...Array.from({ length: count }, () => 20_000)]

interface Shared {
  readonly rig: ShareRig
  readonly sender: RawMember
  readonly content: RawContent
}

async function shared(t: TestContext, rules: PublishOptions = {}, options: ShareOptions = {}): Promise<Shared> {
  const rig = await shareRig(t, options)
  const sender = await rig.member()
  const content = rawContent(lengths(3))
  await sender.share(content, rules)
  return { rig, sender, content }
}

async function refusal(
  rig: ShareRig,
  member: string,
  options: Parameters<RawMember["join"]>[1] = {},
): Promise<RdvError> {
  const stranger = await rig.member()
  stranger.join(member, options)
  return await stranger.ended()
}

test("a wrong code, an unknown number and a guess too many are told apart", async (t) => {
  const { rig } = await shared(t, {}, { limits: { guessBurst: 3, guessForgiveMs: 60_000 } })
  const unknown = await refusal(rig, "x", { swarm: "000000" })
  assert.equal(unknown.code, "not_found")
  assert.match(unknown.message, /no share 000000/)
  for (let guess = 0; guess < 3; guess++) {
    const wrong = await refusal(rig, "x", { keys: someKeys(2) })
    assert.equal(wrong.code, "unauthorized")
    assert.match(wrong.message, /words of the code/)
  }
  const limited = await refusal(rig, "x", { keys: someKeys(2) })
  assert.equal(limited.code, "rate_limited")
  // The right code has to wait as well: else a guess would be told from it.
  assert.equal((await refusal(rig, "x")).code, "rate_limited")
  assert.throws(() => rig.share.admit("482713", base64url(someKeys(1).access), "127.0.0.1:5"), { code: "rate_limited" })
  // Others go on.
  rig.share.admit("482713", base64url(someKeys(1).access), "127.0.0.2:5")
  assert.ok(!rig.share.admits("482713", base64url(someKeys(2).access), "127.0.0.3:5"))
  assert.ok(!rig.share.admits("482713", "", "127.0.0.4:5"))
})

test("an expired share is over for all, and says so", async (t) => {
  const { rig, sender } = await shared(t, { expiresMs: 300 })
  const receiver = await rig.member()
  await receiver.receive("r")
  assert.ok(((await receiver.message("welcome")).expiresMs ?? Infinity) <= 300)
  assert.equal((await receiver.ended()).code, "removed")
  await sender.until(() => sender.end !== undefined, "the end")
  const late = await refusal(rig, "late")
  assert.equal(late.code, "expired")
  assert.match(late.message, /482713 has expired/)
  // The number is free again.
  const next = await rig.member()
  await next.share(rawContent(lengths(1)), { publisher: "YW5vdGhlci1wdWJsaXNoZXI", keys: someKeys(4) })
  await (await rig.member()).receive("r", { keys: someKeys(4) })
})

test("a number belongs to whoever shares under it; the same sender takes over from itself", async (t) => {
  const { rig, sender, content } = await shared(t)
  const other = await rig.member()
  other.publish(rawContent(lengths(1)), { publisher: "YW5vdGhlci1wdWJsaXNoZXI" })
  assert.equal((await other.ended()).code, "in_use")
  const guesser = await rig.member()
  guesser.publish(content, { keys: someKeys(2) })
  assert.equal((await guesser.ended()).code, "in_use")
  const again = await rig.member()
  await again.share(content)
  await again.message("welcome")
  assert.equal((await sender.ended()).code, "replaced")
  const different = await rig.member()
  different.publish(rawContent(lengths(2)))
  const error = await different.ended()
  assert.equal(error.code, "exists")
  assert.match(error.message, /version 1/)
})

test("a share for one receiver lets those finish who have begun, takes nobody new, and ends in good order", async (t) => {
  const { rig, sender } = await shared(t, { once: true })
  const first = await rig.member()
  await first.receive("first")
  const second = await rig.member()
  await second.receive("second", { window: 0 })
  const onlooker = await rig.member()
  await onlooker.receive("onlooker", { window: 0, looks: true })
  await first.until(() => first.got.size === 4, "every chunk")
  first.say({ do: "done", version: 1 })
  assert.equal((await sender.message("finished")).member, "first")
  const third = await refusal(rig, "third")
  assert.equal(third.code, "removed")
  assert.match(third.message, /takes nobody new: it was for one receiver, who has it/)
  onlooker.say({ do: "begin" })
  assert.equal((await onlooker.ended()).code, "removed")
  // Cut for a moment.
  const again = await rig.member()
  await again.receive("second")
  await again.until(() => again.got.size === 4, "every chunk")
  assert.equal(sender.end, undefined)
  again.say({ do: "done", version: 1 })
  for (const member of [first, again, sender]) await member.until(() => member.end === "good order", "a good end")
  assert.equal((await refusal(rig, "fourth")).code, "removed")
})

test("who only looks takes no place, is waited for by nobody, and is told when there is none any more", async (t) => {
  const { rig, sender } = await shared(t, { maxPeers: 1 })
  const onlooker = await rig.member()
  await onlooker.receive("onlooker", { window: 0, looks: true })
  const statuses = () => rig.share.status()["swarms"] as { receivers: number }[]
  const watcher = await rig.member()
  watcher.open({ do: "watch", swarm: "482713", access: base64url(someKeys(1).access) })
  const { picture } = await watcher.message("swarm")
  assert.deepEqual(
    picture.members.map(({ label, state }) => [label, state]),
    [
      ["sender", "done"],
      ["onlooker", "looking"],
    ],
  )
  assert.equal(statuses()[0]?.receivers, 0)
  const receiver = await rig.member()
  await receiver.receive("receiver")
  onlooker.say({ do: "begin" })
  assert.equal((await onlooker.ended()).code, "limit")
  const another = await rig.member()
  await another.receive("receiver", { looks: true, window: 0 })
  sender.say({ do: "end" })
  await sender.until(() => sender.end === "good order", "an end although somebody looks")
})

test("how large a share is stays known when nobody is in it", async (t) => {
  const { rig, sender, content } = await shared(t, {}, { limits: { restMs: 10 } })
  const status = () => (rig.share.status()["swarms"] as JsonObject[])[0]
  sender.stream?.end()
  await sender.until(() => status()?.["sender"] === false, "nobody")
  await sender.until(() => JSON.stringify(rig.share.status()["cache"]).includes('"chunks":0'), "a rest")
  await new Promise((resolve) => setTimeout(resolve, 1_100))
  assert.equal(status()?.["bytes"], content.table.sealedBytes)
  assert.equal(status()?.["chunks"], content.table.count)
})

test("no more receivers than the sender wants; who was here comes back", async (t) => {
  const { rig } = await shared(t, { maxPeers: 1 })
  const first = await rig.member()
  await first.receive("first")
  const error = await refusal(rig, "second")
  assert.equal(error.code, "limit")
  assert.match(error.message, /for 1 receiver/)
  const back = await rig.member()
  await back.receive("first")
  assert.equal((await first.ended()).code, "replaced")
})

test("a sender that ends its share lets those finish who are there", async (t) => {
  const { rig, sender } = await shared(t)
  const receiver = await rig.member()
  await receiver.receive("r", { window: 0 })
  sender.say({ do: "end" })
  await sender.until(() => (rig.share.status()["swarms"] as { closed: boolean }[])[0]?.closed === true, "the end")
  const late = await refusal(rig, "late")
  assert.equal(late.code, "removed")
  assert.match(late.message, /takes nobody new/)
  receiver.say({ do: "window", bytes: 1 << 20 })
  await receiver.until(() => receiver.got.size === 4, "every chunk")
  receiver.say({ do: "done", version: 1 })
  await receiver.until(() => receiver.end === "good order", "a good end")
  const now = await shared(t)
  const other = await now.rig.member()
  await other.receive("r")
  now.sender.say({ do: "end", now: true })
  assert.equal((await other.ended()).code, "removed")
})

test("limits of an owner and of the relay are clear errors", async (t) => {
  const { rig, sender } = await shared(t, {}, { limits: { swarmsPerOwner: 2, membersPerSwarm: 2, chunks: 10 } })
  const second = await rig.member()
  await second.share(rawContent(lengths(1)), { swarm: "000002" })
  await second.message("welcome")
  const third = await rig.member()
  third.publish(rawContent(lengths(1)), { swarm: "000003" })
  const many = await third.ended()
  assert.equal(many.code, "limit")
  assert.match(many.message, /2 shares/)
  const large = await rig.member()
  large.publish(rawContent(lengths(30)), { swarm: "000002" })
  assert.equal((await large.ended()).code, "too_large")
  await (await rig.member()).receive("a")
  assert.match((await refusal(rig, "b")).message, /2 members/)
  assert.equal(sender.end, undefined)
})

test("guests begin no share where they may not", async (t) => {
  const rig = await shareRig(t, { mayPublish: () => false })
  const sender = await rig.member()
  sender.publish(rawContent(lengths(1)))
  assert.equal((await sender.ended()).code, "forbidden")
})

test("a table that is none, or not what was said, is refused and leaves nothing behind", async (t) => {
  const rig = await shareRig(t, { limits: { tableMs: 100, chunks: 100 } })
  const content = rawContent(lengths(2))
  const header = (bytes: number): JsonObject => ({
    do: "publish",
    swarm: "482713",
    member: "m",
    access: base64url(new Uint8Array(32)),
    publisher: "cHVibGlzaGVyLXNlY3JldA",
    table: { version: 1, bytes, mac: base64url(new Uint8Array(32)) },
  })
  const table = content.table.encode()
  const cases: [number, Uint8Array | undefined, string][] = [
    [100, new Uint8Array(100), "protocol"],
    [table.length, new Uint8Array(table.length + 1), "protocol"],
    [table.length, undefined, "timeout"],
    [table.length, table.subarray(5), "timeout"],
    [16 + 101 * 36, undefined, "too_large"],
  ]
  for (const [bytes, sent, code] of cases) {
    const member = await rig.member()
    member.open(header(bytes), sent)
    assert.equal((await member.ended()).code, code)
  }
  const good = await rig.member()
  await good.share(content)
  await good.message("welcome")
})

test("connections with wrong, cut and late tickets end, and a good one that comes in pieces is good", async (t) => {
  const { rig, sender } = await shared(t, {}, { limits: { greetingMs: 150, greetings: 4 } })
  const { ticket } = await sender.message("welcome")
  const open = async (
    bytes: readonly Uint8Array[],
  ): Promise<{ readonly heard: number[]; readonly isOver: () => boolean }> => {
    const link = await dial(rig.running.addresses[0] as never, { timeoutMs: 5_000 })
    t.after(() => link.abort(new RdvError("closed")))
    const heard: number[] = []
    let isOver = false
    link.attach({
      data: (more) => {
        heard.push(...more)
        return false
      },
      drain: () => undefined,
      closed: () => (isOver = true),
    })
    for (const each of bytes) {
      link.send([each])
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    return { heard, isOver: () => isOver }
  }
  const known = Buffer.from(ticket, "base64url")
  const first = Uint8Array.of(relayGreetingByte)
  const wrong = await open([first, new Uint8Array(16)])
  await sender.until(wrong.isOver, "the end of a wrong ticket")
  assert.deepEqual(wrong.heard, [0])
  const late = await open([first, known.subarray(0, 15)])
  await sender.until(late.isOver, "the end of a late ticket")
  const good = await open([first, ...[...known].map((byte) => Uint8Array.of(byte))])
  await sender.until(() => good.heard.length > 0, "an answer")
  assert.equal(good.heard[0], 1)
  // Garbage behind it: the path ends, the member stays.
  const garbage = await open([first, known, new Uint8Array(1000).fill(0xee)])
  await sender.until(garbage.isOver, "the end of garbage")
  assert.equal(sender.end, undefined)
  const wait = await Promise.all(Array.from({ length: 6 }, () => open([first])))
  await sender.until(() => wait.filter(({ isOver }) => isOver()).length >= 2, "the oldest of too many")
  const stream = sender.agent.agent.dial(piecesService, { header: { ticket: "AAAAAAAAAAAAAAAAAAAAAA" } })
  const end = Promise.withResolvers<RdvError | undefined>()
  const nothing = () => undefined
  stream.attach({ data: nothing, meta: nothing, end: nothing, drain: nothing, closed: end.resolve })
  assert.equal((await end.promise)?.code, "unauthorized")
})

test("headers and messages that are nonsense end their stream, and nothing else", async (t) => {
  const { rig, sender, content } = await shared(t)
  const json = fc.jsonValue({ maxDepth: 2 })
  const verbs = fc.constantFrom(
    "publish",
    "join",
    "watch",
    "version",
    "holds",
    "have",
    "lost",
    "window",
    "uplink",
    "failed",
    "reach",
    "path",
    "done",
    "failure",
    "cast",
    "casting",
    "end",
    "",
    5,
    null,
  )
  const value = fc.oneof(
    json,
    fc.constantFrom("482713", "relay", 0, 1, -1, 2 ** 40, [0, 99_999], "AAAA", [], { version: 1, bytes: 5, mac: "x" }),
  )
  const keys = fc.constantFrom(
    "swarm",
    "member",
    "access",
    "publisher",
    "table",
    "version",
    "bitmap",
    "chunks",
    "via",
    "bytes",
    "chunk",
    "from",
    "why",
    "addresses",
    "state",
    "over",
    "reason",
    "now",
    "label",
  )
  const block = fc
    .tuple(verbs, fc.dictionary(keys, value))
    .map(([verb, rest]) => ({ do: verb, ...rest }) as unknown as JsonObject)
  const stranger = await rig.member()
  await fc.assert(
    fc.asyncProperty(block, async (header) => {
      stranger.open(header)
      await stranger.ended()
    }),
    { numRuns: 150 },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(block, { maxLength: 5 }), fc.uint8Array({ maxLength: 50 }), async (blocks, bytes) => {
      const member = stranger
      member.messages.length = 0
      member.join("fuzz")
      await member.message("welcome")
      for (const each of blocks) member.say(each as never)
      if (bytes.length > 0) member.stream?.write(bytes)
      member.stream?.end()
      await member.until(() => member.end !== undefined, "the end")
    }),
    { numRuns: 150 },
  )
  // The share is none the worse.
  const receiver = await rig.member()
  await receiver.receive("r")
  await receiver.until(() => receiver.got.size === content.chunks.length, "every chunk")
  assert.equal(sender.end, undefined)
})

test("shares end with the token that began them", async (t) => {
  let owners = new Set(["blog", "shop"])
  const store = new MemoryPublications()
  const rig = await shareRig(t, { store, owners: () => owners })
  const sender = await rig.member()
  await sender.share(rawContent(lengths(3)))
  rig.share.close()
  const [publication] = store.list() as [Publication]
  for (const [swarm, owner] of Object.entries({ "482713": "shop", "482714": "blog", "482715": "anonymous 10.0.0.1" }))
    store.save({ ...publication, swarm, owner }, store.table("482713"))
  const names = (relay: ShareRig) => (relay.share.status()["swarms"] as { swarm: string }[]).map(({ swarm }) => swarm)
  const again = await shareRig(t, { store, owners: () => owners })
  assert.deepEqual(names(again).toSorted(), ["482713", "482714", "482715"])
  owners = new Set(["blog"])
  const receiver = await again.member()
  receiver.join("r")
  const { code, message } = await receiver.ended()
  assert.equal(code, "removed")
  assert.match(message, /token/)
  assert.deepEqual(names(again).toSorted(), ["482714", "482715"])
})
