import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as net from "node:net"
import { test } from "node:test"
import { localTunnel } from "../kit/local-tunnel.ts"
import type { LocalTunnel } from "../kit/local-tunnel.ts"
import { pattern, patternHash, rawOrigin } from "../kit/origin.ts"
import type { RawOrigin } from "../kit/origin.ts"
import { eventually, rawClient, standsStill } from "../kit/raw-http.ts"

const mebibyte = 1024 * 1024

function tcpTunnel(target: string, sessionLimits = {}): Promise<LocalTunnel> {
  return localTunnel({ target, settings: { kind: "tcp", port: 0 }, sessionLimits })
}

/** Sends back what comes, with back-pressure, and ends when the other side does. */
function echo(): Promise<RawOrigin> {
  return rawOrigin(undefined, ({ socket }) => socket.pipe(socket))
}

test("bytes come back as they were sent, in pieces of all sizes", async () => {
  await using origin = await echo()
  await using tunnel = await tcpTunnel(origin.target)
  for (const piece of [1, 1_000, 65_535, 65_536, 65_537, 5 * mebibyte]) {
    const size = Math.min(piece * 100, 5 * mebibyte)
    const client = await rawClient(tunnel.port)
    const send = async () => {
      for (let at = 0; at < size; at += piece) await client.send(pattern(at, Math.min(piece, size - at)))
      client.end()
    }
    const sending = send()
    const { bytes, ending } = await client.rest()
    await sending
    assert.equal(createHash("sha256").update(bytes).digest("hex"), patternHash(size), `pieces of ${piece}`)
    assert.equal(ending, "end")
  }
  await tunnel.quiet()
})

test("who ended its side still gets a late and long answer", async () => {
  await using origin = await rawOrigin(undefined, ({ socket }) => {
    socket.on("end", () => setTimeout(() => socket.end(pattern(0, 3 * mebibyte)), 1_200))
  })
  await using tunnel = await tcpTunnel(origin.target)
  const client = await rawClient(tunnel.port)
  client.socket.end("question")
  const { bytes, ending } = await client.rest()
  assert.equal(origin.received, "question")
  assert.equal(createHash("sha256").update(bytes).digest("hex"), patternHash(3 * mebibyte))
  assert.equal(ending, "end")
  await tunnel.quiet()
})

test("a service that ended its side still gets everything", async () => {
  await using origin = await rawOrigin(undefined, ({ socket }) => socket.end("hello"))
  await using tunnel = await tcpTunnel(origin.target)
  const client = await rawClient(tunnel.port)
  assert.equal(String((await client.rest()).bytes), "hello")
  client.socket.end(pattern(0, 3 * mebibyte))
  await eventually("the service has it all", () => origin.connections[0]?.ending === "end")
  const hash = createHash("sha256").update(Buffer.from(origin.received, "latin1")).digest("hex")
  assert.equal(hash, patternHash(3 * mebibyte))
  await tunnel.quiet()
})

test("a reset on either side is a reset on the other within a second", async () => {
  await using origin = await rawOrigin()
  await using tunnel = await tcpTunnel(origin.target)
  for (const [index, side] of ["visitor", "service"].entries()) {
    const client = await rawClient(tunnel.port)
    await client.send("x")
    await eventually("the byte is there", () => origin.connections[index]?.received === "x")
    const connection = origin.connections[index]
    assert.ok(connection)
    if (side === "visitor") {
      client.reset()
      await eventually("the service is reset", () => connection.ending === "reset", 1_500)
    } else {
      connection.socket.resetAndDestroy()
      assert.equal((await client.rest(1_500)).ending, "reset")
    }
  }
  await tunnel.quiet()
})

test("a reset after one side has ended still is a reset", async () => {
  await using origin = await rawOrigin()
  await using tunnel = await tcpTunnel(origin.target)
  const client = await rawClient(tunnel.port)
  client.socket.end("bye")
  await eventually("the service hears the end", () => origin.connections[0]?.ending === "end")
  origin.connections[0]?.socket.resetAndDestroy()
  assert.equal((await client.rest(1_500)).ending, "reset")
  await tunnel.quiet()
})

test("a reset behind an end leaves nothing, and what it took never looks complete", async () => {
  const size = 3 * mebibyte
  await using origin = await rawOrigin(undefined, ({ socket }) => socket.end(pattern(0, size)))
  await using tunnel = await tcpTunnel(origin.target)
  const client = await rawClient(tunnel.port)
  client.socket.pause()
  await eventually("the service has sent it all", () => origin.connections[0]?.socket.writableFinished === true)
  origin.connections[0]?.socket.resetAndDestroy()
  await client.send("anybody there?")
  await eventually("the agent has noticed", () => tunnel.held().targetConnections === 0)
  client.socket.resume()
  const { bytes, ending } = await client.rest()
  assert.ok(ending === "reset" || bytes.length === size, `${bytes.length} bytes, then ${ending}`)
  client.socket.destroy()
  await tunnel.quiet()
  await eventually("the agent holds no connection", () => tunnel.held().targetConnections === 0)
})

