import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:net"
import type { AddressInfo } from "node:net"
import { test } from "node:test"
import { channel, channels, localChannels, select } from "./channels.ts"
import type { Message } from "./channels.ts"
import { settle } from "../test/kit/fake-clock.ts"

const texts = (messages: readonly Message[]) => messages.map((message) => message.text())

test("a send resolves when somebody has received", async () => {
  await using server = localChannels()
  await using jobs = await server.create("/jobs")
  let isSent = false
  const sending = jobs.send("hello").then(() => (isSent = true))
  await settle()
  assert.equal(isSent, false)
  const message = (await jobs.receive()) as Message
  assert.deepEqual([message.text(), message.attempt], ["hello", 1])
  await sending
  assert.ok(isSent)
})

test("bytes and JSON pass as they are", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs", { size: 3 })
  const bytes = Uint8Array.from({ length: 256 }, (_, at) => at)
  await jobs.send(bytes)
  await jobs.send("")
  await jobs.send('{"n":1}')
  assert.deepEqual((await jobs.receive())?.bytes, bytes)
  assert.equal((await jobs.receive())?.bytes.length, 0)
  assert.deepEqual((await jobs.receive())?.json(), { n: 1 })
})

test("large messages pass whole, up to the channel's limit", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs", { size: 4, maxMessage: 3_000_000 })
  for (const length of [32_000, 32_768, 65_536, 3_000_000]) {
    const bytes = new Uint8Array(length).fill(length % 251)
    await jobs.send(bytes)
    const message = (await jobs.receive()) as Message
    assert.ok(Buffer.from(bytes).equals(message.bytes), `${length} bytes`)
  }
  await assert.rejects(jobs.send(new Uint8Array(3_000_001)), { code: "too_large" })
})

test("deadlines, attempts and signals end a wait, and the message is not taken", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs")
  await assert.rejects(jobs.send("a", { try: true }), { code: "would_block" })
  await assert.rejects(jobs.send("b", { timeoutMs: 10 }), { code: "timeout" })
  await assert.rejects(jobs.send("c", { signal: AbortSignal.timeout(10) }), { name: "TimeoutError" })
  await assert.rejects(jobs.send("d", { signal: AbortSignal.abort(new Error("mine")) }), /mine/)
  await assert.rejects(jobs.receive({ try: true }), { code: "would_block" })
  await assert.rejects(jobs.receive({ timeoutMs: 10 }), { code: "timeout" })
  await assert.rejects(jobs.receive({ signal: AbortSignal.timeout(10) }), { name: "TimeoutError" })
  const next = jobs.receive()
  await settle()
  await jobs.send("e", { try: true, timeoutMs: 1 })
  assert.equal((await next)?.text(), "e")
  const sending = jobs.send("f")
  await settle()
  assert.equal((await jobs.receive({ try: true }))?.text(), "f")
  await sending
})

test("a try beside others who wait is answered, and they wait on", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs")
  const waiting = jobs.receive()
  await assert.rejects(jobs.receive({ try: true }), { code: "would_block" })
  await assert.rejects(Promise.all([jobs.receive({ try: true }), jobs.receive({ try: true })]), { code: "would_block" })
  await jobs.send("x")
  assert.equal((await waiting)?.text(), "x")
})

test("a loop over a channel proves each message when it asks for the next, and ends with the channel", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs")
  const seen: string[] = []
  const confirmed: string[] = []
  const reading = (async () => {
    for await (const message of jobs) {
      seen.push(message.text())
      if (message.text() === "1") {
        await settle()
        assert.deepEqual(confirmed, ["0"], "the body still runs")
      }
    }
  })()
  for (const text of ["0", "1", "2"]) {
    await jobs.send(text)
    confirmed.push(text)
  }
  await jobs.end()
  await reading
  assert.deepEqual(seen, ["0", "1", "2"])
  assert.equal(await jobs.receive(), undefined)
  await assert.rejects(jobs.send("3"), { code: "closed" })
})

test("a loop that is left gives back what it had fetched ahead", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs", { size: 10 })
  await jobs.sendAll(["0", "1", "2", "3"])
  for await (const message of jobs.messages({ window: 4 })) if (message.text() === "1") break
  assert.equal((await jobs.receive())?.text(), "2")
  assert.equal((await jobs.receive())?.text(), "3")
})

