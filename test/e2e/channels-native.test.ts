/** Channels over real sockets whose network is cut: nothing is lost, nothing comes twice, order holds. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import type { Message } from "../../src/channels.ts"
import { channelRig } from "../kit/channel-rig.ts"

const numbers = (count: number) => Array.from({ length: count }, (_, at) => String(at))

test(
  "every message arrives once and in order while the network is cut again and again",
  { timeout: 30_000 },
  async (t) => {
    const rig = await channelRig(t)
    const [one, other] = [await rig.client(), await rig.client()]
    await using jobs = await one.create("/jobs")
    const got: string[] = []
    const count = 8_000
    const all = Promise.withResolvers<void>()
    await using _subscription = other.channel("/jobs").subscribe(
      (message) => {
        got.push(message.text())
        if (got.length === count) all.resolve()
      },
      { window: 64 },
    )
    let isDone = false
    const cutting = (async () => {
      for (let round = 0; !isDone && round < 60; round++) {
        await sleep(15)
        rig.network.cutAll(round % 2 === 0 ? "rst" : "fin")
      }
    })()
    assert.equal(await jobs.sendAll(numbers(count)), count)
    await all.promise
    isDone = true
    await cutting
    assert.deepEqual(got, numbers(count))
    assert.ok(rig.network.stats.accepted >= 6, "the network was cut under way")
    const entry = await one.stat("/jobs")
    assert.ok(entry.kind === "channel")
    assert.equal(entry.counts.delivered, count)
    assert.equal(entry.counts.redelivered, 0)
  },
)

test("one at a time through cuts, with an answer for each", { timeout: 30_000 }, async (t) => {
  const rig = await channelRig(t)
  const [one, other] = [await rig.client(), await rig.client()]
  await using jobs = await one.create("/jobs")
  await using worker = other.channel("/jobs")
  const received: string[] = []
  const reading = (async () => {
    for await (const message of worker) received.push(message.text())
  })()
  const sent: string[] = []
  for (let at = 0; at < 300; at++) {
    if (at % 20 === 10) rig.network.cutAll("rst")
    await jobs.send(String(at))
    sent.push(String(at))
    assert.equal(received.at(-1), String(at), "the sender is told after the receiver has it")
  }
  await jobs.end()
  await reading
  assert.deepEqual(received, sent)
})

test(
  "a server that comes back: receivers go on, unconfirmed sends fail with link_lost",
  { timeout: 30_000 },
  async (t) => {
    const rig = await channelRig(t)
    const client = await rig.client()
    await using jobs = await client.create("/jobs")
    const waiting = assert.rejects(jobs.send("nobody takes it"), { code: "link_lost" })
    const next = client.channel("/other", { create: true }).receive()
    // Both stand in their channels' lines.
    while (rig.space.find("/jobs")?.stats().waitingSenders !== 1) await sleep(5)
    while (rig.space.find("/other")?.stats().waitingReceivers !== 1) await sleep(5)
    await rig.restart(50)
    await waiting
    assert.equal(rig.space.find("/jobs")?.stats().waitingSenders, 0)
    await client.channel("/other").send("after")
    assert.equal((await next)?.text(), "after")
  },
)

test(
  "what a client held without an answer goes to another one when its session is lost",
  { timeout: 30_000 },
  async (t) => {
    const rig = await channelRig(t, { limits: { graceMs: 400, deadAfterMs: 400 } })
    const [sender, lost] = [await rig.client(), await rig.client()]
    await using jobs = await sender.create("/jobs", { size: 10 })
    await jobs.sendAll(["a", "b", "c"])
    const held = lost.channel("/jobs")
    const first = (await held.receive({ ack: true })) as Message
    assert.equal(first.text(), "a")
    rig.network.blackHole(true, { holdNew: true })
    // The server gives it up after the grace time.
    while (rig.space.find("/jobs")?.stats().underWay !== 0) await sleep(20)
    rig.network.blackHole(false)
    const again = (await sender.channel("/jobs").receive()) as Message
    assert.deepEqual([again.text(), again.attempt], ["a", 2])
    // Too late: it is somebody else's.
    first.done()
    assert.equal((await sender.channel("/jobs").receive())?.text(), "b")
  },
)

test("a consumer that stands still stops its producer, and memory stays", { timeout: 30_000 }, async (t) => {
  const rig = await channelRig(t)
  const [one, other] = [await rig.client(), await rig.client()]
  await using bulk = await one.create("/bulk")
  const message = new Uint8Array(64 * 1024)
  const held: Message[] = []
  const subscription = other.channel("/bulk").subscribe((each) => void held.push(each), { window: 8, ack: true })
  let settled = 0
  for (let at = 0; at < 200; at++) bulk.push(message, () => settled++)
  while (held.length < 8) await sleep(5)
  await sleep(100)
  assert.equal(held.length, 8)
  assert.equal(settled, 0)
  // At most the sender's window is at the server.
  assert.ok(rig.space.messageBytes <= 2 ** 20 + message.length, `${rig.space.messageBytes} bytes`)
  for (let at = 0; at < 200; at++) {
    while (held[at] === undefined) await sleep(1)
    held[at]?.done()
  }
  while (settled < 200) await sleep(1)
  assert.equal(rig.space.messageBytes, 0)
  await subscription.close()
})

test("senders and receivers that give up at every moment lose and double nothing", { timeout: 30_000 }, async (t) => {
  const rig = await channelRig(t)
  const [one, other] = [await rig.client(), await rig.client()]
  await using jobs = await one.create("/jobs")
  await using reader = other.channel("/jobs")
  const got: string[] = []
  let isOver = false
  const reading = (async () => {
    for (let round = 0; !isOver; round++) {
      const message = await reader.receive({ timeoutMs: 1 + (round % 2) }).catch(() => undefined)
      if (message !== undefined) got.push(message.text())
      await sleep(round % 3)
    }
  })()
  const arrived: string[] = []
  for (let at = 0; at < 300; at++) {
    if (at === 150) rig.network.cutAll("rst")
    const signal = AbortSignal.timeout(at % 3)
    await jobs.send(String(at), at % 2 === 0 ? { signal } : { timeoutMs: 1 + (at % 2) }).then(
      () => arrived.push(String(at)),
      () => undefined,
    )
  }
  isOver = true
  await reading
  assert.deepEqual(got, arrived)
  assert.ok(arrived.length > 0 && arrived.length < 300, `${arrived.length} of 300 arrived`)
})
