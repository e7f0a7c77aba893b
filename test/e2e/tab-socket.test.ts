import assert from "node:assert/strict"
import { on, once } from "node:events"
import type { Socket } from "node:net"
import { test } from "node:test"
import { WebSocket } from "ws"
import type { TabApp } from "../../src/capabilities/tab/app/app.ts"
import type { TabSocket } from "../../src/capabilities/tab/app/socket.ts"
import { visitorOf } from "../../src/capabilities/tab/app/visitor.ts"
import { publicApp } from "../kit/public-app.ts"
import type { PublicApp } from "../kit/public-app.ts"
import { eventually, rawClient } from "../kit/raw-http.ts"
import { kernelBytes, standstill } from "../kit/standstill.ts"

const mebibyte = 1024 * 1024

const echo: TabApp = {
  fetch: () => new Response("no socket"),
  async socket(socket) {
    for await (const message of socket.messages) await socket.send(message)
  },
}

test("messages of all sizes come back, texts as texts and bytes as bytes", async () => {
  await using app = await publicApp(echo)
  const { socket } = await connect(app)
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 3 * mebibyte]) {
    const bytes = Buffer.alloc(size, size & 255)
    socket.send(bytes)
    const [back, isBinary] = (await once(socket, "message")) as [Buffer, boolean]
    assert.ok(isBinary && bytes.equals(back), `${size} bytes`)
  }
  socket.send("grüße, 世界")
  const [text, isBinary] = (await once(socket, "message")) as [Buffer, boolean]
  assert.deepEqual([String(text), isBinary], ["grüße, 世界", false])
  socket.terminate()
  await app.quiet()
})

test("a thousand messages at once come back in order, and pings are answered", async () => {
  await using app = await publicApp(echo)
  const { socket, closed } = await connect(app)
  const got: string[] = []
  socket.on("message", (message) => got.push(String(message as Buffer)))
  const pong = once(socket, "pong") as Promise<[Buffer]>
  for (let sent = 0; sent < 1000; sent++) socket.send(`message ${sent}`)
  socket.ping("here")
  assert.equal(String((await pong)[0]), "here")
  await eventually("all are back", () => got.length === 1000)
  assert.ok(got.every((text, at) => text === `message ${at}`))
  socket.close()
  await closed
  await app.quiet()
})

test("closes pass both ways with code and reason", async () => {
  const ends: unknown[] = []
  await using app = await publicApp({
    ...echo,
    async socket(socket) {
      void socket.closed.then((end) => ends.push(end))
      for await (const message of socket.messages) if (message === "go") socket.close(4002, "as you wish")
    },
  })
  const ours = await connect(app)
  ours.socket.close(4001, "enough")
  assert.equal((await ours.closed).code, 4001)
  await eventually("the application knows", () => ends.length === 1)
  assert.deepEqual(ends[0], { code: 4001, reason: "enough" })
  const theirs = await connect(app)
  theirs.socket.send("go")
  assert.deepEqual(await theirs.closed, { code: 4002, reason: "as you wish" })
  const rude = await connect(app)
  rude.socket.terminate()
  await eventually("the application knows", () => ends.length === 3)
  assert.deepEqual(ends[2], { code: 1006, reason: "" })
  await app.quiet()
})

test("an application refuses by throwing, later by closing; without sockets there is 426", async () => {
  await using app = await publicApp({
    ...echo,
    async socket(socket, request) {
      const path = new URL(request.url).pathname
      await Promise.resolve()
      if (path === "/error") throw new Error("members only")
      // oxlint-disable-next-line typescript/only-throw-error -- a response that is thrown is the refusal
      if (path === "/response") throw stranger()
      await socket.send("hello")
      throw new Error("a bug")
    },
  })
  assert.deepEqual(await refused(app, "/error"), 403)
  assert.deepEqual(await refused(app, "/response"), 401)
  const { next, closed } = await connect(app, "/")
  assert.equal(await next(), "hello")
  assert.deepEqual(await closed, { code: 1011, reason: "the application failed" })
  await app.quiet()
  await using plain = await publicApp({ fetch: () => new Response("plain") })
  assert.equal(await refused(plain, "/"), 426)
})

test("the application sees the request, and the first protocol that was offered is taken", async () => {
  await using app = await publicApp({
    ...echo,
    async socket(socket, request) {
      const visitor = visitorOf(request)
      await socket.send(JSON.stringify([new URL(request.url).search, request.headers.get("x-a"), visitor.kind]))
    },
  })
  const { socket, next } = await connect(app, "/?q=1", ["chat.2", "chat"])
  assert.equal(socket.protocol, "chat.2")
  assert.deepEqual(JSON.parse(await next()), ["?q=1", "b", "public"])
  socket.terminate()
})

