import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:net"
import type { Socket } from "node:net"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { connectTo, listening, loadTarget } from "../../../../test/kit/load-client.ts"

async function serve(t: TestContext, onSocket: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    socket.on("error", () => undefined)
    sockets.push(socket)
    onSocket(socket)
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return listening(server)
}

test("a slow writer sends in small pieces, so many bytes a second", async (t) => {
  const pieces: number[] = []
  const port = await serve(t, (socket) => {
    let total = 0
    socket.on("data", (bytes) => {
      pieces.push(bytes.length)
      total += bytes.length
      if (total === 10_000) socket.write("ok")
    })
  })
  const exchange = connectTo(loadTarget("tcp", port), { pace: { writeBytesPerSecond: 25_000 } })
  await exchange.opened
  const content = Buffer.alloc(10_000, "x")
  const begun = performance.now()
  const answer = await exchange.ask({ bytes: content, content, expect: { kind: "size", bytes: 2 } })
  const took = performance.now() - begun
  assert.equal(answer?.wrong, undefined)
  assert.ok(took > 370 && took < 1500, `${took} ms`)
  assert.ok(pieces.length >= 10, `${pieces.length} pieces`)
  exchange.client.close()
  assert.equal(await exchange.closed, undefined)
})

test("a slow reader reads so many bytes a second", async (t) => {
  const port = await serve(t, (socket) => void socket.on("data", () => void socket.write(Buffer.alloc(10_000, "y"))))
  const exchange = connectTo(loadTarget("tcp", port), { pace: { readBytesPerSecond: 25_000 } })
  await exchange.opened
  const content = Buffer.from("x")
  const begun = performance.now()
  const answer = await exchange.ask({ bytes: content, content, expect: { kind: "size", bytes: 10_000 } })
  const took = performance.now() - begun
  assert.equal(answer?.wrong, undefined)
  assert.ok(took > 350 && took < 1500, `${took} ms`)
  exchange.client.close()
  assert.equal(await exchange.closed, undefined)
})

test("a slow reader closes the window: the other side cannot go on writing", async (t) => {
  const blocked = Promise.withResolvers<number>()
  const port = await serve(t, (socket) => {
    let written = 0
    const piece = Buffer.alloc(1024 * 1024)
    const fill = () => {
      // Until a piece stays for 200 ms.
      const timer = setTimeout(() => blocked.resolve(written), 200)
      socket.write(piece, () => {
        clearTimeout(timer)
        written += piece.length
        if (written < 256 * piece.length) fill()
        else blocked.resolve(Infinity)
      })
    }
    socket.once("data", fill)
  })
  const exchange = connectTo(loadTarget("tcp", port), { pace: { readBytesPerSecond: 1000 } })
  await exchange.opened
  const content = Buffer.from("x")
  void exchange.ask({ bytes: content, content, expect: { kind: "size", bytes: 1e9 } })
  assert.ok((await blocked.promise) < 64 * 1024 * 1024)
  exchange.client.cut()
  assert.equal((await exchange.closed)?.kind, "other")
})

test("one limit leaves the other way at full speed, and the ends of both sides pass", async (t) => {
  const ended = Promise.withResolvers<void>()
  const port = await serve(t, (socket) => {
    socket.pipe(socket)
    void once(socket, "end").then(() => ended.resolve())
  })
  const exchange = connectTo(loadTarget("tcp", port), { pace: { readBytesPerSecond: 50_000_000 } })
  await exchange.opened
  const content = Buffer.alloc(2_000_000, "abcdefg")
  assert.equal((await exchange.ask({ bytes: content, content, expect: { kind: "echo" } }))?.wrong, undefined)
  exchange.client.close()
  assert.equal(await exchange.closed, undefined)
  await ended.promise
})
