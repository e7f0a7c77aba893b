import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { ChannelFiles } from "../../../../test/kit/channel-files.ts"
import { walkTo } from "../../../../test/kit/open-file.ts"
import { Acks } from "./acks.ts"

test("recv gives message for message, and the writer is answered when the reader has come back", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const reader = await files.open("/c.d/recv")
  const writer = await files.open("/c.d/send", "w")
  const first = writer.twrite("one")
  const tread = reader.tread(0, 4096)
  assert.equal(text(tread.state), "one")
  assert.equal(first.state, "waiting", "the client has not proved that it has the message")
  assert.equal(text(reader.tread(3, 4093).state), "")
  assert.equal(first.state, "ok")
  const next = reader.tread(3, 4096)
  assert.equal(next.state, "waiting")
  writer.twrite("two")
  assert.equal(text(next.state), "two")
})

test("a program that reads in small pieces gets the rest of its message, and never that of another one", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 10 } })
  files.space.create("/c")
  await files.write("/c", "abcdef")
  await files.write("/c", "gh")
  const reader = await files.open("/c")
  assert.deepEqual([await reader.read(4), await reader.read(4), await reader.read(4)], ["abcd", "ef", "gh"])
})

test("a shell that reads ahead and seeks back reads the same message again", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 10 } })
  files.space.create("/c")
  await files.write("/c", "a\nb\n")
  await files.write("/c", "c\n")
  const reader = await files.open("/c.d/recv")
  assert.equal(await reader.read(128), "a\nb\n")
  reader.position = 2
  assert.equal(await reader.read(128), "b\n")
  assert.equal(await reader.read(128), "c\n")
})

test("next ends behind one message, also for those who ask again", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 10 } })
  const channel = files.space.create("/c")
  await files.write("/c", "one")
  await files.write("/c", "two")
  assert.equal(await files.text("/c.d/next"), "one")
  assert.equal(channel.stats().buffered, 1)
  assert.equal(await files.text("/c.d/next@anything"), "two")
})

test("peek shows the head and takes nothing; without a message it is empty", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 10 } })
  files.space.create("/c")
  assert.equal(await files.text("/c.d/peek"), "")
  await files.write("/c", "one")
  assert.equal(await files.text("/c.d/peek"), "one")
  assert.equal(await files.text("/c.d/next"), "one")
})

test("try never waits, and a deadline ends a wait", async () => {
  const files = await ChannelFiles.make()
  const channel = files.space.create("/c")
  const trying = await files.open("/c.d/recv@try")
  await assert.rejects(trying.read(), /EAGAIN/)
  const patient = await files.open("/c.d/recv@5s")
  const asked = patient.tread(0, 4096)
  files.clock.advance(4_999)
  assert.equal(asked.state, "waiting")
  files.clock.advance(1)
  assert.equal(asked.state, "ETIMEDOUT")
  assert.equal(channel.stats().expired, 1)
  assert.equal(channel.stats().waitingReceivers, 0)
  assert.equal(files.clock.pending, 0)
  const writer = await files.open("/c.d/send", "w")
  const sent = writer.twrite("late")
  assert.equal(await trying.read(), "late")
  assert.equal(sent.state, "ok")
})

test("the channel's timeout holds for files without a deadline of their own", async () => {
  const files = await ChannelFiles.make({ defaults: { timeoutMs: 1_000 } })
  files.space.create("/c")
  const asked = (await files.open("/c")).tread(0, 10)
  const longer = (await files.open("/c.d/recv@3s")).tread(0, 10)
  files.clock.advance(1_000)
  assert.deepEqual([asked.state, longer.state], ["ETIMEDOUT", "waiting"])
})

test("a flushed read takes no message", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const reader = await files.open("/c.d/recv")
  const asked = reader.tread(0, 4096)
  assert.equal(asked.flush(), false)
  const sent = (await files.open("/c", "w")).twrite("x")
  assert.equal(sent.state, "waiting")
  assert.equal(await (await files.open("/c")).read(), "x")
})

test("reads of one file wait behind each other, and a flushed one lets the next pass", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const reader = await files.open("/c.d/recv")
  const [first, second, third] = [reader.tread(0, 10), reader.tread(0, 10), reader.tread(100, 10)]
  second.flush()
  first.flush()
  await settle()
  const writer = await files.open("/c", "w")
  writer.twrite("x")
  assert.equal(text(third.state), "x")
  assert.equal(first.state, "waiting")
})

