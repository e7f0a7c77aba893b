/**
 * The memory of a channel server, which is a process of its own: flat while a receiver stands still and senders go on, small
 * for those who wait, and nobody waits for somebody else's slow reading. RDV_CHAOS_FULL=1 stalls for a minute.
 */

import assert from "node:assert/strict"
import { once } from "node:events"
import { connect } from "node:net"
import { test } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { channels } from "../../src/channels.ts"
import type { Channels, Message } from "../../src/channels.ts"
import { NinepClient } from "../../src/ninep/client.ts"
import { socketBytes } from "../kit/byte-links.ts"
import { quantile } from "../kit/chaos-visitors.ts"
import { rssOf, until } from "../kit/processes.ts"
import { readText, RunningChannels } from "../kit/running-channels.ts"

const stallMs = process.env["RDV_CHAOS_FULL"] === "1" ? 60_000 : 2_000
const mebibyte = 2 ** 20
const waiters = 5_000

async function waitingAt(client: Channels, path: string): Promise<{ receivers: number; senders: number }> {
  const entry = await client.stat(path)
  assert.ok(entry.kind === "channel")
  return { receivers: entry.counts.waitingReceivers, senders: entry.counts.waitingSenders }
}

/** The most that the server's memory grows while that is done, bytes. */
async function growth(server: RunningChannels, run: () => Promise<void>): Promise<number> {
  const level = rssOf(server.command.pid)
  let most = level
  const timer = setInterval(() => (most = Math.max(most, rssOf(server.command.pid))), 50)
  try {
    await run()
  } finally {
    clearInterval(timer)
  }
  return Math.max(most, rssOf(server.command.pid)) - level
}

for (const size of [0, 64]) {
  test(
    `a receiver that stands still stops every sender, and the server's memory; buffer of ${size}`,
    { timeout: 120_000 },
    async (t) => {
      await using server = await RunningChannels.start({ flags: ["--set", "size-bytes=8MiB"] })
      const all = await Promise.all(Array.from({ length: 4 }, () => channels({ relay: `127.0.0.1:${server.port}` })))
      const [first, receiving, ...sending] = all as [Channels, Channels, ...Channels[]]
      await first.create("/bulk", { size })
      const clients = await Promise.all([server.client(), server.client()])
      const message = new Uint8Array(64 * 1024)
      let settled = 0
      let isOver = false
      for (const client of sending) {
        const bulk = client.channel("/bulk")
        const push = (): void => {
          while (!isOver && bulk.push(message, () => settled++));
          if (!isOver) bulk.onRoom(push)
        }
        push()
      }
      const writing = clients.map(async (client) => {
        const file = await client.open("/bulk.d/send", { write: true })
        const write = async () => {
          while (!isOver) {
            await file.write(0, message)
            settled++
          }
        }
        await Promise.allSettled(Array.from({ length: 16 }, write))
      })
      const bulk = receiving.channel("/bulk")
      const held: Message[] = []
      let isStalled = false
      const subscription = bulk.subscribe(
        (each) => {
          if (isStalled) held.push(each)
          else each.done()
        },
        { window: 16, ack: true },
      )
      await until(() => settled > 800, "800 messages of 64 KiB passed", 60_000)
      isStalled = true
      await until(() => held.length === 16, "the receiver's hands are full")
      await sleep(300)
      const before = settled
      const grown = await growth(server, () => sleep(stallMs))
      assert.equal(settled, before, "no sender goes on")
      t.diagnostic(
        `${(grown / mebibyte).toFixed(1)} MiB in ${stallMs} ms, of ${(rssOf(server.command.pid) / mebibyte).toFixed(0)} MiB`,
      )
      assert.ok(grown < 16 * mebibyte, `${grown} bytes`)
      isStalled = false
      for (const each of held) each.done()
      await until(() => settled > before + 500, "everybody goes on", 30_000)
      isOver = true
      await subscription.close()
      for (const client of clients) client.close()
      await Promise.all(writing)
      await Promise.all(all.map((client) => client.close({ graceMs: 0 })))
    },
  )
}

