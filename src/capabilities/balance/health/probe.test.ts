import assert from "node:assert/strict"
import * as net from "node:net"
import { duplexPair } from "node:stream"
import { test } from "node:test"
import type { TestContext } from "node:test"
import * as tls from "node:tls"
import { targetFor } from "../../../../test/kit/balance-target.ts"
import { makeCertificate } from "../../../../test/kit/certificates.ts"
import { systemClock } from "../../../base/clock.ts"
import { SeededRandom } from "../../../base/random.ts"
import type { HealthCheck, TargetSettings } from "../config/settings.ts"
import { Checker } from "./checker.ts"

/** A server that does `answer` with each connection; ends with the test. */
async function serve(t: TestContext, answer: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on("error", () => {})
    answer(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return (server.address() as net.AddressInfo).port
}

/** The first verdict on a real target. */
function check(
  t: TestContext,
  port: number,
  what: HealthCheck,
  { timeoutMs = 3000, ...changes }: { timeoutMs?: number } & Partial<TargetSettings> = {},
): Promise<string> {
  const target = targetFor("127.0.0.1", systemClock, { address: { kind: "tcp", host: "127.0.0.1", port }, ...changes })
  return new Promise((resolve) => {
    const checker = new Checker({
      target,
      settings: {
        check: what,
        intervalMs: 10,
        downIntervalMs: 10,
        jitter: 0,
        timeoutMs,
        rise: 1,
        fall: 1,
        port: undefined,
      },
      clock: systemClock,
      random: new SeededRandom(1),
      connect: (_, __, signal) =>
        new Promise((connected, reject) => {
          const socket = net.connect({ host: "127.0.0.1", port, signal })
          // As the balancer's own dials hand them over.
          socket.pause()
          socket.once("connect", () => connected(socket)).once("error", reject)
        }),
      onVerdict: (healthy, reason) => {
        checker.stop()
        resolve(`${healthy ? "up" : "down"}: ${reason}`)
      },
    })
    t.after(() => checker.stop())
  })
}

const http = (changes: Partial<HealthCheck & { kind: "http" }> = {}): HealthCheck => ({
  kind: "http",
  path: "/health?deep=1",
  method: "GET",
  host: undefined,
  statuses: [[200, 399]],
  ...changes,
})

test("TCP: a target that listens is up, one that does not is down", async (t) => {
  const port = await serve(t, () => {})
  assert.equal(await check(t, port, { kind: "tcp" }), "up: connected")
  const closed = net.createServer().listen(0, "127.0.0.1")
  await new Promise((resolve) => closed.once("listening", resolve))
  const { port: free } = closed.address() as net.AddressInfo
  await new Promise((resolve) => closed.close(resolve))
  assert.equal(await check(t, free, { kind: "tcp" }), "down: connection refused")
})

test("expect: the answer may come in pieces, after other bytes, and before the question", async (t) => {
  const redis = await serve(t, (socket) =>
    socket.on("data", (bytes) => {
      assert.equal(bytes.toString("latin1"), "PING\r\n\xff")
      for (const [at, piece] of ["-noise\r\n+PO", "N", "G\r\nmore"].entries()) {
        setTimeout(() => socket.write(piece), at * 5)
      }
    }),
  )
  const ping: HealthCheck = { kind: "expect", send: "PING\r\n\xff", expect: "+PONG\r\n" }
  assert.equal(await check(t, redis, ping), "up: answered as expected")
  const smtp = await serve(t, (socket) => socket.write("220 mail.test ESMTP\r\n"))
  assert.equal(await check(t, smtp, { kind: "expect", send: "", expect: "220 " }), "up: answered as expected")
  assert.equal(await check(t, smtp, { kind: "expect", send: "QUIT\r\n", expect: "" }), "up: sent")
})

test("expect: something else, nothing, silence and a flood are told apart", async (t) => {
  const want: HealthCheck = { kind: "expect", send: "PING\r\n", expect: "+PONG" }
  const wrong = await serve(t, (socket) => socket.end("-ERR wrong password\r\n\x1b[2J"))
  assert.equal(await check(t, wrong, want), "down: it answered something else: -ERR wrong password [2J")
  const nothing = await serve(t, (socket) => socket.end())
  assert.equal(await check(t, nothing, want), "down: it closed without an answer")
  const silent = await serve(t, (socket) => socket.resume())
  assert.equal(await check(t, silent, want, { timeoutMs: 50 }), "down: no answer within 50 ms")
  const flood = await serve(t, (socket) => {
    const more = () => {
      while (!socket.destroyed && socket.write("x".repeat(16_384)));
    }
    socket.on("drain", more)
    more()
  })
  assert.equal(await check(t, flood, want), "down: no answer within the first 64 KiB that it sent")
  const reset = await serve(t, (socket) => void socket.once("data", () => socket.resetAndDestroy()))
  assert.equal(await check(t, reset, want), "down: connection reset")
})

test("HTTP: the status decides, also behind interim answers and in single bytes", async (t) => {
  let question = ""
  const web = await serve(t, (socket) =>
    socket.on("data", (bytes) => {
      question = bytes.toString("latin1")
      const answer = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.0 204 No Content\r\n\r\n"
      for (const byte of answer) socket.write(byte)
    }),
  )
  assert.equal(await check(t, web, http()), "up: HTTP 204")
  assert.match(question, /^GET \/health\?deep=1 HTTP\/1\.1\r\n/)
  assert.match(question, new RegExp(`\r\nHost: 127\\.0\\.0\\.1:${web}\r\n`))
  assert.match(question, /\r\nConnection: close\r\n/)
  assert.equal(
    await check(t, web, http({ method: "HEAD", host: "shop.test", statuses: [[200, 200]] })),
    "down: HTTP 204",
  )
  assert.match(question, /^HEAD /)
  assert.match(question, /\r\nHost: shop\.test\r\n/)
})

test("HTTP: a bad status, another protocol, a cut answer and endless fields are down with a reason", async (t) => {
  const answers: [answer: string, reason: RegExp][] = [
    ["HTTP/1.1 503 Service Unavailable\r\n\r\n", /^down: HTTP 503$/],
    ["HTTP/1.1 101 Switching Protocols\r\n\r\n", /^down: HTTP 101$/],
    ["HTTP/1.1 100 Continue\r\n\r\n".repeat(20), /^down: HTTP 100 again and again$/],
    ["SSH-2.0-OpenSSH_9.2\r\n", /^down: .*SSH-2\.0/],
    ["HTTP/1.1 200 O", /^down: it closed within its answer$/],
    ["", /^down: it closed without an answer$/],
    [`HTTP/1.1 200 OK\r\n${"a: b\r\n".repeat(20_000)}`, /^down: /],
  ]
  for (const [answer, reason] of answers) {
    const port = await serve(t, (socket) => void socket.once("data", () => socket.end(answer)))
    assert.match(await check(t, port, http()), reason)
  }
})

test("TLS: a finished handshake is up whatever the certificate; plain text and silence are down", async (t) => {
  const { cert, key } = makeCertificate(["other.test"])
  let name: string | undefined
  const server = tls.createServer({ cert, key, SNICallback: (asked, done) => ((name = asked), done(null)) })
  server.on("tlsClientError", () => {})
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  t.after(() => server.close())
  const { port } = server.address() as net.AddressInfo
  assert.equal(await check(t, port, { kind: "tls" }), "up: TLSv1.3")
  const secured = {
    serverName: "shop.test",
    ca: undefined,
    verify: true,
    alpn: undefined,
    cert: undefined,
    key: undefined,
  }
  assert.equal(await check(t, port, { kind: "tls" }, { tls: secured }), "up: TLSv1.3")
  assert.equal(name, "shop.test")
  const plain = await serve(
    t,
    (socket) => void socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
  )
  assert.match(await check(t, plain, { kind: "tls" }), /^down: TLS: wrong version number$/)
  const { promise: gone, resolve: leave } = Promise.withResolvers<void>()
  const silent = await serve(t, (socket) => void socket.resume().once("close", leave).once("end", leave))
  assert.equal(await check(t, silent, { kind: "tls" }, { timeoutMs: 50 }), "down: no answer within 50 ms")
  await gone
  const closed = await serve(t, (socket) => void socket.once("data", () => socket.end()))
  assert.equal(await check(t, closed, { kind: "tls" }), "down: TLS: it closed the connection")
})

test("all of it works on a stream that is no socket, as targets behind agents have", async (t) => {
  const { cert, key } = makeCertificate(["web.test"])
  const ask = (what: HealthCheck) =>
    new Promise<string>((resolve) => {
      const target = targetFor("", systemClock, { address: { kind: "rdv", name: "web" } })
      const checker = new Checker({
        target,
        settings: {
          check: what,
          intervalMs: 10,
          downIntervalMs: 10,
          jitter: 0,
          timeoutMs: 3000,
          rise: 1,
          fall: 1,
          port: undefined,
        },
        clock: systemClock,
        random: new SeededRandom(1),
        connect: () => {
          const [here, there] = duplexPair()
          if (what.kind === "tls") new tls.TLSSocket(there, { isServer: true, cert, key }).on("error", () => {})
          else
            there.once("data", (bytes: Buffer) =>
              there.end(`HTTP/1.1 200 ${/Host: (\w+)/.exec(String(bytes))?.[1]}\r\n\r\n`),
            )
          return Promise.resolve(here)
        },
        onVerdict: (healthy, reason) => {
          checker.stop()
          resolve(`${healthy ? "up" : "down"}: ${reason}`)
        },
      })
      t.after(() => checker.stop())
    })
  assert.equal(await ask({ kind: "tls" }), "up: TLSv1.3")
  assert.equal(await ask(http()), "up: HTTP 200")
  assert.equal(
    await ask({ kind: "expect", send: "GET / HTTP/1.1\r\nHost: web\r\n\r\n", expect: "200 web" }),
    "up: answered as expected",
  )
})
