import assert from "node:assert/strict"
import { createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"
import { createServer as createPlainServer } from "node:net"
import type { Server, Socket } from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { WebSocketServer } from "ws"
import type { WebSocket } from "ws"
import { makeCertificate } from "../../../../test/kit/certificates.ts"
import { connectTo, listening, loadTarget, textMessage } from "../../../../test/kit/load-client.ts"

async function serve(
  t: TestContext,
  onSocket: (socket: WebSocket, path: string) => void,
  server = createServer(),
): Promise<number> {
  const webSockets = new WebSocketServer({ server })
  webSockets.on("connection", (socket, { url }) => onSocket(socket, url ?? ""))
  return open(t, server)
}

function open(t: TestContext, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on("connection", (socket: Socket) => sockets.add(socket))
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return listening(server)
}

function echo(socket: WebSocket): void {
  socket.on("message", (data: Buffer, binary) => socket.send(data, { binary }))
}

test("exchanges over ws and wss: echo, size and match; the message is not changed; the end is in good order", async (t) => {
  const pair = makeCertificate()
  const servers = [
    ["ws", createServer()],
    ["wss", createSecureServer(pair)],
  ] as const
  for (const [protocol, server] of servers) {
    const port = await serve(t, echo, server)
    const target = loadTarget(protocol, port, { path: "/chat?x=1", tls: { insecure: false, ca: pair.ca } })
    const exchange = connectTo(target)
    await exchange.opened
    const message = textMessage("hello world")
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(await exchange.ask(message), { bytes: 11, wrong: undefined, usable: true })
    }
    const plain = new Uint8Array(Buffer.alloc(100_000, "x"))
    assert.equal((await exchange.ask({ bytes: plain, content: plain, expect: { kind: "echo" } }))?.wrong, undefined)
    assert.equal(plain[50_000], 120)
    assert.equal(
      (await exchange.ask(textMessage("abc", { kind: "match", pattern: "B", flags: "i" })))?.wrong,
      undefined,
    )
    assert.equal((await exchange.ask(textMessage("abc", { kind: "size", bytes: 4 })))?.wrong?.kind, "wrong answer")
    exchange.client.close()
    assert.equal(await exchange.closed, undefined)
  }
})

test("texts go as text, bytes as bytes, to the path and host that were given", async (t) => {
  const heard: string[] = []
  const port = await serve(t, (socket, path) => {
    socket.on("message", (data: Buffer, binary) => {
      heard.push(`${path} ${binary ? "bytes" : "text"}`)
      socket.send(data)
    })
  })
  for (const messages of [
    { kind: "text", text: "x" },
    { kind: "random", bytes: 4 },
  ] as const) {
    const exchange = connectTo(loadTarget("ws", port, { path: "/a" }), { messages })
    await exchange.opened
    assert.equal((await exchange.ask(textMessage("x")))?.wrong, undefined)
    exchange.client.close()
    await exchange.closed
  }
  assert.deepEqual(heard, ["/a text", "/a bytes"])
})

test("a handshake that is refused is a status; a server that speaks otherwise is a protocol error", async (t) => {
  const refusing = await open(
    t,
    createServer((_incoming, response) => void response.writeHead(403).end()),
  )
  const error = await connectTo(loadTarget("ws", refusing)).closed
  assert.deepEqual(error, {
    kind: "status",
    detail: `127.0.0.1:${refusing} answered the WebSocket handshake with status 403`,
  })
  const lying = createServer()
  lying.on("upgrade", (_incoming, socket) => {
    socket.write("HTTP/1.1 101 Yes\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n")
  })
  assert.equal((await connectTo(loadTarget("ws", await open(t, lying))).closed)?.kind, "protocol")
  const other = createPlainServer((socket) => void socket.end("SSH-2.0-x\r\n"))
  assert.equal((await connectTo(loadTarget("ws", await open(t, other))).closed)?.kind, "protocol")
  const leaving = createPlainServer((socket) => socket.on("data", () => void socket.end()))
  assert.equal((await connectTo(loadTarget("ws", await open(t, leaving))).closed)?.kind, "closed early")
})

test("a close instead of an answer is told with its code, a reset as a reset, a frame against the rules as protocol", async (t) => {
  const raw = (socket: WebSocket) => (socket as unknown as { _socket: Socket })._socket
  const port = await serve(t, (socket, path) => {
    socket.on("error", () => undefined)
    socket.on("message", () => {
      if (path === "/close") socket.close(1011, "no")
      else if (path === "/reset") raw(socket).resetAndDestroy()
      else if (path === "/end") raw(socket).destroy()
      else raw(socket).write(Buffer.from([0xff, 0xff, 0xff]))
    })
  })
  const kinds = { "/close": "closed early", "/reset": "reset", "/end": "closed early", "/garbage": "protocol" }
  for (const [path, kind] of Object.entries(kinds)) {
    const exchange = connectTo(loadTarget("ws", port, { path }))
    await exchange.opened
    assert.equal(await exchange.ask(textMessage("x")), undefined)
    assert.equal((await exchange.closed)?.kind, kind, path)
    assert.deepEqual(exchange.told, ["opened", "closed"])
  }
})

test("a second answer was not asked for; an idle close by the server is in good order", async (t) => {
  const port = await serve(t, (socket, path) => {
    if (path === "/leave") socket.close(1001)
    socket.on("message", (data) => {
      socket.send(data as Buffer)
      socket.send(data as Buffer)
    })
  })
  const twice = connectTo(loadTarget("ws", port))
  await twice.opened
  assert.equal((await twice.ask(textMessage("x")))?.wrong, undefined)
  assert.equal((await twice.closed)?.kind, "protocol")
  assert.equal(await connectTo(loadTarget("ws", port, { path: "/leave" })).closed, undefined)
})

test("what is cut is closed once, in whatever state", async (t) => {
  const port = await serve(t, () => undefined)
  const early = connectTo(loadTarget("ws", port))
  early.client.cut()
  assert.equal(await early.closed, undefined)
  const busy = connectTo(loadTarget("ws", port))
  await busy.opened
  const answer = busy.ask(textMessage("x"))
  busy.client.cut()
  busy.client.cut()
  assert.equal(await answer, undefined)
  assert.equal((await busy.closed)?.kind, "other")
  assert.deepEqual(busy.told, ["opened", "closed"])
})

test("a slow WebSocket client keeps to its limits", async (t) => {
  const port = await serve(t, echo)
  const pace = { readBytesPerSecond: 40_000, writeBytesPerSecond: 40_000 }
  const exchange = connectTo(loadTarget("ws", port), { pace })
  await exchange.opened
  const begun = performance.now()
  const content = Buffer.alloc(8000, "x")
  assert.equal((await exchange.ask({ bytes: content, content, expect: { kind: "echo" } }))?.wrong, undefined)
  // 200 ms each way, less what may pass at once; the two overlap but for the server's wait for the whole message.
  assert.ok(performance.now() - begun > 300, `${performance.now() - begun} ms`)
  exchange.client.close()
  assert.equal(await exchange.closed, undefined)
})
