import assert from "node:assert/strict"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { memoryContent, MemoryTarget } from "../../../../test/kit/share-content.ts"
import { contentOf, rawContent, shareRig } from "../../../../test/kit/share-relay-rig.ts"
import type { RawMember, ShareRig } from "../../../../test/kit/share-relay-rig.ts"
import { someKeys } from "../../../../test/kit/swarm-keys.ts"
import { base64url } from "../../../base/bytes.ts"
import { systemClock } from "../../../base/clock.ts"
import { silentLog } from "../../../base/log.ts"
import { openSqliteStore } from "../../../store/sqlite-store.ts"
import { nodeCrypto } from "../node/node-crypto.ts"
import { startReceiver } from "../peer/receiver.ts"
import { startSender } from "../peer/sender.ts"
import { MemoryPublications } from "./publications.ts"

/** A small chunk for the manifest, and `count` others. */
const lengths = (count: number, length = 65_552): number[] => [300, ...Array.from({ length: count }, () => length)]

async function receivers(rig: ShareRig, count: number): Promise<RawMember[]> {
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const receiver = await rig.member()
      await receiver.receive(`r${index}`)
      return receiver
    }),
  )
}

async function complete(receiver: RawMember, content: { readonly chunks: readonly Uint8Array[] }): Promise<void> {
  await receiver.until(() => receiver.got.size === content.chunks.length, "every chunk")
  for (const [chunk, bytes] of receiver.got) assert.deepEqual(bytes, content.chunks[chunk])
}

interface ShareStatus {
  readonly cache: { readonly usedBytes: number; readonly pinnedBytes: number; readonly chunks: number }
  readonly inBytes: number
  readonly swarms: readonly { readonly receivers: number; readonly sender: boolean; readonly nowhere: number }[]
}

const statusOf = (rig: ShareRig): ShareStatus => rig.share.status() as unknown as ShareStatus

test("what one publishes, others have byte for byte, and it left the sender once", async (t) => {
  const rig = await shareRig(t)
  const content = rawContent(lengths(40))
  const sender = await rig.member()
  await sender.share(content)
  for (const receiver of await receivers(rig, 4)) {
    await complete(receiver, content)
    assert.equal(receiver.duplicates, 0)
  }
  assert.equal(sender.asked.length, 41)
})

test("paths over the session carry the same", async (t) => {
  const rig = await shareRig(t)
  const content = rawContent(lengths(20))
  const sender = await rig.member()
  sender.publish(content)
  await sender.connected("session")
  sender.holds(true)
  const receiver = await rig.member()
  receiver.join("r")
  await receiver.connected("session")
  await receiver.until(() => receiver.table !== undefined, "a table")
  receiver.holds(false)
  receiver.say({ do: "window", bytes: 4 << 20 })
  await complete(receiver, content)
})

test("a cache below one percent of the content is enough, and its bound holds", async (t) => {
  const cacheBytes = 160 * 1024
  const rig = await shareRig(t, { limits: { cacheBytes } })
  const content = rawContent(lengths(260))
  const sender = await rig.member()
  await sender.share(content)
  const all = await receivers(rig, 3)
  const watch = setInterval(() => assert.ok(statusOf(rig).cache.usedBytes <= cacheBytes + 3 * 69_632), 5)
  t.after(() => clearInterval(watch))
  for (const receiver of all) await complete(receiver, content)
})

test("a member that takes nothing pins a chunk or two, and others are served", async (t) => {
  const rig = await shareRig(t, { limits: { cacheBytes: 2 << 20 } })
  const content = rawContent(lengths(160, 262_160))
  const sender = await rig.member()
  await sender.share(content)
  const stalled = await rig.member()
  // Its operating system takes some, and then nothing more.
  stalled.stall = true
  await stalled.receive("stalled", { window: 64 << 20 })
  const quick = await rig.member()
  await quick.receive("quick")
  await complete(quick, content)
  assert.ok(stalled.got.size < 160)
  assert.ok(statusOf(rig).cache.pinnedBytes <= 2 * 262_160)
})

test("a chunk that is not what it should be is not passed on, and whoever sends such is put out", async (t) => {
  const rig = await shareRig(t)
  const content = rawContent(lengths(30))
  const liar = await rig.member()
  const changed = (chunk: number) =>
    (content.chunks[chunk] as Uint8Array).map((byte, at) => (at === 7 ? byte ^ 1 : byte))
  // Without the manifest nobody would ask for more.
  liar.answer = (chunk) => (chunk === 0 ? content.chunks[0] : changed(chunk))
  await liar.share(content)
  const receiver = await rig.member()
  await receiver.receive("r")
  const error = await liar.ended()
  assert.equal(error.code, "forbidden")
  assert.match(error.message, /3 chunks/)
  assert.equal(receiver.corrupt, 0)
  assert.equal(receiver.got.size, 1)
  // An honest sender takes its place.
  const honest = await rig.member()
  await honest.share(content, { member: "honest" })
  await complete(receiver, content)
  assert.equal(receiver.corrupt, 0)
})

test("a relay that was started anew knows its shares, and members go on with what they have", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-share-"))
  t.after(() => rmSync(folder, { recursive: true }))
  const store = openSqliteStore({ path: join(folder, "rdv.db"), clock: systemClock, log: silentLog })
  t.after(() => store.close())
  const content = rawContent(lengths(12))
  const first = await shareRig(t, { store: store.publications })
  const sender = await first.member()
  await sender.share(content)
  const [half] = await receivers(first, 1)
  assert.ok(half !== undefined)
  await complete(half, content)
  first.share.close()
  await first.running.stop()

  const second = await shareRig(t, { store: store.publications })
  // Without the sender: who has everything gives it to who has nothing.
  const giver = await second.member()
  giver.table = content.table
  giver.answer = (chunk) => half.got.get(chunk)
  giver.join("r0")
  await giver.connected()
  await giver.until(() => giver.tables.length === 1, "the table")
  assert.deepEqual(giver.tables[0], content.table.encode())
  giver.holds(true)
  const taker = await second.member()
  await taker.receive("taker")
  await complete(taker, content)
  // And the sender publishes the same again.
  const again = await second.member()
  await again.share(content)
  assert.equal((await again.message("welcome")).do, "welcome")
})

