import assert from "node:assert/strict"
import { test } from "node:test"
import { localTunnel } from "../kit/local-tunnel.ts"
import { answerEach, rawOrigin } from "../kit/origin.ts"
import { rawClient, rawExchange } from "../kit/raw-http.ts"

const empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

/** The header lines that the service saw of the latest request. */
function linesOf(received: string): string[] {
  const heads = received.split("\r\n\r\n")
  return (heads[heads.length - 2] as string).split("\r\n").slice(1)
}

/** Without those that the relay adds. */
function own(lines: readonly string[]): string[] {
  return lines.filter((line) => !/^(X-Forwarded-|Forwarded:)/.test(line))
}

test("request headers keep their order, case, duplicates and odd bytes to the service", async () => {
  await using origin = await rawOrigin(answerEach(empty))
  await using tunnel = await localTunnel({ target: origin.target })
  const lines = [
    "x-FIRST: 1",
    `HOST: ${tunnel.host}:8080`,
    "Cookie: a=1; b=2",
    "X-Dup: one",
    "accept: */*",
    "x-dup: two",
    "X-Empty: ",
    'X-Quotes: "a\\"b", \t c',
    "X-Latin1: caf\u00e9 \u00ff",
    "If-None-Match: *",
    "User-Agent: ",
  ]
  await rawExchange(tunnel.port, `GET /p%20a?q=%C3%A9&x=[1] HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`)
  assert.ok(origin.received.startsWith("GET /p%20a?q=%C3%A9&x=[1] HTTP/1.1\r\n"))
  assert.deepEqual(own(linesOf(origin.received)), lines)
})

test("response headers keep their order, case, duplicates, reason and odd bytes to the visitor", async () => {
  const lines = [
    "x-powered-BY: me",
    "Set-Cookie: a=1; Path=/",
    "Content-Length: 0",
    "set-cookie: b=2",
    "X-Empty: ",
    "X-Latin1: caf\u00e9 \u00ff",
    "Date: Thu, 01 Jan 1970 00:00:00 GMT",
    "Set-Cookie: c=3",
  ]
  await using origin = await rawOrigin(answerEach(`HTTP/1.1 299 Sehr sch\u00f6n\r\n${lines.join("\r\n")}\r\n\r\n`))
  await using tunnel = await localTunnel({ target: origin.target })
  const answer = await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  assert.equal(answer.reason, "Sehr sch\u00f6n")
  assert.deepEqual(answer.lines, lines)
})

test("what is said about one connection ends there, in both directions", async () => {
  const hops = ["Keep-Alive: timeout=5", "Proxy-Connection: keep-alive", "X-Hop: 1", "Proxy-Authenticate: Basic"]
  const answer = ["Connection: X-Hop, keep-alive", ...hops, "Trailer: X-T", "Content-Length: 0", "X-Kept: 1"]
  await using origin = await rawOrigin(answerEach(`HTTP/1.1 200 OK\r\n${answer.join("\r\n")}\r\n\r\n`))
  await using tunnel = await localTunnel({ target: origin.target })
  const table: [sent: string[], kept: string[]][] = [
    [["Connection: close"], []],
    [["Connection: X-Hop, keep-alive", ...hops, "X-Kept: 1"], ["X-Kept: 1"]],
    [["Proxy-Authorization: Basic eA=="], []],
    [
      ["TE: trailers, deflate", "Connection: TE"],
      ["TE: trailers", "Connection: TE"],
    ],
    [["TE: gzip", "Connection: TE"], []],
    [["Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAA"], []],
    [["Upgrade: websocket"], []],
    [
      ["Connection: Cookie, Authorization, X-Forwarded-For", "Cookie: a", "Authorization: b"],
      ["Cookie: a", "Authorization: b"],
    ],
    [["Connection: X-a", "Connection: X-b", "X-A: 1", "X-B: 2", "X-C: 3"], ["X-C: 3"]],
  ]
  for (const [sent, kept] of table) {
    const host = `Host: ${tunnel.host}`
    const got = await rawExchange(tunnel.port, `GET / HTTP/1.1\r\n${[host, ...sent].join("\r\n")}\r\n\r\n`)
    assert.deepEqual(own(linesOf(origin.received)), [host, ...kept])
    const closes = sent[0] === "Connection: close" ? ["Connection: close"] : []
    assert.deepEqual(got.lines, ["Trailer: X-T", "Content-Length: 0", "X-Kept: 1", ...closes])
  }
})

