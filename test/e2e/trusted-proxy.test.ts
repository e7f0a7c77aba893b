/** A relay behind a reverse proxy: whose word about visitors counts, and what is done by it. */

import assert from "node:assert/strict"
import { once } from "node:events"
import type { ServerResponse } from "node:http"
import * as net from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import type { LogFields } from "../../src/base/log.ts"
import { silentLog } from "../../src/base/log.ts"
import { startAgent, startRelay } from "../../src/node.ts"
import { assertOneLine, runCommand, startRelayCommand, temporaryFolder } from "../kit/command.ts"
import { localTunnel } from "../kit/local-tunnel.ts"
import { answerEach, httpOrigin, rawOrigin } from "../kit/origin.ts"
import { eventually, rawClient } from "../kit/raw-http.ts"

const empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

test("a trusted proxy's word is kept and continued, another one for each request; what else it passes on is dropped", async () => {
  await using origin = await rawOrigin(answerEach(empty))
  await using tunnel = await localTunnel({ target: origin.target, trustProxy: ["10.0.0.0/8", "loopback"] })
  const client = await rawClient(tunnel.port)
  const seen = async (...lines: string[]) => {
    await client.send(`GET / HTTP/1.1\r\n${[`Host: ${tunnel.host}`, ...lines].join("\r\n")}\r\n\r\n`)
    assert.equal((await client.answer()).status, 200)
    return (origin.received.split("\r\n\r\n").at(-2) as string).split("\r\n").slice(2)
  }
  const last = `for=127.0.0.1;host=${tunnel.host};proto=http`
  assert.deepEqual(
    await seen(
      "X-Real-IP: 1.1.1.1",
      "X-Forwarded-For: 192.0.2.66, 192.0.2.1",
      "X_Forwarded_For: 1.1.1.1",
      "X-Forwarded-Proto: https",
      "X-Forwarded-Port: 443",
      "X-Forwarded-For: 10.0.0.1",
    ),
    [
      "X-Forwarded-For: 192.0.2.66, 192.0.2.1, 10.0.0.1, 127.0.0.1",
      "X-Forwarded-Proto: https",
      `X-Forwarded-Host: ${tunnel.host}`,
      `Forwarded: for=192.0.2.1;host=${tunnel.host};proto=https, ${last}`,
    ],
  )
  assert.deepEqual(
    await seen("Forwarded: for=192.0.2.2;proto=https", "X-Forwarded-For: 192.0.2.2", "X-Forwarded-Host: a.test"),
    [
      "X-Forwarded-For: 192.0.2.2, 127.0.0.1",
      "X-Forwarded-Proto: http",
      "X-Forwarded-Host: a.test",
      `Forwarded: for=192.0.2.2;proto=https, ${last}`,
    ],
  )
  assert.deepEqual(await seen(), [
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-Proto: http",
    `X-Forwarded-Host: ${tunnel.host}`,
    `Forwarded: ${last}`,
  ])
  client.socket.destroy()
})

test("who is no trusted proxy is a stranger, also where others are trusted", async () => {
  await using origin = await rawOrigin(answerEach(empty))
  await using tunnel = await localTunnel({ target: origin.target, trustProxy: ["127.0.0.2", "private"] })
  const client = await rawClient(tunnel.port)
  await client.send(`GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n`)
  await client.answer()
  assert.match(origin.received, /\r\nX-Forwarded-For: 127\.0\.0\.1\r\n/)
  assert.match(origin.received, /\r\nForwarded: for=127\.0\.0\.1;/)
  client.socket.destroy()
})

test("visitors behind a trusted proxy are bounded each by itself, by what they have under way", async () => {
  const waiting: ServerResponse[] = []
  await using origin = await httpOrigin((request, response) => {
    if (request.url === "/wait") waiting.push(response)
    else response.end("here")
  })
  await using tunnel = await localTunnel({
    target: origin.target,
    trustProxy: ["loopback"],
    limits: { visitorsPerAddress: 1 },
  })
  const connect = async () => {
    const client = await rawClient(tunnel.port)
    return async (path: string, from: string) => {
      const lines = [`Host: ${tunnel.host}`, `X-Forwarded-For: ${from}`]
      await client.send(`GET ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`)
      return client
    }
  }
  const [first, second] = [await connect(), await connect()]
  const held = await first("/wait", "192.0.2.1")
  await eventually("it is at the service", () => waiting.length === 1)
  const status = async (from: string) => (await (await second("/", from)).answer()).status
  assert.equal(await status("192.0.2.1"), 429)
  assert.equal(await status("192.0.2.2"), 200, "the same connection serves others")
  // What cannot be read is the proxy's own: it is let in as the only one of its kind.
  assert.equal(await status("192.0.2.1, garbage"), 200)
  assert.equal(await status("203.0.113.7, 192.0.2.1"), 429, "what a visitor claims does not make it another one")
  waiting[0]?.end("done")
  assert.equal((await held.answer()).status, 200)
  assert.equal(await status("192.0.2.1"), 200, "it has nothing under way any more")
  for (const client of [held, await second("/", "192.0.2.1")]) client.socket.destroy()
  await eventually("nobody is counted any more", () => tunnel.relay.relay.http.status().addresses === 0)
})

