import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { once } from "node:events"
import { test } from "node:test"
import { WebSocket, WebSocketServer } from "ws"
import { localTunnel } from "../kit/local-tunnel.ts"
import type { LocalTunnel } from "../kit/local-tunnel.ts"
import { httpOrigin, pattern, patternHash, rawOrigin } from "../kit/origin.ts"
import { eventually, rawClient } from "../kit/raw-http.ts"

const switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n"

function upgradeRequest(host: string): string {
  return `GET /up HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: echo/1\r\n\r\n`
}

test("a WebSocket echoes messages of all sizes, in order", async () => {
  await using echo = await webSocketEcho()
  const socket = await openWebSocket(echo.tunnel)
  assert.equal(socket.protocol, "chat")
  for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
    const sent = pattern(size, size)
    socket.send(sent)
    const [back] = (await once(socket, "message")) as [Buffer]
    assert.ok(sent.equals(back), `${size} bytes`)
  }
  const count = 500
  let next = 0
  const all = new Promise<void>((resolve) => {
    socket.on("message", (message) => {
      assert.equal(String(message as Buffer), `message ${next++}`)
      if (next === count) resolve()
    })
  })
  for (let sent = 0; sent < count; sent++) socket.send(`message ${sent}`)
  await all
  socket.terminate()
})

test("a WebSocket's close codes pass both ways", async () => {
  await using echo = await webSocketEcho()
  const ours = await openWebSocket(echo.tunnel)
  const theirs = once(echo.server, "closing")
  ours.close(4001, "enough")
  assert.deepEqual(await theirs, [4001, "enough"])
  const other = await openWebSocket(echo.tunnel)
  const closed = once(other, "close") as Promise<[number, Buffer]>
  other.send("please close")
  const [code, reason] = await closed
  assert.deepEqual([code, String(reason)], [4002, "as you wish"])
  await echo.tunnel.quiet()
})

test("a WebSocket that breaks on one side breaks on the other within a second", async () => {
  await using echo = await webSocketEcho()
  const socket = await openWebSocket(echo.tunnel)
  const started = performance.now()
  const heard = once(echo.server, "closing")
  socket.terminate()
  assert.equal((await heard)[0], 1006)
  const other = await openWebSocket(echo.tunnel)
  for (const client of echo.server.clients) client.terminate()
  assert.equal((await once(other, "close"))[0], 1006)
  assert.ok(performance.now() - started < 1_000)
  await echo.tunnel.quiet()
})

test("the head of an upgrade passes as it is, and bytes behind it are not lost", async () => {
  await using origin = await rawOrigin((connection, bytes) => {
    const { socket, received } = connection
    if (received.length === bytes.length) socket.write(`${switching}early`)
    else socket.write(bytes)
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  void client.send(upgradeRequest(tunnel.host))
  const answer = await client.answer()
  assert.deepEqual([answer.status, answer.reason], [101, "Switching Protocols"])
  assert.deepEqual([answer.header("connection"), answer.header("upgrade")], ["Upgrade", "echo/1"])
  assert.equal(String(await client.take(5)), "early")
  assert.match(origin.received, /\r\nUpgrade: echo\/1\r\nConnection: Upgrade\r\n/)
  void client.send(Buffer.from([0, 1, 2, 13, 10, 255]))
  assert.deepEqual([...(await client.take(6))], [0, 1, 2, 13, 10, 255])
  client.reset()
  await eventually("the service hears of the reset", () => origin.connections[0]?.ending === "reset", 1_500)
})

test("bytes that a visitor sends before the upgrade is agreed arrive behind it", async () => {
  await using origin = await rawOrigin((connection, bytes) => {
    if (connection.received.length === bytes.length) connection.socket.write(switching)
  })
  await using tunnel = await localTunnel({ target: origin.target })
  const client = await rawClient(tunnel.port)
  void client.send(`${upgradeRequest(tunnel.host)}eager`)
  assert.equal((await client.answer()).status, 101)
  void client.send(" beaver")
  await eventually("all has arrived", () => origin.received.endsWith("\r\n\r\neager beaver"))
  client.socket.destroy()
})

test("an upgraded connection ends each way by itself, and what is said late still arrives", async () => {
  await using origin = await rawOrigin((connection, bytes) => {
    if (connection.received.length === bytes.length) connection.socket.write(switching)
  })
  await using tunnel = await localTunnel({ target: origin.target })
  for (const first of ["visitor", "service"]) {
    const client = await rawClient(tunnel.port)
    void client.send(upgradeRequest(tunnel.host))
    await client.answer()
    const service = origin.connections.at(-1)
    assert.ok(service)
    const size = 3_000_000
    if (first === "visitor") {
      client.end()
      await eventually("the service hears the end", () => service.ending === "end")
      service.socket.end(pattern(0, size))
      const { bytes, ending } = await client.rest()
      assert.equal(createHash("sha256").update(bytes).digest("hex"), patternHash(size))
      assert.equal(ending, "end")
    } else {
      service.socket.end("bye")
      assert.equal(String((await client.rest()).bytes), "bye")
      const before = service.received.length
      client.socket.end(pattern(0, size))
      await eventually(
        "the service has it all",
        () => service.received.length - before === size && service.ending === "end",
      )
      const hash = createHash("sha256")
        .update(Buffer.from(service.received.slice(before), "latin1"))
        .digest("hex")
      assert.equal(hash, patternHash(size))
    }
  }
  await tunnel.quiet()
})

test("a service that upgrades what nobody asked to upgrade is a bad answer", async () => {
  await using origin = await rawOrigin(({ socket }) => socket.write(switching))
  await using tunnel = await localTunnel({ target: origin.target })
  for (const fields of [
    "",
    "Connection: close\r\n",
    "Connection: Upgrade\r\nUpgrade: echo/1\r\nContent-Length: 2\r\n",
  ]) {
    const each = await rawClient(tunnel.port)
    void each.send(`POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\n${fields}\r\n${fields.includes("Length") ? "ab" : ""}`)
    const answer = await each.answer()
    assert.deepEqual([answer.status, answer.header("rdv-error")], [502, "bad_response"])
    each.socket.destroy()
  }
  await tunnel.quiet()
})

interface WebSocketEcho extends AsyncDisposable {
  readonly tunnel: LocalTunnel
  readonly server: WebSocketServer
}

async function webSocketEcho(): Promise<WebSocketEcho> {
  const origin = await httpOrigin()
  const server = new WebSocketServer({ server: origin.server, handleProtocols: () => "chat" })
  server.on("connection", (socket) => {
    socket.on("message", (message, binary) => {
      if (!binary && String(message as Buffer) === "please close") socket.close(4002, "as you wish")
      else socket.send(message as Buffer, { binary })
    })
    socket.on("close", (code, reason) => server.emit("closing", code, String(reason)))
  })
  const tunnel = await localTunnel({ target: origin.target })
  return {
    tunnel,
    server,
    async [Symbol.asyncDispose]() {
      for (const client of server.clients) client.terminate()
      await tunnel[Symbol.asyncDispose]()
      await origin[Symbol.asyncDispose]()
    },
  }
}

async function openWebSocket(tunnel: LocalTunnel): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${tunnel.port}/chat`, ["chat"], { headers: { Host: tunnel.host } })
  await once(socket, "open")
  return socket
}
