import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { ChannelFiles } from "../../../../test/kit/channel-files.ts"
import { settle } from "../../../../test/kit/fake-clock.ts"
import { utf8Decode, utf8Encode } from "../../../base/text.ts"
import { lineAt, LineCutter } from "./line-cutter.ts"

test("a write waits until somebody receives; one write is one message", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const writer = await files.open("/c.d/send", "w")
  const sent = [writer.twrite("one"), writer.twrite("two")]
  assert.equal(sent[0]?.state, "waiting")
  assert.equal(await files.text("/c.d/next"), "one")
  assert.deepEqual(
    sent.map((each) => each.state),
    ["ok", "waiting"],
  )
})

test("a buffer takes so many messages at once, and the next write waits", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 2 } })
  files.space.create("/c")
  const writer = await files.open("/c", "w")
  const states = ["a", "b", "c"].map((each) => writer.twrite(each)).map((each) => each.state)
  assert.deepEqual(states, ["ok", "ok", "waiting"])
})

test("try does not wait, and a deadline withdraws the message", async () => {
  const files = await ChannelFiles.make()
  const channel = files.space.create("/c")
  const trying = await files.open("/c.d/send@try", "w")
  assert.equal(trying.twrite("x").state, "EBUSY")
  const sent = (await files.open("/c.d/send@5s", "w")).twrite("x")
  files.clock.advance(5_000)
  assert.equal(sent.state, "ETIMEDOUT")
  assert.equal(channel.stats().waitingSenders, 0)
  assert.equal(files.clock.pending, 0)
  const reader = await files.open("/c")
  const asked = reader.tread(0, 10)
  const taken = trying.twrite("y")
  assert.ok(asked.state instanceof Uint8Array)
  await reader.close()
  assert.equal(taken.state, "ok")
})

test("a deadline ends where a receiver is found: then the proof is waited for", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const sent = (await files.open("/c.d/send@5s", "w")).twrite("x")
  const reader = await files.open("/c")
  reader.tread(0, 10)
  files.clock.advance(10_000)
  assert.equal(sent.state, "waiting")
  await reader.close()
  assert.equal(sent.state, "ok")
})

test("a flushed write is withdrawn while nobody has it, and answered when a receiver was found", async () => {
  const files = await ChannelFiles.make()
  const channel = files.space.create("/c")
  const writer = await files.open("/c", "w")
  assert.equal(writer.twrite("a").flush(), false)
  assert.equal(channel.stats().waitingSenders, 0)
  const matched = writer.twrite("b")
  const reader = await files.open("/c")
  reader.tread(0, 10)
  assert.equal(matched.flush(), true)
  await writer.close()
  // Its receiver is lost: the channel answers for the message.
  await reader.close(true)
  assert.equal(await files.text("/c.d/next"), "b")
})

test("errors of a write are those of its channel", async () => {
  const files = await ChannelFiles.make({ defaults: { maxMessage: 3, maxWaiting: 1 } })
  const channel = files.space.create("/c")
  const writer = await files.open("/c", "w")
  assert.equal(writer.twrite("abcd").state, "EMSGSIZE")
  const waiting = writer.twrite("abc")
  assert.equal(writer.twrite("d").state, "ENOBUFS")
  channel.close()
  assert.equal(waiting.state, "EPIPE")
  assert.equal(writer.twrite("e").state, "EPIPE")
})

test("put: everything from open to close is one message, and the close waits for its receiver", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const writer = await files.open("/c.d/put", "w")
  await writer.write("one ")
  await writer.write("and two")
  const closing = watch(writer.close())
  await settle()
  assert.equal(closing.isOver, false)
  assert.equal(await files.text("/c.d/next"), "one and two")
  await closing.done
  assert.equal(files.space.messageBytes, 0)
})