test("a client that does not read stops the application's sending, and the other way round", async () => {
  let sent = 0
  let reading: (() => void) | undefined
  const gate = new Promise<void>((resolve) => (reading = resolve))
  let read = 0
  await using app = await publicApp({
    ...echo,
    async socket(socket, request) {
      if (request.url.endsWith("/out")) await fill(socket, () => sent++)
      else {
        await socket.send("ready")
        await gate
        for await (const message of socket.messages) read += message.length
      }
    },
  })
  const { socket: out } = await connect(app, "/out")
  out.pause()
  await standstill(() => sent)
  // What is on its way in the kernel is nobody's memory of ours.
  const ahead = sent * piece.length - kernelBytes(portOf(out))
  console.log(`# the application is ${(ahead / mebibyte).toFixed(1)} MiB ahead of the sockets`)
  assert.ok(ahead <= 8 * mebibyte, `${ahead} bytes ahead`)
  out.terminate()
  const { socket: into } = await connect(app, "/in")
  const message = Buffer.alloc(65_536)
  const total = 32 * mebibyte
  for (let at = 0; at < total; at += message.length) into.send(message)
  await standstill(() => into.bufferedAmount)
  const swallowed = total - into.bufferedAmount - kernelBytes(portOf(into))
  assert.ok(swallowed <= 8 * mebibyte, `${swallowed} bytes ahead`)
  reading?.()
  await eventually("all arrived", () => read === total)
  into.terminate()
  await app.quiet()
})

test("what breaks the protocol is told and the connection ends", async () => {
  await using app = await publicApp(echo)
  const client = await rawClient(app.port)
  const key = "dGhlIHNhbXBsZSBub25jZQ=="
  const upgrade = (more: string) =>
    `GET / HTTP/1.1\r\nHost: ${app.host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n${more}\r\n\r\n`
  await client.send(upgrade(`Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}`))
  const head = await client.takeUntil("\r\n\r\n")
  assert.match(head, /^HTTP\/1\.1 101 /)
  // The example of RFC 6455 section 1.3.
  assert.match(head, /^Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r$/im)
  await client.send(Uint8Array.from([0x81, 5, 104, 101, 108, 108, 111]))
  const { bytes } = await client.rest()
  assert.deepEqual([bytes[0], bytes.readUInt16BE(2)], [0x88, 1002])
  client.reset()
  for (const [fields, status] of [
    [`Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: ${key}`, 426],
    ["Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short", 400],
    ["Sec-WebSocket-Version: 13", 400],
  ] as const) {
    const other = await rawClient(app.port)
    await other.send(upgrade(fields))
    assert.equal((await other.answer()).status, status)
    other.reset()
  }
  await app.quiet()
})

test("a server that drains closes its sockets with 1001", async () => {
  await using app = await publicApp(echo)
  const { closed } = await connect(app)
  await app.server.drain(5_000)
  assert.equal((await closed).code, 1001)
})

function stranger(): Response {
  return new Response("who are you?", { status: 401, headers: { "www-authenticate": "Basic" } })
}

interface Client {
  readonly socket: WebSocket
  /** The next message, also one that came with the answer to the upgrade. */
  next(): Promise<string>
  readonly closed: Promise<{ code: number; reason: string }>
}

async function connect(app: PublicApp, path = "/", protocols: string[] = []): Promise<Client> {
  const headers = { host: app.host, "x-a": "b" }
  const socket = new WebSocket(`ws://127.0.0.1:${app.port}${path}`, protocols, { headers, maxPayload: 0 })
  const messages = on(socket, "message") as AsyncIterableIterator<[Buffer]>
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on("close", (code, reason) => resolve({ code, reason: String(reason) }))
  })
  await once(socket, "open")
  return { socket, closed, next: async () => String((await messages.next()).value[0]) }
}

async function refused(app: PublicApp, path: string): Promise<number | undefined> {
  const socket = new WebSocket(`ws://127.0.0.1:${app.port}${path}`, { headers: { host: app.host } })
  socket.on("error", () => undefined)
  const [, answer] = (await once(socket, "unexpected-response")) as [unknown, { statusCode?: number }]
  socket.terminate()
  return answer.statusCode
}

const piece = new Uint8Array(65_536)

/** ws keeps its socket to itself. */
function portOf(socket: WebSocket): number {
  return (socket as unknown as { _socket: Socket })._socket.localPort ?? 0
}

/** Pieces until the socket is closed. */
async function fill(socket: TabSocket, count: () => void): Promise<void> {
  for (;;) {
    const failed = await socket.send(piece).then(
      () => false,
      () => true,
    )
    if (failed) return
    count()
  }
}
