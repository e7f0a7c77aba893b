import assert from "node:assert/strict"
import { test } from "node:test"
import { localTunnel } from "../kit/local-tunnel.ts"
import { httpOrigin, rawOrigin } from "../kit/origin.ts"
import { eventually, rawClient } from "../kit/raw-http.ts"
import type { RawClient } from "../kit/raw-http.ts"

test("a head that comes too slowly is answered with 408 and closed, however often a byte comes", async () => {
  await using origin = await rawOrigin()
  await using tunnel = await localTunnel({ target: origin.target, limits: { headMs: 600 } })
  for (const start of ["G", `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\nX: `, "\r\n"]) {
    const client = await rawClient(tunnel.port)
    const started = performance.now()
    void client.send(start)
    const drip = setInterval(() => void client.send("x"), 50)
    const answer = await client.answer()
    clearInterval(drip)
    const tookMs = performance.now() - started
    assert.ok(answer.status === 408 || start === "\r\n", `${answer.status}`)
    assert.ok(tookMs < 1_500, `${tookMs} ms`)
    client.socket.destroy()
  }
  assert.equal(origin.received, "")
  await tunnel.quiet()
})

test("a second request gets no more time for its head than the first", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target, limits: { headMs: 500, idleMs: 60_000 } })
  const client = await rawClient(tunnel.port)
  void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\nGET`)
  assert.equal((await client.answer()).status, 200)
  assert.equal((await client.answer()).status, 408)
  assert.equal((await client.rest()).ending, "end")
  client.socket.destroy()
})

test("a body that stands still is answered with 408, and the service hears of it", async () => {
  await using origin = await rawOrigin()
  await using tunnel = await localTunnel({ target: origin.target, limits: { bodyMs: 500 } })
  const client = await rawClient(tunnel.port)
  void client.send(`POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 10\r\n\r\nhalf`)
  assert.equal((await client.answer()).status, 408)
  await eventually("the service hears of it", () => origin.connections[0]?.ending === "reset")
  client.socket.destroy()
})

test("an idle connection is closed without a word after its time", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target, limits: { idleMs: 500 } })
  const client = await rawClient(tunnel.port)
  void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  await client.answer()
  const started = performance.now()
  const { bytes } = await client.rest()
  assert.equal(bytes.length, 0)
  assert.ok(performance.now() - started > 200 && performance.now() - started < 1_500)
  client.socket.destroy()
  await tunnel.quiet()
})

test("a flood of header bytes is refused before it is over, and holds no memory", async () => {
  await using origin = await rawOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  for (const piece of ["x".repeat(4_096), "x: y\r\n".repeat(1_000), "x: ".padEnd(8_192, "y")]) {
    const client = await rawClient(tunnel.port)
    await client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n`)
    for (let sent = 0; sent < 64 && !client.socket.destroyed && client.unreadBytes === 0; sent++)
      await client.send(piece)
    const answer = await client.answer()
    assert.equal(answer.status, 431)
    client.socket.destroy()
  }
  assert.equal(origin.received, "")
  await tunnel.quiet()
})

test("ten thousand pipelined requests for nobody neither break the relay nor pile up answers", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const flood = Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(10_000))
  const before = process.memoryUsage().rss
  const clients: RawClient[] = []
  for (let count = 0; count < 8; count++) {
    const client = await rawClient(tunnel.port)
    client.socket.pause()
    clients.push(client)
    const send = async () => {
      for (let round = 0; round < 20 && !client.socket.destroyed; round++) await client.send(flood)
    }
    void send()
  }
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 192 * 1024 * 1024, `grew by ${grown} bytes`)
  for (const client of clients) client.socket.destroy()
  await tunnel.quiet()
})

