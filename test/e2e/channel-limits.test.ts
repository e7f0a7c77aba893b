/** Every limit of a channel server, reached from outside: who meets it is told, and everybody else goes on. */

import assert from "node:assert/strict"
import { once } from "node:events"
import { connect } from "node:net"
import { after, afterEach, before, test } from "node:test"
import { SeededRandom } from "../../src/base/random.ts"
import { channels } from "../../src/channels.ts"
import type { ChannelEntry, Channels } from "../../src/channels.ts"
import { ninepConversations } from "../fuzz/ninep-server.ts"
import { until } from "../kit/processes.ts"
import { readText, RunningChannels, writeText } from "../kit/running-channels.ts"

const mebibyte = 2 ** 20
const flags = ["--channels", "10", "--memory", "8MiB", "--set", "max-message=2MiB"]
let server: RunningChannels
let native: Channels

before(async () => {
  server = await RunningChannels.start({ flags })
  native = await channels({ relay: `127.0.0.1:${server.port}` })
})

afterEach(async () => {
  for (const { path } of (await native.list()).filter(({ kind }) => kind === "channel")) await native.remove(path)
})

after(async () => {
  await native.close()
  await server[Symbol.asyncDispose]()
})

async function countsOf(path: string): Promise<ChannelEntry["counts"]> {
  const entry = await native.stat(path)
  assert.ok(entry.kind === "channel")
  return entry.counts
}

/** A message passes from one kind of client to the other. */
async function works(): Promise<void> {
  await native.create("/works")
  const client = await server.client()
  const [text] = await Promise.all([readText(client, "/works.d/next"), native.channel("/works").send("works")])
  assert.equal(text, "works")
  client.close()
  await native.remove("/works")
}

test("fids: the 4,097th of a connection is refused, and one that is given back can be had again", async () => {
  const client = await server.client()
  const files = await Promise.all(Array.from({ length: 4095 }, () => client.walk("/")))
  await assert.rejects(client.walk("/"), { errno: "EMFILE" })
  await (files[7] as (typeof files)[number]).clunk()
  await client.walk("/")
  await works()
  client.close()
})

test("requests: beyond 4,096 that wait, the next is refused and those that wait go on", async () => {
  await native.create("/crowd", { maxWaiting: 10_000 })
  const client = await server.client({ mostCalls: 10_000 })
  const file = await client.open("/crowd.d/send", { write: true })
  let sent = 0
  const refused: string[] = []
  const all = Array.from({ length: 4_200 }, (_, at) =>
    file.write(0, new TextEncoder().encode(String(at))).then(
      () => sent++,
      (error: { errno: string }) => refused.push(error.errno),
    ),
  )
  await until(() => refused.length === 4_200 - 4_096, `refusals: ${refused.length}`)
  assert.deepEqual([...new Set(refused)], ["ENOBUFS"])
  await using crowd = native.channel("/crowd")
  const got: number[] = []
  while (got.length < 4_096) for (const each of await crowd.receiveBatch({ most: 512 })) got.push(Number(each.text()))
  await crowd.close()
  await Promise.all(all)
  assert.deepEqual([sent, got], [4_096, Array.from({ length: 4_096 }, (_, at) => at)])
  client.close()
})

test("waiting parties of a channel: the next one is told, on both sides and by both doors", async () => {
  await using line = await native.create("/line", { maxWaiting: 3 })
  const client = await server.client()
  const open = async (role: string) => {
    const file = await client.open(`/line.d/${role}`, role === "recv" ? { read: true } : { write: true })
    return role === "recv" ? file.read(0) : file.write(0, new TextEncoder().encode("x"))
  }
  for (const role of ["recv", "send"] as const) {
    const waits = [open(role), open(role), open(role)].map((wait) =>
      wait.catch((error: { errno: string }) => error.errno),
    )
    await until(async () => {
      const counts = await countsOf("/line")
      return (role === "recv" ? counts.waitingReceivers : counts.waitingSenders) === 3
    }, "three wait")
    await assert.rejects(open(role), { errno: "ENOBUFS" })
    const fourth = role === "recv" ? line.receive() : line.send("x")
    await assert.rejects(fourth, { code: "limit", message: /\/line/ })
    await native.remove("/line")
    assert.deepEqual(await Promise.all(waits), ["EIDRM", "EIDRM", "EIDRM"])
    await native.create("/line", { maxWaiting: 3 })
  }
  client.close()
})

test("channels and folders: the server has its number of them, and room again when one is removed", async () => {
  const client = await server.client()
  for (let at = 0; at < 10; at++) await native.create(`/many-${at}`)
  await assert.rejects(native.create("/many-10"), { code: "limit", message: "There are 10 channels already" })
  await assert.rejects(client.create("/many-10", 0o644, { write: true }), { errno: "ENOBUFS" })
  await assert.rejects(native.channel("/many-10", { create: true }).send("x"), { code: "limit" })
  await client.remove("/many-3")
  const file = await client.create("/many-10", 0o644, { write: true })
  await file.clunk()
  const deep = `/${Array.from({ length: 20 }, (_, at) => `f${at}`).join("/")}`
  await assert.rejects(native.createFolder(deep, { folders: true }), { code: "limit" })
  client.close()
})

