/** The public port under random bytes: whatever comes, the relay lives, holds nothing afterwards and serves the next one. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { localTunnel } from "../kit/local-tunnel.ts"
import type { LocalTunnel } from "../kit/local-tunnel.ts"
import { httpOrigin, rawOrigin, torture } from "../kit/origin.ts"
import type { RawConnection } from "../kit/origin.ts"
import { eventually, rawClient, rawExchange } from "../kit/raw-http.ts"

/** How long each fuzzer runs, ms. */
const runMs = 2_000

test("random bytes and mutated requests break nothing and leave nothing", async (context) => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target, limits: { headMs: 500, bodyMs: 500, idleMs: 500 } })
  const random = randomness(context.name.length)
  const seeds = [
    `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`,
    `POST /echo HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 11\r\n\r\nhello world`,
    `POST /mirror HTTP/1.1\r\nHost: ${tunnel.host}\r\nTransfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n0\r\nX: 1\r\n\r\n`,
    `GET /up HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    "GET /.rdv/session HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: rdv/1\r\n\r\n",
    `GET /bytes?n=100000 HTTP/1.0\r\nHost: ${tunnel.host}\r\nConnection: keep-alive\r\n\r\n`,
  ].map((text) => Buffer.from(text, "latin1"))
  await forAWhile(async () => {
    const client = await rawClient(tunnel.port)
    const parts = random(10) === 0 ? [noise(random)] : [mutated(pick(random, seeds), random), pick(random, seeds)]
    for (const part of parts) {
      const cut = random(part.length + 1)
      client.socket.write(part.subarray(0, cut))
      if (random(3) === 0) await new Promise((resolve) => setImmediate(resolve))
      client.socket.write(part.subarray(cut))
    }
    if (random(2) === 0) client.socket.end()
    await new Promise((resolve) => setTimeout(resolve, random(20)))
    if (random(2) === 0) client.reset()
    else client.socket.destroy()
  })
  await stillServes(tunnel)
})

test("resets at random moments of honest requests break nothing and leave nothing", async () => {
  await using origin = await httpOrigin(async (request, response) => {
    if (Math.random() < 0.2) response.socket?.resetAndDestroy()
    else await torture(request, response)
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const random = randomness(7)
  await forAWhile(async () => {
    const client = await rawClient(tunnel.port)
    const size = random(300_000)
    if (random(2) === 0) {
      const head = `POST /mirror HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: ${size}\r\n\r\n`
      client.socket.write(head)
      client.socket.write(Buffer.alloc(random(size + 1)))
    } else client.socket.write(`GET /bytes?n=${size} HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`.repeat(1 + random(3)))
    if (random(4) === 0) client.socket.pause()
    await new Promise((resolve) => setTimeout(resolve, random(15)))
    if (random(2) === 0) client.reset()
    else client.socket.destroy()
  })
  await tunnel.quiet()
  await eventually("the service's connections are at rest", () => tunnel.held().targetConnections <= 40)
})

test("a service that answers anything breaks nothing and leaves nothing", async () => {
  const random = randomness(11)
  const seeds = [
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: 1\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nraw",
    "HTTP/1.0 200 OK\r\n\r\nuntil the end",
  ].map((text) => Buffer.from(text, "latin1"))
  const answer = ({ socket }: RawConnection) => {
    const bytes = random(10) === 0 ? noise(random) : mutated(pick(random, seeds), random)
    const cut = random(bytes.length + 1)
    socket.write(bytes.subarray(0, cut))
    setImmediate(() => {
      socket.write(bytes.subarray(cut))
      const then = random(4)
      if (then === 0) socket.resetAndDestroy()
      else if (then === 1) socket.end()
    })
  }
  // An upgraded connection lives until both sides have ended.
  await using origin = await rawOrigin(answer, ({ socket }) => socket.on("end", () => socket.end()))
  await using tunnel = await localTunnel({ target: origin.target })
  await forAWhile(async () => {
    const client = await rawClient(tunnel.port)
    const upgrade = random(3) === 0 ? "Connection: Upgrade\r\nUpgrade: x\r\n" : ""
    for (let count = random(3); count >= 0; count--) {
      client.socket.write(`${random(5) === 0 ? "HEAD" : "GET"} / HTTP/1.1\r\nHost: ${tunnel.host}\r\n${upgrade}\r\n`)
      await new Promise((resolve) => setTimeout(resolve, random(10)))
    }
    client.socket.destroy()
  })
  await tunnel.quiet()
})

/** Ten at a time, one after the other. */
async function forAWhile(once: () => Promise<void>): Promise<void> {
  const until = performance.now() + runMs
  const run = async () => {
    while (performance.now() < until) await once()
  }
  await Promise.all(Array.from({ length: 10 }, run))
}

async function stillServes(tunnel: LocalTunnel): Promise<void> {
  const answer = await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  assert.equal(answer.status, 200)
  await tunnel.quiet()
}

type Random = (below: number) => number

/** The same numbers in each run. */
function randomness(seed: number): Random {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

function noise(random: Random): Buffer {
  const bytes = Buffer.alloc(random(2_000) + 1)
  for (let at = 0; at < bytes.length; at++) bytes[at] = random(256)
  return bytes
}

const splices = [
  "\r\n",
  "\n",
  "\r",
  "\0",
  ":",
  " ",
  "0",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "\xff",
]

function mutated(seed: Buffer, random: Random): Buffer {
  let bytes = Buffer.from(seed)
  for (let count = random(4); count >= 0; count--) {
    const at = random(bytes.length)
    switch (random(4)) {
      case 0:
        bytes[at] = random(256)
        break
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(8))])
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(pick(random, splices), "latin1"), bytes.subarray(at)])
        break
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random(bytes.length))])
    }
    if (bytes.length === 0) return Buffer.from(seed)
  }
  return bytes
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[random(items.length)] as Item
}