test("put: fsync sends what is there, and tells what became of it", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 2 } })
  const channel = files.space.create("/c")
  const writer = await files.open("/c.d/put@try", "w")
  await writer.write("one")
  await writer.handle.sync?.()
  await writer.write("two")
  await writer.handle.sync?.()
  await writer.write("three")
  await assert.rejects(async () => writer.handle.sync?.(), { errno: "EBUSY" })
  await writer.close()
  assert.deepEqual([await files.text("/c.d/next"), await files.text("/c.d/next")], ["one", "two"])
  assert.equal(channel.stats().writers, 0)
})

test("put: nothing is sent by a file that was only opened, or whose connection was lost", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 2 } })
  const channel = files.space.create("/c")
  await (await files.open("/c.d/put", "w")).close()
  const lost = await files.open("/c.d/put", "w")
  await lost.write("half of")
  assert.ok(files.space.messageBytes > 0)
  await lost.close(true)
  assert.equal(channel.stats().received, 0)
  assert.equal(files.space.messageBytes, 0)
})

test("put refuses what is longer than a message or than the memory, and sends no part of it", async () => {
  const files = await ChannelFiles.make({ defaults: { maxMessage: 6, size: 1 } })
  const channel = files.space.create("/c")
  const writer = await files.open("/c.d/put", "w")
  await writer.write("abcd")
  await assert.rejects(writer.write("efg"), /EMSGSIZE/)
  await assert.rejects(writer.write("ef"), /EMSGSIZE/)
  assert.equal(files.space.messageBytes, 0)
  await writer.close()
  assert.equal(channel.stats().received, 0)
  const small = await ChannelFiles.make({ limits: { messageBytes: 8_192 } })
  small.space.create("/c")
  const large = await small.open("/c.d/put", "w")
  await large.write("x".repeat(8_000))
  await assert.rejects(large.write("x".repeat(8_000)), /ENOBUFS/)
  assert.equal(small.space.messageBytes, 0)
})

test("put: an fsync tells that a piece was refused, and begins a new message", async () => {
  const files = await ChannelFiles.make({ defaults: { maxMessage: 6, size: 1 } })
  files.space.create("/c")
  const writer = await files.open("/c.d/put", "w")
  await assert.rejects(writer.write("abcdefg"), /EMSGSIZE/)
  await assert.rejects(async () => writer.handle.sync?.(), { errno: "EMSGSIZE" })
  await writer.write("new")
  await writer.close()
  assert.equal(await files.text("/c.d/next"), "new")
})

test("lines: each line is a message, and the unfinished one waits for its end, an fsync or the close", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 10, lines: true } })
  const channel = files.space.create("/c")
  const writer = await files.open("/c", "w")
  await writer.write("one\ntwo\nth")
  assert.equal(channel.stats().buffered, 2)
  await writer.write("ree\nfour")
  await writer.handle.sync?.()
  await writer.write("five")
  await writer.close()
  const reader = await files.open("/c")
  const lines = []
  for (let at = 0; at < 5; at++) lines.push(await reader.read())
  assert.deepEqual(lines, ["one\n", "two\n", "three\n", "four", "five"])
  assert.equal(files.space.messageBytes, 0)
})

test("lines: a write is answered with its last line, and many lines do not crowd the channel", async () => {
  const files = await ChannelFiles.make({ defaults: { lines: true } })
  const channel = files.space.create("/c")
  const writer = await files.open("/c", "w")
  const sent = writer.twrite(Array.from({ length: 1_000 }, (_, at) => `${at}\n`).join(""))
  const behind = writer.twrite("last\n")
  assert.equal(channel.stats().waitingSenders, 32)
  const reader = await files.open("/c")
  for (let at = 0; at < 1_000; at++) assert.equal(await reader.read(), `${at}\n`)
  assert.equal(sent.state, "ok")
  assert.equal(await reader.read(), "last\n")
  assert.equal(behind.state, "ok")
})

