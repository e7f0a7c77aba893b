import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import * as http from "node:http"
import { text } from "node:stream/consumers"
import { test } from "node:test"
import { localTunnel } from "../kit/local-tunnel.ts"
import type { LocalTunnel } from "../kit/local-tunnel.ts"
import { drained, httpOrigin, pattern, patternHash, rawOrigin, torture } from "../kit/origin.ts"
import type { Echo } from "../kit/origin.ts"
import { eventually, rawClient, rawExchange, standsStill } from "../kit/raw-http.ts"

const sizes = [0, 1, 65_535, 65_536, 65_537, 5 * 1024 * 1024]
const mebibyte = 1024 * 1024

test("every method passes as it was sent, known to Node or not", async () => {
  await using origin = await rawOrigin(({ socket, received }) => {
    const method = received
      .slice(received.lastIndexOf("\r\n\r\n", received.length - 5) + 1)
      .trimStart()
      .split(" ")[0]
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${method?.length}\r\n\r\n${method === "HEAD" ? "" : method}`)
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH", "get"]
  for (const method of [...methods, "x!#$%&'*+-.^_`|~9"]) {
    const answer = await rawExchange(tunnel.port, `${method} /m HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    assert.equal(answer.status, 200, method)
    assert.equal(answer.header("content-length"), String(method.length))
    assert.equal(answer.body.toString(), method === "HEAD" ? "" : method)
  }
})

test("OPTIONS * and absolute targets reach the service in its form", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  await rawExchange(tunnel.port, `OPTIONS * HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  await rawExchange(tunnel.port, `GET http://${tunnel.host}/a?b HTTP/1.1\r\nHost: other\r\n\r\n`)
  assert.deepEqual(origin.requests, ["OPTIONS *", "GET /a?b"])
})

for (const chunked of [false, true]) {
  const framing = chunked ? "chunked" : "content-length"

  test(`bodies of all sizes go up unchanged, ${framing}`, async () => {
    await using origin = await httpOrigin()
    await using tunnel = await localTunnel({ target: origin.target })
    for (const size of sizes) {
      const echo = JSON.parse((await upload(tunnel, "/echo", size, chunked)).toString()) as Echo
      assert.equal(echo.bytes, size)
      assert.equal(echo.sha256, patternHash(size), `${size} bytes`)
      const names = echo.headers.filter((_name, at) => at % 2 === 0).map((name) => name.toLowerCase())
      assert.equal(names.includes("transfer-encoding"), chunked)
      assert.equal(names.includes("content-length"), !chunked)
    }
    assert.equal(origin.accepted, 1, "one connection served them all")
  })

  test(`bodies of all sizes come down unchanged, ${framing}`, async () => {
    await using origin = await httpOrigin()
    await using tunnel = await localTunnel({ target: origin.target })
    const client = await rawClient(tunnel.port)
    for (const size of sizes) {
      const query = `n=${size}${chunked ? "&chunked" : ""}&piece=50000`
      void client.send(`GET /bytes?${query} HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
      const answer = await client.answer()
      assert.equal(sha256(answer.body), patternHash(size), `${size} bytes`)
      assert.equal(answer.header("content-length"), chunked ? undefined : String(size))
    }
    client.socket.destroy()
    await tunnel.quiet()
    assert.equal(origin.accepted, 1)
  })
}

test("a body goes both ways at once", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  for (const chunked of [false, true]) {
    const back = await upload(tunnel, "/mirror", 5 * mebibyte, chunked)
    assert.equal(sha256(back), patternHash(5 * mebibyte))
  }
})

test("curl sends and receives a body unchanged", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const url = `http://127.0.0.1:${tunnel.port}/mirror`
  const curl = spawn("curl", ["-sS", "--fail", "-H", `Host: ${tunnel.host}`, "-T", "-", url])
  curl.stdin.end(pattern(0, mebibyte))
  const parts: Buffer[] = []
  const complaint = text(curl.stderr)
  for await (const part of curl.stdout) parts.push(part as Buffer)
  assert.equal(await complaint, "")
  assert.equal(sha256(Buffer.concat(parts)), patternHash(mebibyte))
})

test("a hundred downloads of odd sizes at once are all unchanged", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const run = async (index: number) => {
    const client = await rawClient(tunnel.port)
    for (let round = 0; round < 3; round++) {
      const size = (index * 7919 + round * 65_537) % 300_000
      const piece = 500 + ((index * 977) % 40_000)
      const query = `n=${size}&piece=${piece}${round % 2 === 0 ? "&chunked" : ""}`
      void client.send(`GET /bytes?${query} HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
      assert.equal(sha256((await client.answer()).body), patternHash(size), query)
    }
    client.socket.destroy()
  }
  await Promise.all(Array.from({ length: 100 }, (_, index) => run(index)))
})

test("twenty uploads in pieces of odd sizes at once are all unchanged", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const run = async (index: number) => {
    const client = await rawClient(tunnel.port)
    const size = 200_000 + index * 40_009
    const send = async () => {
      await client.send(`POST /echo HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: ${size}\r\n\r\n`)
      for (let at = 0, piece = 1 + index; at < size; at += piece, piece = (piece * 31 + 17) % 90_000) {
        piece += 1
        await client.send(pattern(at, Math.min(piece, size - at)))
      }
    }
    void send()
    const echo = JSON.parse((await client.answer()).body.toString()) as Echo
    assert.equal(echo.sha256, patternHash(size))
    client.socket.destroy()
  }
  await Promise.all(Array.from({ length: 20 }, (_, index) => run(index)))
})

test("a visitor that does not read stops the service, and nothing piles up", async () => {
  let written = 0
  await using origin = await httpOrigin(async (_request, response) => {
    response.on("error", () => undefined)
    const piece = Buffer.alloc(65_536)
    while (!response.destroyed && written < 512 * mebibyte) {
      written += piece.length
      if (!response.write(piece)) await drained(response)
    }
    response.end()
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  client.socket.pause()
  void client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  await standsStill(() => written)
  // Windows of the session and socket buffers of four connections.
  assert.ok(written < 40 * mebibyte, `the service could send ${written} bytes`)
  assert.ok(written > 0)
  client.reset()
  await tunnel.quiet()
})

test("a service that does not read stops the visitor, and nothing piles up", async () => {
  await using origin = await rawOrigin(undefined, ({ socket }) => socket.pause())
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  let sent = 0
  const send = async () => {
    await client.send(`POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nTransfer-Encoding: chunked\r\n\r\n`)
    const piece = Buffer.concat([Buffer.from("10000\r\n"), Buffer.alloc(65_536), Buffer.from("\r\n")])
    while (!client.socket.destroyed) {
      await client.send(piece)
      sent += piece.length
    }
  }
  const sending = send()
  await standsStill(() => sent)
  assert.ok(sent < 40 * mebibyte, `the visitor could send ${sent} bytes`)
  assert.ok(sent > 0)
  origin.connections[0]?.socket.destroy()
  await client.rest()
  client.socket.destroy()
  await sending
  await tunnel.quiet()
})

test("a slow reader does not slow down others", async () => {
  await using origin = await httpOrigin()
  await using tunnel = await localTunnel({ target: origin.target })
  const slow = await rawClient(tunnel.port)
  slow.socket.pause()
  void slow.send(`GET /bytes?n=${64 * mebibyte} HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  await eventually("the slow one has begun", () => tunnel.held().streams === 1)
  const quick = await rawClient(tunnel.port)
  const started = performance.now()
  for (let round = 0; round < 50; round++) {
    void quick.send(`GET /bytes?n=100 HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
    assert.equal((await quick.answer()).body.length, 100)
  }
  assert.ok(performance.now() - started < 2_000)
  slow.socket.destroy()
  quick.socket.destroy()
  await tunnel.quiet()
})

test("a slow reader of a last answer gets all of it, long after the service has finished", async () => {
  await using origin = await httpOrigin(async (request, response) => {
    response.setHeader("Connection", "close")
    await torture(request, response)
  })
  await using tunnel = await localTunnel({ target: origin.target, sessionLimits: { maxWindowBytes: 16 * mebibyte } })
  const client = await rawClient(tunnel.port)
  client.socket.pause()
  const size = 12 * mebibyte
  void client.send(`GET /bytes?n=${size} HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\n\r\n`)
  // Longer than a connection that was told goodbye may linger.
  await new Promise((resolve) => setTimeout(resolve, 3_000))
  client.socket.resume()
  assert.equal(sha256((await client.answer()).body), patternHash(size))
})

async function upload(tunnel: LocalTunnel, path: string, size: number, chunked: boolean): Promise<Buffer> {
  const headers = { Host: tunnel.host, ...(!chunked && { "Content-Length": size }) }
  const request = http.request({ port: tunnel.port, host: "127.0.0.1", method: "POST", path, headers })
  if (chunked) request.flushHeaders()
  const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
    request.on("response", resolve).on("error", reject)
  })
  const write = async () => {
    for (let at = 0; at < size; at += 30_011) {
      const taken = request.write(pattern(at, Math.min(30_011, size - at)))
      if (!taken) await new Promise<void>((resolve) => request.once("drain", resolve))
    }
    request.end()
  }
  const writing = write()
  const parts: Buffer[] = []
  for await (const part of await answered) parts.push(part as Buffer)
  await writing
  return Buffer.concat(parts)
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex")
}