test("in ack mode a message is the channel's until it is done, and comes again when it failed", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs")
  let isSent = false
  const sending = jobs.send("job").then(() => (isSent = true))
  const first = (await jobs.receive({ ack: true })) as Message
  await settle()
  assert.equal(isSent, false)
  first.fail("no disk")
  const second = (await jobs.receive({ ack: true })) as Message
  assert.deepEqual([second.text(), second.attempt], ["job", 2])
  second.done()
  second.fail()
  await sending
})

test("two that are done in another order both count", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs")
  const order: string[] = []
  const sends = ["a", "b", "c"].map((text) => jobs.send(text).then(() => order.push(text)))
  const held: Message[] = []
  for (let at = 0; at < 3; at++) held.push((await jobs.receive({ ack: true })) as Message)
  held[1]?.done()
  await settle()
  assert.deepEqual(order, ["b"])
  held[0]?.done()
  held[2]?.done()
  await Promise.all(sends)
})

test("batches bring what is there, and are done with the next one", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs", { size: 100 })
  await jobs.sendAll(["0", "1", "2", "3", "4"])
  const first = await jobs.receiveBatch({ most: 3 })
  assert.deepEqual(texts(first), ["0", "1", "2"])
  const second = await jobs.receiveBatch({ most: 3 })
  assert.deepEqual(texts(second), ["3", "4"])
  await assert.rejects(jobs.receiveBatch({ timeoutMs: 10 }), { code: "timeout" })
  await jobs.end()
  assert.deepEqual(await jobs.receiveBatch(), [])
})

test("sendAll takes what comes later too, and stops at the first failure", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs", { maxMessage: 10 })
  const got: string[] = []
  await using _subscription = jobs.subscribe((message) => void got.push(message.text()))
  async function* later() {
    for (const text of ["a", "b"]) {
      await settle()
      yield text
    }
  }
  assert.equal(await jobs.sendAll(later()), 2)
  assert.equal(await jobs.sendAll(Array.from({ length: 3000 }, (_, at) => String(at))), 3000)
  assert.equal(got.length, 3002)
  await assert.rejects(jobs.sendAll(["ok", "far too long for this", "never"]), { code: "too_large" })
})

test("push has no promise, and says when it is full", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs")
  const outcomes: (string | undefined)[] = []
  let pushed = 0
  while (jobs.push(String(pushed), (error) => outcomes.push(error?.code))) pushed++
  assert.equal(pushed, 0, "nothing goes out before the server is ready")
  await new Promise<void>((resolve) => jobs.onRoom(resolve))
  while (jobs.push(String(++pushed), (error) => outcomes.push(error?.code))) assert.ok(pushed < 5000)
  assert.equal(pushed, 1024, "the window of the server")
  await using _subscription = jobs.subscribe(() => undefined, { window: 100 })
  while (outcomes.length <= pushed) await settle()
  assert.ok(outcomes.every((code) => code === undefined))
})

test("entries with the longest paths are told, and watched", async () => {
  await using server = localChannels()
  const folder = Array.from({ length: 15 }, () => `/${'"'.repeat(255)}`).join("")
  for (let at = 0; at < 4; at++)
    await server.create(`${folder}/${at}`, { deadLetter: `/${"€".repeat(4_095)}` }, { folders: true })
  assert.equal((await server.list(folder)).length, 4)
  for await (const entries of server.watch()) {
    assert.equal(entries.length, 4)
    break
  }
})

test("what was fetched ahead and not looked at counts as no attempt", async () => {
  await using server = localChannels()
  await server.create("/dead", { size: 10 })
  const jobs = await server.create("/jobs", { size: 5, attempts: 1, deadLetter: "/dead" })
  await jobs.sendAll(["1", "2", "3", "4", "5"])
  const ahead = server.channel("/jobs")
  for await (const message of ahead.messages({ window: 3 })) {
    assert.equal(message.text(), "1")
    break
  }
  const batches = server.channel("/jobs")
  assert.deepEqual(texts(await batches.receiveBatch({ most: 1 })), ["2"])
  await batches.close()
  assert.deepEqual(texts((await server.channel("/jobs").receiveBatch()) as Message[]), ["3", "4", "5"])
  await assert.rejects(server.channel("/dead").receive({ try: true }), { code: "would_block" })
})