test("a target that is down resets the visitor", async () => {
  const server = net.createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as net.AddressInfo
  server.close()
  await using tunnel = await tcpTunnel(`127.0.0.1:${port}`)
  const client = await rawClient(tunnel.port)
  assert.equal((await client.rest(2_000)).ending, "reset")
  await tunnel.quiet()
})

test("a visitor that does not read stops the service, and gets everything when it reads on", async () => {
  const size = 64 * mebibyte
  let written = 0
  await using origin = await rawOrigin(undefined, ({ socket }) => {
    const send = () => {
      while (written < size) {
        written += 65_536
        if (!socket.write(pattern(written - 65_536, 65_536))) return
      }
      socket.end()
    }
    socket.on("drain", send)
    send()
  })
  await using tunnel = await tcpTunnel(origin.target)
  const client = await rawClient(tunnel.port)
  client.socket.pause()
  await standsStill(() => written)
  assert.ok(written < 40 * mebibyte, `${written} bytes`)
  const hash = createHash("sha256")
  client.socket.removeAllListeners("data")
  client.socket.on("data", (bytes) => hash.update(bytes)).resume()
  await once(client.socket, "end")
  assert.equal(hash.digest("hex"), patternHash(size))
  client.end()
  await tunnel.quiet()
})

test("a service that does not read stops the visitor", async () => {
  await using origin = await rawOrigin(undefined, ({ socket }) => socket.pause())
  await using tunnel = await tcpTunnel(origin.target)
  const client = await rawClient(tunnel.port)
  let sent = 0
  const send = async () => {
    while (!client.socket.destroyed) {
      await client.send(Buffer.alloc(65_536))
      sent += 65_536
    }
  }
  const sending = send()
  await standsStill(() => sent)
  assert.ok(sent < 40 * mebibyte, `${sent} bytes`)
  client.socket.destroy()
  await sending
  origin.connections[0]?.socket.destroy()
  await tunnel.quiet()
})

test("small segments are not held back on any of the four sockets", async () => {
  // Two segments each way: with Nagle's algorithm on any socket, each round would wait for a delayed ACK (40 ms).
  await using origin = await rawOrigin(({ socket, received }) => {
    if (received.length % 2 !== 0) return
    socket.write("a")
    setImmediate(() => socket.write("b"))
  })
  await using tunnel = await tcpTunnel(origin.target)
  const client = await rawClient(tunnel.port)
  const started = performance.now()
  for (let round = 0; round < 200; round++) {
    await client.send("1")
    await new Promise((resolve) => setImmediate(resolve))
    await client.send("2")
    assert.equal(String(await client.take(2)), "ab")
  }
  const tookMs = performance.now() - started
  assert.ok(tookMs < (200 * 40) / 4, `200 rounds took ${Math.round(tookMs)} ms`)
  client.socket.destroy()
})

test("a hundred connections at once do not mix", async () => {
  await using origin = await echo()
  await using tunnel = await tcpTunnel(origin.target)
  const run = async (index: number) => {
    const size = 50_000 + index * 1_009
    const client = await rawClient(tunnel.port)
    client.socket.end(pattern(index * 37, size))
    const { bytes } = await client.rest()
    assert.ok(bytes.equals(pattern(index * 37, size)), `connection ${index}`)
  }
  await Promise.all(Array.from({ length: 100 }, (_, index) => run(index)))
  await tunnel.quiet()
})

test("resets at random moments leave nothing behind", async () => {
  await using origin = await echo()
  await using tunnel = await tcpTunnel(origin.target)
  const run = async (index: number) => {
    const client = await rawClient(tunnel.port)
    client.socket.write(pattern(0, (index * 7_919) % 400_000))
    await new Promise((resolve) => setTimeout(resolve, index % 17))
    if (index % 3 === 0) origin.connections[index % origin.connections.length]?.socket.resetAndDestroy()
    if (index % 2 === 0) client.reset()
    else client.socket.destroy()
  }
  for (let wave = 0; wave < 5; wave++) await Promise.all(Array.from({ length: 60 }, (_, index) => run(index)))
  await tunnel.quiet()
  await eventually("the agent holds no connection", () => tunnel.held().targetConnections === 0)
})