test("a visitor that leaves within its request, or is upgraded and leaves, is counted no longer", async () => {
  await using origin = await rawOrigin(({ socket, received }) => {
    if (received.includes("Upgrade")) socket.write("HTTP/1.1 101 OK\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
  })
  await using tunnel = await localTunnel({ target: origin.target, trustProxy: ["loopback"] })
  const upgrade = "Connection: Upgrade\r\nUpgrade: x\r\n\r\n"
  for (const rest of ["\r\n", "Content-Length: 5\r\n\r\n", upgrade]) {
    const client = await rawClient(tunnel.port)
    await client.send(`POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nX-Forwarded-For: 192.0.2.1\r\n${rest}`)
    if (rest === upgrade) await client.takeUntil("\r\n\r\n")
    const addresses = () => tunnel.relay.relay.http.status().addresses
    await eventually("it is counted", () => addresses() === 1)
    client.reset()
    await eventually("it is counted no longer", () => addresses() === 0)
  }
})

/** A proxy that says so of everybody: a line more in the first head, then bytes. */
async function sayingProxy(t: TestContext, port: number, line: string): Promise<string> {
  const server = net.createServer((visitor) => {
    const relay = net.connect(port, "127.0.0.1")
    visitor.once("data", (bytes) => {
      relay.write(bytes.toString("latin1").replace("\r\n", `\r\n${line}\r\n`), "latin1")
      visitor.pipe(relay).pipe(visitor)
    })
    for (const socket of [visitor, relay]) {
      t.after(() => socket.destroy())
      socket.on("error", () => undefined)
    }
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
}

test("agents behind a trusted proxy have their own address in the log, and their own bound of failed tokens", async (t) => {
  const said: { event: string; fields: LogFields | undefined }[] = []
  const note = (event: string, fields?: LogFields) => void said.push({ event, fields })
  const running = await startRelay({
    listen: ["127.0.0.1:0"],
    store: ":memory:",
    log: { ...silentLog, info: note, warn: note },
    trustProxy: ["loopback"],
    limits: { authBurst: 1 },
  })
  t.after(() => running.stop())
  const [address] = running.addresses
  assert.ok(address !== undefined && "port" in address)
  const { token } = running.store.createToken({ name: "good" })
  const outcome = async (from: string, given: string) => {
    const relay = await sayingProxy(t, address.port, `X-Forwarded-For: ${from}`)
    const { promise, resolve } = Promise.withResolvers<string>()
    const agent = startAgent({
      relay,
      token: given,
      log: silentLog,
      onEvent: (event) => resolve("error" in event ? event.error.code : event.kind),
    })
    const first = await promise
    await agent.stop()
    return first
  }
  const wrong = `${token.slice(0, -1)}${token.endsWith("0") ? "1" : "0"}`
  assert.equal(await outcome("192.0.2.1", wrong), "unauthorized")
  assert.equal(await outcome("192.0.2.1", token), "rate_limited")
  assert.equal(await outcome("192.0.2.2", token), "up")
  const fields = (event: string) => said.find((each) => each.event === event)?.fields
  assert.equal(fields("auth.refused")?.["address"], "192.0.2.1")
  assert.equal(fields("session.opened")?.["peer"], "192.0.2.2")
})

test("a mistyped proxy is one line with its mend, by flag and by variable; right ones are taken by both", async () => {
  using folder = temporaryFolder()
  const data = folder.path
  const line = /^rdv: "10\.0\.0\.0\/99" cannot be a trusted proxy: .*: write --trust-proxy 10\.0\.0\.1, /
  assertOneLine(await runCommand(["relay", "--trust-proxy", "loopback,10.0.0.0/99"], { data }), 2, line)
  const env = { RDV_TRUST_PROXY: "10.0.0.0/99" }
  assertOneLine(await runCommand(["relay", "--listen", "127.0.0.1:0"], { data, env }), 2, line)
  const words = ["--trust-proxy", "private, 192.0.2.1", "--trust-proxy", "fd00::/8"]
  const { relay } = await startRelayCommand(words, { data, env })
  await relay[Symbol.asyncDispose]()
})