test("a lost connection gives an unproven message to the next reader; a close takes it", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const lost = await files.open("/c.d/recv")
  const sent = (await files.open("/c", "w")).twrite("x")
  assert.equal(text(lost.tread(0, 10).state), "x")
  await lost.close(true)
  assert.equal(sent.state, "waiting")
  const closing = await files.open("/c.d/recv")
  assert.equal(text(closing.tread(0, 10).state), "x")
  await closing.close()
  assert.equal(sent.state, "ok")
})

test("the rest of a message, and what is read again, prove nothing", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const sent = (await files.open("/c", "w")).twrite("abcdef")
  const reader = await files.open("/c")
  const parts = [reader.tread(0, 2), reader.tread(2, 100), reader.tread(0, 100)].map(({ state }) => text(state))
  assert.deepEqual(parts, ["ab", "cdef", "abcdef"])
  assert.equal(sent.state, "waiting")
  await reader.close(true)
  assert.equal(await files.text("/c.d/next"), "abcdef")
  assert.equal(sent.state, "ok")
})

test("a message that was read in part and then closed counts as taken", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const sent = (await files.open("/c", "w")).twrite("abcdef")
  const reader = await files.open("/c")
  assert.equal(text(reader.tread(0, 2).state), "ab")
  await reader.close()
  assert.equal(sent.state, "ok")
})

test("a closed channel is the end of the file, a removed one is EIDRM, and clunk works", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/closed").close()
  assert.equal(await files.text("/closed"), "")
  files.space.create("/gone")
  const reader = await files.open("/gone")
  const writer = await files.open("/gone", "w")
  const asked = reader.tread(0, 10)
  files.space.remove("/gone")
  assert.equal(asked.state, "EIDRM")
  await assert.rejects(reader.read(), /EIDRM/)
  await assert.rejects(writer.write("x"), /EIDRM/)
  await reader.close()
  await writer.close()
})

test("a multicast reader gets what is sent from its open on, even before it reads", async () => {
  const files = await ChannelFiles.make({ defaults: { mode: "multicast" } })
  files.space.create("/c")
  const readers = [await files.open("/c.d/recv@1"), await files.open("/c.d/recv@2")]
  const sent = (await files.open("/c", "w")).twrite("x")
  assert.equal(await readers[0]?.read(), "x")
  assert.equal(sent.state, "waiting")
  assert.equal(await readers[1]?.read(), "x")
  assert.equal(sent.state, "ok")
})

test("take and ack: the message is done when its id says so, from whichever file", async () => {
  const files = await ChannelFiles.make({ defaults: { deliver: "done", leaseMs: 1_000 } })
  const channel = files.space.create("/c")
  const sent = (await files.open("/c", "w")).twrite("job")
  const taking = await files.open("/c.d/take")
  const [id, message] = (await taking.read()).split("\t")
  assert.equal(message, "job")
  assert.match(id ?? "", /^\d+-[\w-]{12}$/)
  await taking.close()
  assert.equal(sent.state, "waiting")
  await files.write("/c.d/ack", `${id} ok\n`)
  assert.equal(sent.state, "ok")
  assert.equal(files.clock.pending, 0)
  await settle()
  assert.equal(channel.stats().readers, 0)
  await assert.rejects(files.write("/c.d/ack", `${id} ok\n`), /ENOENT/)
})

test("of what is acknowledged or over nothing is kept", async () => {
  const clock = new FakeClock()
  const acks = new Acks(clock)
  const delivery = { bytes: new Uint8Array(0), id: 1, attempt: 1, seen() {}, done() {}, giveBack() {}, putBack() {} }
  const ids = new Set<string>()
  acks.obey(`${acks.add(delivery, 1_000, ids)} ok`)
  acks.obey(`${acks.add(delivery, 1_000, ids)} fail for a reason `)
  acks.add(delivery, 1_000, ids)
  assert.equal(ids.size, 1)
  clock.advance(1_000)
  assert.deepEqual([ids.size, acks.length, clock.pending], [0, 0, 0])
})

test("taking the next message does not acknowledge the one before", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 10 } })
  const channel = files.space.create("/c")
  await files.write("/c", "one")
  await files.write("/c", "two")
  const taking = await files.open("/c.d/take")
  const first = await taking.read()
  const second = await taking.read()
  assert.deepEqual(
    [first, second].map((each) => each.split("\t")[1]),
    ["one", "two"],
  )
  assert.equal(channel.stats().underWay, 2)
  assert.equal(channel.stats().delivered, 0)
  const ids = [first, second].map((each) => each.split("\t")[0])
  await files.write("/c.d/ack", `${ids[1]} ok\n${ids[0]} ok\n`)
  assert.equal(channel.stats().delivered, 2)
})