test("two that send all of theirs at once through one handle both come to an end", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs")
  const many = Array.from({ length: 3_000 }, (_, at) => String(at))
  const both = Promise.all([jobs.sendAll(many), jobs.sendAll(many)])
  await using _subscription = jobs.subscribe(() => undefined, { window: 100 })
  assert.deepEqual(await both, [3_000, 3_000])
})

test("who waits for room has it when what waited has failed", async () => {
  await using server = localChannels()
  const jobs = server.channel("/jobs")
  const failed = new Promise<string | undefined>((resolve) => jobs.push("x", (error) => resolve(error?.code)))
  const room = new Promise<void>((resolve) => jobs.onRoom(resolve))
  assert.equal(await failed, "not_found")
  await room
})

test("a handle that was refused receives once the channel is there", async () => {
  await using server = localChannels()
  const jobs = server.channel("/jobs")
  await assert.rejects(jobs.receive(), { code: "not_found" })
  await assert.rejects(jobs.send("x"), { code: "not_found" })
  await using made = await server.create("/jobs", { size: 1 })
  await made.send("x")
  assert.equal((await jobs.receive())?.text(), "x")
})

test("a subscription's handler that throws or rejects gives the message back", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs")
  const attempts: number[] = []
  await using _subscription = jobs.subscribe(async (message) => {
    attempts.push(message.attempt)
    if (message.attempt === 1) throw new Error("not yet")
    await settle()
    if (message.attempt === 2) throw new Error("still not")
  })
  await jobs.send("x")
  assert.deepEqual(attempts, [1, 2, 3])
})

test("a subscription ends with its channel, or tells why", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs")
  const closing = jobs.subscribe(() => undefined)
  await jobs.end()
  await closing.ended
  const other = await server.create("/other")
  const removed = other.subscribe(() => undefined)
  while ((await server.stat("/other")).kind === "channel" && !(await hasReader("/other"))) await settle()
  await server.remove("/other")
  await assert.rejects(removed.ended, { code: "removed" })
  await assert.rejects(server.channel("/nowhere").subscribe(() => undefined).ended, { code: "not_found" })

  async function hasReader(path: string): Promise<boolean> {
    const entry = await server.stat(path)
    return entry.kind === "channel" && entry.counts.readers > 0
  }
})

test("a multicast reaches every subscriber before its sender goes on", async () => {
  await using server = localChannels()
  const news = await server.create("/news", { mode: "multicast" })
  const heard: string[] = []
  const readers = [news.messages(), news.messages()]
  const nexts = readers.map((reader) => reader.next())
  for (let at = 0; at < 5; at++) await settle()
  const sending = news.send("extra")
  for (const next of nexts) heard.push(((await next).value as Message).text())
  for (const reader of readers) await reader.return?.()
  await sending
  assert.deepEqual(heard, ["extra", "extra"])
})

test("exactly one case of a select happens", async () => {
  await using server = localChannels()
  const [a, b] = [await server.create("/a"), await server.create("/b")]
  assert.deepEqual(await select([{ receive: a }, { send: b, message: "x" }], { default: true }), { kind: "default" })
  assert.deepEqual(await select([{ receive: a }, { receive: b }], { timeoutMs: 10 }), { kind: "timeout" })
  const waiting = select([{ receive: a }, { send: b, message: "mine" }])
  const got = await b.receive()
  const outcome = await waiting
  assert.deepEqual([outcome.kind, outcome.index, got?.text()], ["sent", 1, "mine"])
  await assert.rejects(a.send("nobody is left", { try: true }), { code: "would_block" })
  const next = server.select([{ receive: a }, { receive: b }], { ack: true })
  const sending = a.send("to the select")
  const received = await next
  assert.ok(received.kind === "received" && received.channel === a)
  received.message.fail()
  assert.equal((await a.receive())?.text(), "to the select")
  await sending
})