test("lines: those that wait for their turn take memory, and no more than they have bytes", async () => {
  const files = await ChannelFiles.make({ defaults: { lines: true }, limits: { messageBytes: 100_000 } })
  files.space.create("/c")
  const writer = await files.open("/c", "w")
  const first = writer.twrite("\n".repeat(1_000))
  const before = files.space.messageBytes
  assert.ok(before >= 1_000)
  const second = writer.twrite("\n".repeat(50_000))
  assert.equal(files.space.messageBytes, before + 50_000)
  assert.equal(writer.twrite("\n".repeat(50_000)).state, "ENOBUFS")
  second.flush()
  assert.equal(files.space.messageBytes, before)
  const reader = await files.open("/c")
  for (let at = 0; at < 1_000; at++) assert.equal(await reader.read(), "\n")
  assert.equal(first.state, "ok")
  assert.equal(files.space.messageBytes, 0)
})

test("lines: what a flush finds with nobody is withdrawn, and the next write of the file goes on", async () => {
  const files = await ChannelFiles.make({ defaults: { lines: true } })
  const channel = files.space.create("/c")
  const writer = await files.open("/c", "w")
  const sent = writer.twrite("a\nb\nc\n")
  const behind = writer.twrite("d\ne\n")
  const last = writer.twrite("f\n")
  assert.equal(await files.text("/c.d/next"), "a\n")
  assert.equal(behind.flush(), false)
  assert.equal(sent.flush(), false)
  assert.equal(channel.stats().waitingSenders, 1)
  assert.equal(await files.text("/c.d/next"), "f\n")
  assert.equal(last.state, "ok")
})

test("lines: a line that cannot be sent fails the write and withdraws those behind it", async () => {
  const files = await ChannelFiles.make({ defaults: { lines: true } })
  const channel = files.space.create("/c")
  const sent = (await files.open("/c.d/send@1s", "w")).twrite("a\nb\nc\n")
  assert.equal(await files.text("/c.d/next"), "a\n")
  files.clock.advance(1_000)
  assert.equal(sent.state, "ETIMEDOUT")
  assert.equal(channel.stats().waitingSenders, 0)
  assert.equal(files.clock.pending, 0)
})

test("lines: however the writes are cut, the lines are the same", () => {
  const writes = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "\n"), maxLength: 12 }), { maxLength: 20 })
  fc.assert(
    fc.property(writes, (parts) => {
      const cutter = new LineCutter()
      const lines: string[] = []
      for (const part of parts) {
        const cut = cutter.cut(utf8Encode(part), 1_000)
        for (let at = 0, line = lineAt(cut, at); at < cut.length; line = lineAt(cut, (at += line.length)))
          lines.push(utf8Decode(line))
      }
      const whole = parts.join("")
      const end = whole.lastIndexOf("\n") + 1
      assert.deepEqual(
        lines,
        whole
          .slice(0, end)
          .split(/(?<=\n)/)
          .filter((line) => line !== ""),
      )
      assert.equal(utf8Decode(cutter.rest), whole.slice(end))
    }),
  )
})

test("lines: a line that is too long is refused, and the file stays usable", () => {
  const cutter = new LineCutter()
  cutter.cut(utf8Encode("abc"), 4)
  assert.throws(() => cutter.cut(utf8Encode("de\n"), 4), { errno: "EMSGSIZE" })
  assert.throws(() => cutter.cut(utf8Encode("de"), 4), { errno: "EMSGSIZE" })
  assert.equal(utf8Decode(cutter.cut(utf8Encode("\n"), 4)), "abc\n")
})

test("one descriptor sends and receives on the plain file", async () => {
  const files = await ChannelFiles.make({ defaults: { size: 5 } })
  const channel = files.space.create("/c")
  const both = await files.open("/c", "rw")
  await both.write("hello")
  assert.equal(await both.read(), "hello")
  await both.write("again")
  assert.equal(await both.read(), "again")
  await both.close()
  const { readers, writers } = channel.stats()
  assert.deepEqual([readers, writers], [0, 0])
})

function watch(doing: Promise<void>): { isOver: boolean; done: Promise<void> } {
  const watched = { isOver: false, done: doing.then(() => void (watched.isOver = true)) }
  return watched
}