test("the sender is away: members hear which chunks nobody has, and go on when it is back", async (t) => {
  const rig = await shareRig(t)
  const content = rawContent(lengths(20))
  const sender = await rig.member()
  // It gives some and keeps the rest.
  sender.answer = (chunk) => (chunk < 8 ? content.chunks[chunk] : undefined)
  await sender.share(content)
  const receiver = await rig.member()
  await receiver.receive("r")
  await receiver.until(() => receiver.got.size === 8, "the first chunks")
  sender.stream?.reset("cancelled")
  sender.path?.close()
  const told = await receiver.message("nowhere")
  assert.deepEqual([told.ranges, told.more], [[[8, 20]], 0])
  const watcher = await rig.member()
  watcher.open({ do: "watch", swarm: "482713", access: base64url(someKeys(1).access) })
  const { picture } = await watcher.message("swarm")
  assert.equal(picture.copies[0], 13)
  assert.ok(picture.members.some(({ state, note }) => state === "waiting" && note?.includes("13 chunks") === true))
  const back = await rig.member()
  await back.share(content)
  await complete(receiver, content)
  await receiver.until(
    () => receiver.messages.some((each) => each.do === "nowhere" && each.ranges.length === 0),
    "the end of it",
  )
})

test("another version comes to all, and chunks that both have are fetched once", async (t) => {
  const rig = await shareRig(t)
  const content = rawContent(lengths(10))
  const sender = await rig.member()
  await sender.share(content)
  const [receiver] = await receivers(rig, 1)
  assert.ok(receiver !== undefined)
  await complete(receiver, content)
  const before = sender.asked.length
  const next = contentOf([...content.chunks.slice(0, 6), ...rawContent([5_000, 6_000]).chunks], 2)
  sender.answer = (chunk) => next.chunks[chunk]
  sender.table = next.table
  sender.say({ do: "version", table: next.facts })
  sender.stream?.write(next.table.encode())
  sender.holds(true)
  await receiver.until(() => receiver.tables.length === 2, "the second table")
  receiver.got.clear()
  receiver.holds(false)
  await complete(receiver, next)
  // The relay had the first six.
  assert.deepEqual(
    sender.asked.slice(before).toSorted((a, b) => a - b),
    [6, 7],
  )
})

test("a share without a cache passes on, and keeps nothing", async (t) => {
  const rig = await shareRig(t)
  const content = rawContent(lengths(20))
  const sender = await rig.member()
  await sender.share(content, { cache: false })
  for (const receiver of await receivers(rig, 2)) await complete(receiver, content)
  await sender.until(() => statusOf(rig).cache.chunks === 0, "an empty cache")
  assert.equal(statusOf(rig).cache.usedBytes, 0)
})

test("what goes out of the relay keeps to its rate", async (t) => {
  const rig = await shareRig(t, { bytesPerSecond: 1 << 20 })
  const content = rawContent(lengths(24))
  const sender = await rig.member()
  await sender.share(content)
  const begun = performance.now()
  const [receiver] = await receivers(rig, 1)
  assert.ok(receiver !== undefined)
  await complete(receiver, content)
  // The first second's worth is there at once.
  assert.ok(performance.now() - begun > 300)
})

test("a new path of a member takes the place of the older one, and nothing is lost", async (t) => {
  const rig = await shareRig(t)
  const content = rawContent(lengths(60))
  const sender = await rig.member()
  await sender.share(content)
  const receiver = await rig.member()
  await receiver.receive("r", { window: 1 << 20 })
  const { ticket } = await receiver.message("welcome")
  for (let change = 1; change <= 4; change++) {
    await receiver.until(() => receiver.got.size >= change * 10, "some chunks")
    await receiver.openPath(ticket, change % 2 === 0 ? "connection" : "session")
  }
  await complete(receiver, content)
})

test("members of the product share through it, with and without direct ways", async (t) => {
  const rig = await shareRig(t)
  const keys = someKeys(3)
  const bytes = crypto.getRandomValues(new Uint8Array(60_000))
  const content = await memoryContent({ bytes, crypto: nodeCrypto(keys, "sha256") })
  const common = { swarm: "102938", keys, clock: systemClock, log: silentLog }
  const finished: string[] = []
  const sender = startSender({
    ...common,
    access: await rig.access(),
    content,
    events: { finished: (member) => void finished.push(member) },
  })
  t.after(() => sender.stop("leave"))
  const targets = await Promise.all(
    ["a", "b", "c"].map(async (label) => {
      const target = new MemoryTarget()
      const access = await rig.access()
      const receiver = startReceiver({
        ...common,
        label,
        access,
        target,
        crypto: (hash) => nodeCrypto(keys, hash),
        stayMs: 0,
      })
      t.after(() => receiver.stop())
      await receiver.done
      return target
    }),
  )
  for (const target of targets) assert.deepEqual(target.result, bytes)
  const receiver = await rig.member()
  await receiver.until(() => finished.length === 3, "the sender's news")
  assert.deepEqual(finished.toSorted(), ["a", "b", "c"])
})

test("publications are the same in memory as in the store", () => {
  const memory = new MemoryPublications()
  assert.throws(() => memory.table("000000"), { code: "not_found" })
  assert.deepEqual(memory.list(), [])
})