test("connections over the limit are refused with an answer, and room that is free again is used", async () => {
  await using origin = await httpOrigin()
  for (const limits of [{ visitors: 5 }, { visitorsPerAddress: 5 }]) {
    await using tunnel = await localTunnel({ target: origin.target, limits })
    const request = `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`
    const open: RawClient[] = []
    for (let count = 0; count < 5; count++) {
      const client = await rawClient(tunnel.port)
      void client.send(request)
      assert.equal((await client.answer()).status, 200)
      open.push(client)
    }
    for (let count = 0; count < 20; count++) {
      const client = await rawClient(tunnel.port)
      void client.send(request)
      const answer = await client.answer()
      assert.equal(answer.status, "visitors" in limits ? 503 : 429)
      assert.ok(answer.header("retry-after"))
      // Whoever sends on is not taken for a new visitor.
      client.socket.write(request)
      assert.equal((await client.rest()).bytes.length, 0)
      client.socket.destroy()
    }
    open[0]?.socket.destroy()
    await eventually("a place is free", () => tunnel.held().visitors === 4)
    const late = await rawClient(tunnel.port)
    void late.send(request)
    assert.equal((await late.answer()).status, 200)
    for (const client of [...open, late]) client.socket.destroy()
    await tunnel.quiet()
  }
})

test("more requests at once than the session may have streams are refused, not lost", async () => {
  const waiting: (() => void)[] = []
  await using origin = await httpOrigin((_request, response) => waiting.push(() => response.end("ok")))
  await using tunnel = await localTunnel({ target: origin.target, sessionLimits: { streams: 4 } })
  const clients = await Promise.all(Array.from({ length: 8 }, () => rawClient(tunnel.port)))
  for (const client of clients) void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  const refused = () => clients.filter(({ unreadBytes }) => unreadBytes > 0).length
  await eventually("each waits or is refused", () => refused() + waiting.length === clients.length)
  assert.ok(refused() > 0 && waiting.length > 0)
  for (const answer of waiting) answer()
  const statuses = (await Promise.all(clients.map((client) => client.answer()))).map(({ status }) => status)
  assert.ok(
    statuses.every((status) => status === 200 || status === 503),
    String(statuses),
  )
  for (const client of clients) client.socket.destroy()
  await tunnel.quiet()
})

test("the first byte of TLS on the plain port gets an alert, and what follows is not read", async () => {
  await using origin = await rawOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  void client.send(Buffer.from([0x16, 3, 1, 0, 5, 1, 2, 3]))
  const { bytes } = await client.rest()
  assert.deepEqual([...bytes.subarray(0, 3)], [0x15, 3, 1])
  client.socket.destroy()
  for (let count = 0; count < 10; count++) {
    const rude = await rawClient(tunnel.port)
    await rude.send(Buffer.from([0x16, 3, 1]))
    rude.reset()
  }
  await tunnel.quiet()
})

test("a visitor that never reads is cut after its time, one that reads slowly is not", async () => {
  await using origin = await httpOrigin((_request, response) => response.end(Buffer.alloc(64 * 1024 * 1024)))
  await using tunnel = await localTunnel({ target: origin.target, limits: { stalledMs: 1_000 } })
  const request = `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`
  const clients = await Promise.all([rawClient(tunnel.port), rawClient(tunnel.port), rawClient(tunnel.port)])
  const [deaf, leaving, slow] = clients
  for (const client of clients) client.socket.pause()
  slow.socket.removeAllListeners("data")
  void deaf.send(request)
  // Nobody's name: answers of the relay itself, the last of which ends the connection.
  void leaving.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(40_000))
  void slow.send(request)
  // The kernel takes up to 1.5 MB in one step on loopback; this is five of them in the time.
  const reads = setInterval(() => void slow.socket.read(256 * 1024), 25)
  try {
    await eventually("the others are gone", () => tunnel.held().visitors === 1, 4_000)
    assert.equal(slow.closed, false)
  } finally {
    clearInterval(reads)
    for (const client of clients) client.socket.destroy()
  }
  await tunnel.quiet()
})
