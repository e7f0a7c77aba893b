/** Holds what a token's limits do to its visitors: over real sockets, at the relay's public side. */

import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import * as net from "node:net"
import { once } from "node:events"
import { test } from "node:test"
import { localTunnel } from "../kit/local-tunnel.ts"
import { httpOrigin } from "../kit/origin.ts"
import type { HttpOrigin } from "../kit/origin.ts"
import { eventually, rawClient, rawExchange } from "../kit/raw-http.ts"

/** A service that answers GET with `body`, and anything else with the hash of what it got, when `wait` is over. */
function origin(body: Uint8Array, wait: Promise<void> = Promise.resolve()): Promise<HttpOrigin> {
  return httpOrigin(async (request, response) => {
    await wait
    if (request.method === "GET") {
      response.end(body)
      return
    }
    const hash = createHash("sha256")
    for await (const bytes of request) hash.update(bytes as Buffer)
    response.end(hash.digest("hex"))
  })
}

const get = (host: string, ...lines: readonly string[]) =>
  `${["GET / HTTP/1.1", `Host: ${host}`, ...lines].join("\r\n")}\r\n\r\n`

test("requests over the rate get 429 with a page by Accept, the connection goes on, and a second later it works", async (t) => {
  await using service = await origin(Buffer.from("hello"))
  await using tunnel = await localTunnel({
    target: service.target,
    tokenLimits: { requestsPerSecond: 3 },
  })
  const client = await rawClient(tunnel.port)
  t.after(() => client.socket.destroy())
  const statuses: number[] = []
  for (let count = 0; count < 3; count++) {
    void client.send(get(tunnel.host))
    statuses.push((await client.answer()).status)
  }
  assert.deepEqual(statuses, [200, 200, 200])
  for (const [accept, type] of [
    ["text/html", "text/html; charset=utf-8"],
    ["application/json", "application/problem+json"],
    ["*/*", "text/plain; charset=utf-8"],
  ] as const) {
    void client.send(get(tunnel.host, `Accept: ${accept}`))
    const answer = await client.answer()
    assert.equal(answer.status, 429)
    assert.equal(answer.header("retry-after"), "1")
    assert.equal(answer.header("rdv-error"), "rate_limited")
    assert.equal(answer.header("content-type"), type)
    assert.match(answer.body.toString(), /this address takes 3 requests a second/)
  }
  // A body that nobody takes ends the connection behind the answer.
  const post = `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 5\r\n\r\nhello`
  assert.equal((await rawExchange(tunnel.port, post)).status, 429)
  // As long as Retry-After has said.
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  void client.send(get(tunnel.host))
  assert.equal((await client.answer()).status, 200)
  const [token] = tunnel.relay.relay.status()["tokens"] as unknown as { refused: number; limits: unknown }[]
  assert.equal(token?.refused, 4)
  assert.deepEqual(token?.limits, { sessions: 1_000, visitors: 10_000, requestsPerSecond: 3, bytesPerSecond: null })
})

test("bytes over the rate wait, up and down and over all of a token's visitors, and none is lost", async () => {
  const body = randomBytes(1_000_000)
  const limit = 1_500_000
  await using service = await origin(body)
  await using tunnel = await localTunnel({
    target: service.target,
    tokenLimits: { bytesPerSecond: limit },
  })
  const began = performance.now()
  const head = `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`
  const all = await Promise.all([
    rawExchange(tunnel.port, get(tunnel.host, "Connection: close")),
    rawExchange(tunnel.port, get(tunnel.host, "Connection: close")),
    rawExchange(tunnel.port, head + body.toString("latin1"), "POST"),
    rawExchange(tunnel.port, head + body.toString("latin1"), "POST"),
  ])
  const tookMs = performance.now() - began
  for (const answer of all.slice(0, 2)) assert.ok(answer.body.equals(body))
  const hash = createHash("sha256").update(body).digest("hex")
  for (const answer of all.slice(2)) assert.equal(answer.body.toString(), hash)
  // 4 MB and heads, of which the burst is free: 1.67 s.
  assert.ok(tookMs > 1_400 && tookMs < 3_500, `${tookMs} ms`)
  await tunnel.quiet()
})

test("a visitor who reads a slow answer holds no memory, and may leave in the middle", async () => {
  await using service = await origin(randomBytes(3_000_000))
  await using tunnel = await localTunnel({
    target: service.target,
    tokenLimits: { bytesPerSecond: 100_000 },
  })
  const client = await rawClient(tunnel.port)
  void client.send(get(tunnel.host))
  await client.take(100_000)
  const [session] = tunnel.relay.relay.status()["sessions"] as unknown as { bytesIn: number }[]
  assert.ok(session !== undefined && session.bytesIn < 1_000_000, `${session?.bytesIn} bytes came to the relay`)
  client.socket.destroy()
  await tunnel.quiet()
})

test("visitors over the limit are refused while the others are served, and their room is given again", async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  await using service = await origin(Buffer.from("hello"), promise)
  await using tunnel = await localTunnel({
    target: service.target,
    tokenLimits: { visitors: 3 },
  })
  const waiting = Array.from({ length: 3 }, () => rawExchange(tunnel.port, get(tunnel.host)))
  await eventually("three are under way", () => tunnel.held().streams === 3)
  const refused = await rawExchange(tunnel.port, get(tunnel.host))
  assert.deepEqual([refused.status, refused.header("rdv-error"), refused.header("retry-after")], [503, "limit", "1"])
  assert.match(refused.body.toString(), /it takes 3 visitors at a time/)
  resolve()
  assert.deepEqual(
    (await Promise.all(waiting)).map(({ status }) => status),
    [200, 200, 200],
  )
  assert.equal((await rawExchange(tunnel.port, get(tunnel.host))).status, 200)
})

test("a TCP tunnel keeps to its token's limits too: bytes wait, connections too many are reset", async (t) => {
  const server = net.createServer((socket) => socket.on("error", () => undefined).pipe(socket)).listen(0, "127.0.0.1")
  await once(server, "listening")
  t.after(() => server.close())
  await using tunnel = await localTunnel({
    target: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    settings: { kind: "tcp" },
    tokenLimits: { visitors: 1, bytesPerSecond: 400_000 },
  })
  const client = await rawClient(tunnel.port)
  const began = performance.now()
  const sent = randomBytes(500_000)
  void client.send(sent)
  const echo = client.take(sent.length)
  await eventually("it is under way", () => tunnel.held().streams === 1)
  // The reset may come before the connection is known to stand.
  const second = await rawClient(tunnel.port)
    .then((one) => one.rest())
    .catch((error: { code: string }) => error)
  assert.equal("ending" in second ? second.ending : second.code, "ending" in second ? "reset" : "ECONNRESET")
  assert.ok((await echo).equals(sent))
  const tookMs = performance.now() - began
  assert.ok(tookMs > 1_200 && tookMs < 3_000, `${tookMs} ms`)
  client.end()
  assert.equal((await client.rest()).ending, "end")
  await tunnel.quiet()
})
