import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import * as net from "node:net"
import { afterEach, test } from "node:test"
import { chaosProxy } from "./chaos-proxy.ts"
import type { ChaosOptions, ChaosProxy } from "./chaos-proxy.ts"

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

interface Course {
  readonly proxy: ChaosProxy
  client(): net.Socket
  /** To the server without the proxy between. */
  direct(): net.Socket
}

/** A proxy before a server that echoes and ends when its client does. */
async function setUp(options: Omit<ChaosOptions, "target"> = {}): Promise<Course> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on("error", () => undefined))
    socket.pipe(socket)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const { port } = server.address() as net.AddressInfo
  const proxy = await chaosProxy({ ...options, target: { port } })
  cleanUps.push(
    () => server.close(),
    () => sockets.forEach((socket) => socket.destroy()),
    () => proxy.close(),
  )
  const connect = (to: number) => {
    const socket = net.connect({ port: to, host: "127.0.0.1", allowHalfOpen: true })
    cleanUps.push(() => socket.destroy())
    return socket.on("error", () => undefined)
  }
  return { proxy, client: () => connect(proxy.port), direct: () => connect(port) }
}

async function echo(socket: net.Socket, text: string): Promise<string> {
  socket.write(text)
  let back = ""
  while (back.length < text.length) back += String((await once(socket, "data"))[0])
  return back
}

test("bytes and the half-close pass unchanged, however slow the reader", async () => {
  const { proxy, client } = await setUp()
  const socket = client()
  const sent = randomBytes(8 * 1024 * 1024)
  socket.end(sent)
  socket.pause()
  await new Promise((resolve) => setTimeout(resolve, 100))
  const seen = proxy.stats.toClient
  assert.ok(seen < sent.length, "a reader that waits holds the sender back")
  const hash = createHash("sha256")
  socket.on("data", (bytes) => hash.update(bytes)).resume()
  await once(socket, "end")
  assert.equal(hash.digest("hex"), createHash("sha256").update(sent).digest("hex"))
  assert.deepEqual(proxy.stats, { accepted: 1, refused: 0, toTarget: sent.length, toClient: sent.length })
})

for (const how of ["rst", "fin"] as const) {
  test(`cutAll("${how}") ends every connection that way`, async () => {
    const { proxy, client } = await setUp()
    const socket = client()
    await echo(socket, "hello")
    assert.equal(proxy.connections, 1)
    const ended = new Promise((resolve) => socket.on(how === "rst" ? "close" : "end", resolve))
    let code: string | undefined
    socket.on("error", (error: NodeJS.ErrnoException) => (code = error.code))
    socket.resume()
    assert.equal(proxy.cutAll(how), 1)
    await ended
    assert.equal(code, how === "rst" ? "ECONNRESET" : undefined)
  })
}

test("a black hole is silent, and gives everything back when it ends", async () => {
  const { proxy, client } = await setUp()
  const socket = client()
  await echo(socket, "before")
  proxy.blackHole(true)
  const fresh = client()
  assert.equal(await echo(fresh, "new ones pass"), "new ones pass")
  let got = ""
  socket.on("data", (bytes) => (got += String(bytes)))
  socket.write("during")
  assert.equal(await echo(fresh, "said later, and back"), "said later, and back")
  assert.equal(got, "")
  proxy.blackHole(false)
  await once(socket, "data")
  assert.equal(got, "during")
})

test("a black hole with holdNew takes new connections and leaves them silent", async () => {
  const { proxy, client, direct } = await setUp()
  proxy.blackHole(true, { holdNew: true })
  const socket = client()
  await once(socket, "connect")
  socket.write("anybody?")
  const answer = once(socket, "data")
  const other = direct()
  for (const text of ["said later", "and again"]) assert.equal(await echo(other, text), text)
  assert.equal(proxy.stats.toTarget, 0)
  proxy.blackHole(false)
  assert.equal(String((await answer)[0]), "anybody?")
})

test("a delay holds each way back by its time", async () => {
  const { client } = await setUp({ delayMs: 40 })
  const started = performance.now()
  assert.equal(await echo(client(), "slow"), "slow")
  assert.ok(performance.now() - started >= 79)
})

test("a rate limits the bytes per second", async () => {
  const { client } = await setUp({ bytesPerSecond: 100_000 })
  const started = performance.now()
  await echo(client(), "x".repeat(10_000))
  assert.ok(performance.now() - started >= 99)
})

test("exactly one byte is corrupted", async () => {
  const { proxy, client } = await setUp()
  const socket = client()
  proxy.corruptOnce({ direction: "toTarget", afterBytes: 2 })
  assert.equal(await echo(socket, "AAAA"), "AAQA")
  assert.equal(await echo(socket, "AAAA"), "AAAA")
})

test("refuse resets new connections and leaves the others", async () => {
  const { proxy, client } = await setUp()
  const old = client()
  await echo(old, "x")
  proxy.refuse(true)
  const fresh = client()
  await new Promise((resolve) => fresh.on("close", resolve))
  assert.equal(await echo(old, "alive"), "alive")
  proxy.refuse(false)
  assert.equal(await echo(client(), "again"), "again")
  assert.equal(proxy.stats.refused, 1)
})