test("message size: too large a message is refused whole, over both doors, also when it comes in pieces", async () => {
  await using large = await native.create("/large", { maxMessage: 100_000, size: 4 })
  const client = await server.client()
  await assert.rejects(large.send(new Uint8Array(100_001)), { code: "too_large", message: /100001 bytes.*100000/ })
  await large.send(new Uint8Array(100_000))
  const send = await client.open("/large.d/send", { write: true })
  await assert.rejects(send.write(0, new Uint8Array(100_001)), { errno: "EMSGSIZE" })
  const put = await client.open("/large.d/put", { write: true })
  await put.write(0, new Uint8Array(60_000))
  await assert.rejects(put.write(60_000, new Uint8Array(60_000)), { errno: "EMSGSIZE" })
  assert.equal((await large.receive())?.bytes.length, 100_000)
  const counts = await countsOf("/large")
  assert.equal(counts.received, 1)
  // Lowered under way, it holds for what comes.
  await native.set("/large", { maxMessage: 10 })
  await assert.rejects(large.send("more than ten bytes"), { code: "too_large" })
  client.close()
})

test("message memory: full, it refuses with a reason; with room again, everything goes on", async () => {
  await using bulk = await native.create("/bulk", { size: 1_000, sizeBytes: 2 ** 30, maxMessage: 2 * mebibyte })
  const client = await server.client({ msize: mebibyte + 24 })
  const file = await client.open("/bulk.d/send", { write: true })
  let accepted = 0
  const outcomes: unknown[] = []
  for (let at = 0; at < 12; at++) {
    const sending = at % 2 === 0 ? bulk.send(new Uint8Array(mebibyte)) : file.write(0, new Uint8Array(mebibyte))
    await sending.then(
      () => accepted++,
      (error: { code?: string; errno?: string }) => outcomes.push(error.code ?? error.errno),
    )
  }
  // Of eight, one does not fit: a message takes a little more than its bytes.
  assert.equal(accepted, 7)
  assert.deepEqual(
    [...new Set(outcomes)].toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
    ["ENOBUFS", "limit"],
  )
  for (let at = 0; at < accepted; at++) assert.equal((await bulk.receive())?.bytes.length, mebibyte)
  await bulk.send(new Uint8Array(mebibyte))
  await file.write(0, new Uint8Array(mebibyte))
  client.close()
  await works()
})

test("garbage over 9P ends its connection at most; conversations beside it go on", { timeout: 30_000 }, async () => {
  await native.create("/beside")
  const beside = await server.client()
  let passed = 0
  let isOver = false
  const talking = (async () => {
    while (!isOver) {
      const [text] = await Promise.all([
        readText(beside, "/beside.d/next"),
        native.channel("/beside").send(String(passed)),
      ])
      assert.equal(text, String(passed++))
    }
  })()
  const random = new SeededRandom(Date.now())
  const below = (count: number) => Math.floor(random.fraction() * count)
  const shoot = async () => {
    const socket = connect({ port: server.port })
    socket.on("error", () => undefined)
    socket.resume()
    await once(socket, "connect")
    const bytes = Buffer.from(ninepConversations[below(ninepConversations.length)] as Uint8Array)
    // The version stays, so that it is taken for 9P.
    for (let flips = below(6); flips > 0; flips--) bytes[21 + below(bytes.length - 21)] = below(256)
    const cut = below(3) === 0 ? bytes.subarray(0, below(bytes.length)) : bytes
    const extra = new Uint8Array(below(200)).map(() => below(256))
    socket.write(Buffer.concat([cut, extra]))
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
    const timer = setTimeout(() => socket.resetAndDestroy(), 5 + below(40))
    await closed
    clearTimeout(timer)
  }
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      for (let round = 0; round < 20; round++) await shoot()
    }),
  )
  isOver = true
  await talking
  assert.ok(passed > 20, `${passed} messages passed beside 400 broken conversations`)
  beside.close()
  await works()
  assert.doesNotMatch(server.command.stderr, /"level":"error"|\n\s+at /)
})

test("writes to a channel that nobody reads are withdrawn when the writers are killed", async () => {
  await native.create("/left")
  for (const how of ["close", "reset"] as const) {
    const client = await server.client()
    const waits = ["a", "b", "c"].map((text) => writeText(client, "/left", text).catch(() => undefined))
    await until(async () => {
      const counts = await countsOf("/left")
      return counts.waitingSenders === 3
    }, `three senders, ${how}`)
    client.close()
    await Promise.all(waits)
    await until(async () => {
      const counts = await countsOf("/left")
      return counts.waitingSenders === 0 && counts.writers === 0
    }, `no sender is left, ${how}`)
  }
  assert.equal(await native.channel("/left").peek(), undefined)
})