test(
  `${waiters} receivers wait, natively and over 9P; all are told when their channel goes`,
  { timeout: 60_000 },
  async (t) => {
    await using server = await RunningChannels.start()
    const watch = await channels({ relay: `127.0.0.1:${server.port}` })
    const crowd = await channels({ relay: `127.0.0.1:${server.port}` })
    const fids = await Promise.all([server.client(), server.client()])
    const kinds = {
      native: () => Array.from({ length: waiters }, () => crowd.channel("/line").receive()),
      "9P": () =>
        Array.from({ length: waiters }, async (_, at) => {
          const client = fids[at % fids.length] as NinepClient
          const file = await client.open(`/line.d/recv@${at}`, { read: true })
          await file.read(0)
          // The proof that it is here.
          await file.clunk()
        }),
    }
    for (const [kind, start] of Object.entries(kinds)) {
      await watch.create("/line")
      const before = rssOf(server.command.pid)
      const from = performance.now()
      const waits = start().map((wait: Promise<unknown>) =>
        wait.then(
          () => "a message",
          (error: { code?: string; errno?: string }) => error.errno ?? error.code,
        ),
      )
      await until(async () => (await waitingAt(watch, "/line")).receivers === waiters, `all wait, ${kind}`, 30_000)
      const each = (rssOf(server.command.pid) - before) / waiters
      t.diagnostic(`${kind}: ${(each / 1024).toFixed(1)} KiB each, ${(performance.now() - from).toFixed(0)} ms for all`)
      // The others stand in line and cost it nothing.
      await watch.channel("/line").send("one")
      await watch.remove("/line")
      const told = await Promise.all(waits)
      const count = (what: string) => told.filter((word) => word === what).length
      assert.deepEqual([count("a message"), count(kind === "9P" ? "EIDRM" : "removed")], [1, waiters - 1])
      assert.ok(each < 32 * 1024, `${each} bytes each`)
    }
    for (const client of fids) client.close()
    await Promise.all([watch.close(), crowd.close({ graceMs: 0 })])
  },
)

test("a 9P reader that does not read its socket holds up nobody else", { timeout: 60_000 }, async (t) => {
  await using server = await RunningChannels.start()
  const native = await channels({ relay: `127.0.0.1:${server.port}` })
  await native.create("/big")
  await native.create("/small")
  const socket = connect({ port: server.port })
  await once(socket, "connect")
  const slow = await NinepClient.connect({ link: socketBytes(socket), uid: 0, msize: mebibyte + 24 })
  const readers = 32
  const files = await Promise.all(
    Array.from({ length: readers }, (_, at) => slow.open(`/big.d/recv@${at}`, { read: true })),
  )
  const reads = files.map((file) => file.read(0, mebibyte).catch(() => undefined))
  await until(async () => (await waitingAt(native, "/big")).receivers === readers, "all wait")
  socket.pause()
  const ping = async (rounds: number) => {
    const client = await server.client()
    const took: number[] = []
    for (let at = 0; at < rounds; at++) {
      const from = performance.now()
      const [text] = await Promise.all([readText(client, "/small.d/next"), native.channel("/small").send(String(at))])
      took.push(performance.now() - from)
      assert.equal(text, String(at))
    }
    client.close()
    return quantile(took, 0.95)
  }
  const alone = await ping(200)
  const sends = Promise.allSettled(
    Array.from({ length: readers }, () => native.channel("/big").send(new Uint8Array(mebibyte))),
  )
  let beside = 0
  const grown = await growth(server, async () => {
    beside = await ping(200)
    await sleep(500)
  })
  t.diagnostic(
    `p95 ${alone.toFixed(1)} ms alone, ${beside.toFixed(1)} ms beside; ${(grown / mebibyte).toFixed(0)} MiB grown`,
  )
  assert.ok(beside < alone * 10 + 50, `${beside} ms`)
  // The channel has each message until it is proven, and its answer waits for the socket.
  assert.ok(grown < (3 * readers + 64) * mebibyte, `${grown} bytes`)
  // What it never took goes to whoever reads.
  socket.destroy()
  await Promise.all(reads)
  let got = 0
  await using big = native.channel("/big")
  while (got < readers) {
    assert.equal((await big.receive({ timeoutMs: 10_000 }))?.bytes.length, mebibyte)
    got++
  }
  assert.equal((await sends).filter(({ status }) => status === "fulfilled").length, readers)
  await native.close()
})