test("an upgrade that the service declines leaves the connection as it was", async () => {
  await using origin = await rawOrigin(answerEach(empty))
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  for (let round = 0; round < 3; round++) {
    void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`)
    assert.equal((await client.answer()).status, 200)
    assert.ok(linesOf(origin.received).includes("Upgrade: websocket"))
  }
  void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  assert.equal((await client.answer()).status, 200)
  client.socket.destroy()
})

test("the service sees who the visitor is, and what a stranger claims is dropped", async () => {
  await using origin = await rawOrigin(answerEach(empty))
  await using tunnel = await localTunnel({ target: origin.target })
  const forged = [
    "X-Forwarded-For: 10.0.0.1",
    "x-forwarded-for: 10.0.0.2",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: bank.example",
    "X_Forwarded_For: 10.0.0.3",
    "Forwarded: for=10.0.0.4",
    "X-Real-IP: 10.0.0.5",
    "True-Client-IP: 10.0.0.6",
    "X-Forwarded-Whatever: 1",
  ]
  const host = `${tunnel.host}:${tunnel.port}`
  await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${host}\r\n${forged.join("\r\n")}\r\n\r\n`)
  assert.deepEqual(linesOf(origin.received), [
    `Host: ${host}`,
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Proto: http",
    `X-Forwarded-Host: ${host}`,
    `Forwarded: for=127.0.0.1;host="${host}";proto=http`,
  ])
})

test("Host stays what the visitor sent unless the tunnel says otherwise", async () => {
  await using origin = await rawOrigin(answerEach(empty))
  for (const [hostHeader, seen] of [
    ["rewrite", origin.target],
    ["local.test", "local.test"],
  ] as const) {
    await using tunnel = await localTunnel({ target: origin.target, settings: { hostHeader } })
    await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nA: 1\r\nHost: ${tunnel.host}\r\nB: 2\r\n\r\n`)
    const lines = linesOf(origin.received)
    assert.deepEqual(own(lines), ["A: 1", `Host: ${seen}`, "B: 2"])
    assert.ok(lines.includes(`X-Forwarded-Host: ${tunnel.host}`))
  }
})

test("16 KiB of header fields pass, one byte more is 431", async () => {
  await using origin = await rawOrigin(answerEach(empty))
  await using tunnel = await localTunnel({ target: origin.target })
  const host = `Host: ${tunnel.host}\r\n`
  for (const spread of [1, 100]) {
    const field = (bytes: number) => {
      const each = Math.floor(bytes / spread)
      const last = bytes - each * (spread - 1)
      return `X: ${"y".repeat(each - 5)}\r\n`.repeat(spread - 1) + `X: ${"y".repeat(last - 5)}\r\n`
    }
    const fits = `GET / HTTP/1.1\r\n${host}${field(16_384 - host.length)}\r\n`
    const answer = await rawExchange(tunnel.port, fits)
    assert.equal(answer.status, 200)
    assert.equal(own(linesOf(origin.received)).join("\r\n").length, 16_384 - 2)
    const tooMuch = await rawExchange(tunnel.port, `GET / HTTP/1.1\r\n${host}${field(16_385 - host.length)}\r\n`)
    assert.deepEqual([tooMuch.status, tooMuch.header("rdv-error")], [431, "header_too_large"])
    assert.equal(tooMuch.header("connection"), "close")
  }
})

test("a request line up to 8 KiB passes, a longer one is 414", async () => {
  await using origin = await rawOrigin(answerEach(empty))
  await using tunnel = await localTunnel({ target: origin.target })
  const line = (bytes: number) => `GET /${"p".repeat(bytes - "GET / HTTP/1.1\r\n".length)} HTTP/1.1\r\n`
  const rest = `Host: ${tunnel.host}\r\n\r\n`
  assert.equal((await rawExchange(tunnel.port, line(8_192) + rest)).status, 200)
  assert.ok(origin.received.startsWith(line(8_192)))
  assert.equal((await rawExchange(tunnel.port, line(8_193) + rest)).status, 414)
})

test("a large answer head passes, up to 32 KiB", async () => {
  const head = (bytes: number) => `HTTP/1.1 200 OK\r\nX-Large: ${"y".repeat(bytes)}\r\nContent-Length: 0\r\n\r\n`
  await using origin = await rawOrigin(answerEach(head(32_000)))
  await using tunnel = await localTunnel({ target: origin.target })
  const answer = await rawExchange(tunnel.port, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  assert.equal(answer.header("x-large")?.length, 32_000)
})
