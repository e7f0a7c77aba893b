/** Requests that come before the answers to earlier ones are read: memory and credit of one answer are not the next one's. */

import assert from "node:assert/strict"
import { once } from "node:events"
import * as http from "node:http"
import type * as net from "node:net"
import { test } from "node:test"
import { localTunnel } from "../kit/local-tunnel.ts"
import { eventually, rawClient } from "../kit/raw-http.ts"

/** More than the kernel's buffers hold. */
const bodyBytes = 24 * 1024 * 1024
/** So much of an answer may wait in the relay. */
const sessionLimits = {
  startWindowBytes: 32 * 1024 * 1024,
  maxWindowBytes: 32 * 1024 * 1024,
  sessionWindowBytes: 2 ** 29,
}

/** Every 4 bytes tell where they belong. */
function pattern(seed: number): Buffer {
  const body = Buffer.alloc(bodyBytes)
  for (let at = 0; at < bodyBytes; at += 4) body.writeUInt32BE((seed * 0x1000000 + at / 4) >>> 0, at)
  return body
}

test("answers to pipelined requests reach a slow reader unchanged", async (t) => {
  const bodies = [pattern(1), pattern(2), pattern(3)]
  const server = http.createServer((request, response) => response.end(bodies[Number(request.url?.slice(1))]))
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await using tunnel = await localTunnel({
    target: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    sessionLimits,
  })
  const client = await rawClient(tunnel.port)
  client.socket.pause()
  await client.send(bodies.map((_, at) => `GET /${at} HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`).join(""))
  const timer = setInterval(() => (client.socket.isPaused() ? client.socket.resume() : client.socket.pause()), 100)
  t.after(() => clearInterval(timer))
  for (const [at, body] of bodies.entries()) {
    const answer = await client.answer()
    assert.equal(answer.status, 200)
    assert.ok(answer.body.equals(body), `the body of answer ${at}`)
  }
  client.socket.destroy()
})

test("a keep-alive connection is not idle while its last answer is still being read", async (t) => {
  const body = pattern(1)
  const server = http.createServer((_request, response) => response.end(body)).listen(0, "127.0.0.1")
  await once(server, "listening")
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  await using tunnel = await localTunnel({
    target: `127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    limits: { idleMs: 300 },
    sessionLimits,
  })
  const client = await rawClient(tunnel.port)
  client.socket.pause()
  await client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`)
  await eventually("the answer waits in the relay for its reader", () => tunnel.held().streams === 0)
  for (let round = 0; round < 2; round++) {
    const idle = await rawClient(tunnel.port)
    await idle.send("GET / HTTP/1.1\r\nHost: nobody.localhost\r\n\r\n")
    await idle.answer()
    await idle.rest()
    idle.socket.destroy()
  }
  await eventually("those who came later and were idle are gone", () => tunnel.held().visitors === 1)
  client.socket.resume()
  assert.equal((await client.answer()).body.length, body.length)
  client.socket.destroy()
})