test("a select that is given up takes nothing, and says what is wrong", async () => {
  await using server = localChannels()
  const [a, b] = [await server.create("/a"), await server.create("/b", { size: 1 })]
  await assert.rejects(select([{ receive: a }], { signal: AbortSignal.timeout(10) }), { name: "TimeoutError" })
  await assert.rejects(select([]), { code: "usage" })
  await assert.rejects(select([{ receive: server.channel("/none") }]), { code: "not_found" })
  await using elsewhere = localChannels()
  await assert.rejects(server.select([{ receive: elsewhere.channel("/a") }]), { code: "usage" })
  await a.end()
  assert.equal((await select([{ receive: a }])).kind, "closed")
  await assert.rejects(select([{ send: a, message: "x" }]), { code: "closed" })
  await Promise.all([select([{ send: b, message: "1" }]), b.receive()])
  const counts = await server.stat("/b")
  assert.ok(counts.kind === "channel" && counts.counts.waitingSenders === 0 && counts.counts.buffered === 0)
})

test("channels are made, listed, set, peeked at, watched and removed", async () => {
  await using server = localChannels()
  await server.create("/data/in", { size: 2 }, { folders: true })
  await server.createFolder("/data/deep/er", { folders: true })
  await server
    .channel("/data/new", { create: { deliver: "done" } })
    .send("x", { try: true })
    .catch(() => undefined)
  assert.deepEqual(
    (await server.list("/data")).map(({ path, kind }) => `${kind} ${path}`),
    ["channel /data/in", "folder /data/deep", "channel /data/new"],
  )
  assert.equal((await server.list("/", { deep: true })).length, 5)
  const entry = await server.stat("/data/new")
  assert.ok(entry.kind === "channel" && entry.settings.deliver === "done")
  assert.equal((await server.set("/data/in", { size: 5 })).settings.size, 5)
  const input = server.channel("/data/in")
  assert.equal(await input.peek(), undefined)
  await input.send("head")
  assert.equal(Buffer.from((await input.peek()) as Uint8Array).toString(), "head")
  for await (const all of server.watch()) {
    assert.deepEqual(all.map(({ path }) => path).toSorted(), ["/data/in", "/data/new"])
    break
  }
  await server.remove("/data/in")
  await assert.rejects(server.stat("/data/in"), { code: "not_found" })
  await assert.rejects(server.create("/data/new"), { code: "exists" })
  await assert.rejects(server.create("/a/b"), { code: "not_found" })
  await assert.rejects(server.set("/data/new", { sice: 1 } as object), { code: "usage", message: /sice/ })
  await assert.rejects(server.set("/data/new", { mode: "anycast" } as object), { code: "usage", mend: /multicast/ })
  await assert.rejects(server.remove("/"), { code: "forbidden" })
})

test("thousands of entries come in parts", async () => {
  await using server = localChannels()
  for (let at = 0; at < 300; at++) await server.create(`/${at}-${"ü".repeat(100)}`)
  assert.equal((await server.list()).length, 300)
})

test("closing waits for what is under way, but not for ever", async () => {
  await using server = localChannels()
  const jobs = await server.create("/jobs", { size: 1 })
  const first = jobs.send("fits")
  const second = assert.rejects(jobs.send("does not"), { code: "closed" })
  await jobs.close({ graceMs: 20 })
  await first
  await second
  assert.throws(() => jobs.push("x", () => undefined), { code: "closed" })
  assert.equal((await server.channel("/jobs").receive())?.text(), "fits")
})

test("wrong addresses, paths and absent servers are one clear line", async () => {
  await using server = localChannels()
  assert.throws(() => server.channel("jobs"), { code: "usage" })
  await assert.rejects(channel("http://host/jobs"), { code: "usage" })
  await assert.rejects(channels({ relay: "127.0.0.1:1", connectMs: 300 }), { code: "unreachable" })
  await assert.rejects(channels({ relay: "127.0.0.1:1", tokenFile: "/none" }), { code: "usage" })
})

test("a server that is missing is noticed sooner than one that is slow", async () => {
  await assert.rejects(channels({ relay: "127.0.0.1:1", refusedMs: 50 }), { code: "unreachable" })
  const silent = createServer((socket) => socket.on("error", () => socket.destroy()))
  silent.listen(0, "127.0.0.1")
  await once(silent, "listening")
  const { port } = silent.address() as AddressInfo
  const began = performance.now()
  await assert.rejects(channels({ relay: `127.0.0.1:${port}`, refusedMs: 20, connectMs: 300 }), { code: "timeout" })
  assert.ok(performance.now() - began >= 290)
  silent.close()
})