test("a message whose work failed, or whose lease is over, goes to the next; the old id is worth nothing", async () => {
  const files = await ChannelFiles.make({ defaults: { deliver: "done", leaseMs: 1_000 } })
  const channel = files.space.create("/c")
  const sent = (await files.open("/c", "w")).twrite("job")
  const idOf = async () => (await files.text("/c.d/take@try").catch(String)).split("\t")[0] as string
  const taking = await files.open("/c.d/take")
  const first = (await taking.read()).split("\t")[0] as string
  await files.write("/c.d/ack", `${first} fail no disk\n`)
  const second = (await taking.read()).split("\t")[0] as string
  assert.notEqual(first, second)
  files.clock.advance(1_000)
  await assert.rejects(files.write("/c.d/ack", `${second} ok\n`), /ENOENT/)
  const third = (await taking.read()).split("\t")[0] as string
  assert.equal(channel.stats().redelivered, 2)
  await files.write("/c.d/ack", `${third} ok\n`)
  assert.equal(sent.state, "ok")
  assert.match(await idOf(), /EAGAIN/)
})

test("ack refuses what it does not understand, and does nothing then", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 10 } })
  const channel = files.space.create("/c")
  await files.write("/c", "one")
  const id = (await (await files.open("/c.d/take")).read()).split("\t")[0] as string
  for (const wrong of [`${id}`, `${id} done`, `${id} ok thanks`, `${id} ok\n${id} fail`]) {
    await assert.rejects(files.write("/c.d/ack", wrong), /EINVAL/, wrong)
  }
  await assert.rejects(files.write("/c.d/ack", `${id} ok\n1-AAAAAAAAAAAA ok`), /ENOENT/)
  assert.equal(channel.stats().delivered, 0)
  await files.write("/c.d/ack", `${id} ok`)
  assert.equal(channel.stats().delivered, 1)
})

test("a lost connection gives what was taken back at once", async () => {
  const files = await ChannelFiles.make({ defaults: { deliver: "done" } })
  const channel = files.space.create("/c")
  const taking = await files.open("/c.d/take")
  ;(await files.open("/c", "w")).twrite("job")
  const id = (await taking.read()).split("\t")[0] as string
  await taking.close(true)
  assert.equal(channel.stats().underWay, 0)
  await assert.rejects(files.write("/c.d/ack", `${id} ok`), /ENOENT/)
  assert.match(await (await files.open("/c.d/take")).read(), /\tjob$/)
})

test("tail never waits; its time moves while something is there, and its size is what was read and what waits", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 10 } })
  files.space.create("/c")
  const node = await walkTo(files.root, "/c.d/tail")
  const tail = await files.open("/c.d/tail")
  assert.equal(await tail.read(), "")
  const before = await node.attributes()
  assert.equal(before.length, 0)
  files.clock.advance(60_000)
  assert.equal((await node.attributes()).modified, before.modified)
  await files.write("/c", "one\n")
  await files.write("/c", "two\n")
  files.clock.advance(1_000)
  assert.equal((await node.attributes()).modified, files.clock.wall() / 1_000)
  assert.equal((await node.attributes()).length, 8)
  assert.equal(await tail.read(), "one\n")
  assert.equal((await node.attributes()).length, 8)
  assert.equal((await node.attributes()).modified, files.clock.wall() / 1_000)
  assert.equal(await tail.read(), "two\n")
  const after = await node.attributes()
  files.clock.advance(60_000)
  assert.equal((await node.attributes()).modified, after.modified)
  assert.equal(await tail.read(), "")
  await files.write("/c", "three\n")
  assert.equal((await node.attributes()).length, 14)
  await files.open("/c.d/next").then((next) => next.read())
  assert.equal((await node.attributes()).length, 14, "another receiver's message does not make it shorter")
  await files.write("/c", "four\n")
  assert.equal((await node.attributes()).length, 19)
  await tail.close()
  assert.equal((await node.attributes()).length, 0)
})

function text(state: unknown): unknown {
  return state instanceof Uint8Array ? new TextDecoder().decode(state) : state
}
