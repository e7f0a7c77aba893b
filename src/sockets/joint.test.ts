import assert from "node:assert/strict"
import { once } from "node:events"
import { connect, createServer } from "node:net"
import type { AddressInfo, Server, Socket } from "node:net"
import { Duplex } from "node:stream"
import { test } from "node:test"
import type { TestContext } from "node:test"
import fc from "fast-check"
import { Joint } from "./joint.ts"
import type { Breach, JointEnd, JointWatcher, Side } from "./joint.ts"
import { SocketReader } from "./socket-reader.ts"

/** One end of a connection in memory; each write takes a turn of the loop. */
class MemoryEnd extends Duplex {
  peer: MemoryEnd | undefined
  #goOn: (() => void) | undefined

  constructor(highWaterMark: number) {
    super({ allowHalfOpen: true, highWaterMark })
  }

  override _read(): void {
    const goOn = this.#goOn
    this.#goOn = undefined
    if (goOn !== undefined) setImmediate(goOn)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const peer = this.peer as MemoryEnd
    if (peer.destroyed) done()
    else if (peer.push(Buffer.from(chunk))) setImmediate(done)
    else peer.#goOn = done
  }

  override _final(done: () => void): void {
    if (this.peer?.destroyed === false) this.peer.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { peer } = this
    const isOrderly = error === null && this.readableEnded && this.writableFinished
    if (peer !== undefined && !peer.destroyed && !isOrderly) {
      setImmediate(() => peer.destroy(Object.assign(new Error("reset"), { code: "ECONNRESET" })))
    }
    done(error)
  }
}

function memoryPair(highWaterMark = 16): [near: MemoryEnd, far: MemoryEnd] {
  const [near, far] = [new MemoryEnd(highWaterMark), new MemoryEnd(highWaterMark)]
  // Each test says what it expects of it.
  far.on("error", () => undefined)
  near.peer = far
  far.peer = near
  near.pause()
  return [near, far]
}

class Watcher implements JointWatcher {
  readonly heard: string[] = []
  readonly over: Promise<Breach | undefined>
  readonly wentStale: Promise<Uint8Array | undefined>
  #tellOver: (breach: Breach | undefined) => void = () => undefined
  #tellStale: (unsent: Uint8Array | undefined) => void = () => undefined

  constructor() {
    this.over = new Promise((resolve) => (this.#tellOver = resolve))
    this.wentStale = new Promise((resolve) => (this.#tellStale = resolve))
  }

  began(side: Side): void {
    this.heard.push(`began ${side}`)
  }

  closed(breach: Breach | undefined): void {
    this.heard.push("closed")
    this.#tellOver(breach)
  }

  stale(unsent: Uint8Array | undefined): void {
    this.heard.push("stale")
    this.#tellStale(unsent)
  }
}

function join(client: JointEnd, target: JointEnd): { joint: Joint; watcher: Watcher } {
  const watcher = new Watcher()
  const joint = new Joint(client, target, watcher, true)
  joint.start()
  return { joint, watcher }
}

/** All that arrives until the end, or what breaks it. The stream stays open. */
function readAll(stream: Duplex): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ""
    stream.on("data", (bytes: Buffer) => (text += bytes.toString("latin1")))
    stream.on("end", () => resolve(text))
    stream.on("error", reject)
    stream.resume()
  })
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 20))
}

const texts = fc.array(fc.string({ minLength: 1, maxLength: 40 }), { maxLength: 8 })

test("whatever both sides send and in whatever order they end, all of it arrives once and in order", async () => {
  const script = fc.record({ up: texts, down: texts, water: fc.integer({ min: 1, max: 64 }), first: fc.string() })
  await fc.assert(
    fc.asyncProperty(script, async ({ up, down, water, first }) => {
      const [client, visitor] = memoryPair(water)
      const [target, server] = memoryPair(water)
      const { watcher, joint } = join({ stream: client, first: Buffer.from(first) }, { stream: target })
      const send = async (end: Duplex, all: readonly string[]) => {
        for (const text of all) if (!end.write(text)) await once(end, "drain")
        end.end()
      }
      const [atServer, atVisitor] = await Promise.all([
        readAll(server),
        readAll(visitor),
        send(visitor, up),
        send(server, down),
      ])
      const whole = (all: readonly string[]) => Buffer.from(all.join("")).toString("latin1")
      assert.equal(atServer, Buffer.from(first).toString("latin1") + whole(up))
      assert.equal(atVisitor, whole(down))
      assert.equal(await watcher.over, undefined)
      assert.equal(joint.up.bytes, atServer.length)
      assert.equal(joint.down.bytes, atVisitor.length)
      assert.equal(watcher.heard.filter((word) => word === "closed").length, 1)
    }),
    { numRuns: 60 },
  )
})

test("an end that the client has told before it was joined is passed on", async () => {
  const [client, visitor] = memoryPair()
  const [target, server] = memoryPair()
  client.resume()
  visitor.end()
  await once(client, "end")
  const { watcher } = join({ stream: client, first: Buffer.from("all of it") }, { stream: target })
  assert.equal(await readAll(server), "all of it")
  server.end("answer")
  assert.equal(await readAll(visitor), "answer")
  assert.equal(await watcher.over, undefined)
})

test("a client that was closed before it was joined ends both at once", async () => {
  const [client] = memoryPair()
  const [target] = memoryPair()
  client.destroy()
  await once(client, "close")
  const { watcher } = join({ stream: client }, { stream: target })
  assert.deepEqual(await watcher.over, { side: "client", detail: "closed" })
  assert.ok(target.destroyed)
})

test("what a target sends after its client has broken is neither read nor counted", async () => {
  const [client, visitor] = memoryPair()
  const [target, server] = memoryPair()
  const { joint, watcher } = join({ stream: client }, { stream: target })
  server.write("one")
  await once(visitor, "data")
  // Bytes on their way to the target keep its reset waiting.
  visitor.write("x".repeat(200))
  await settle()
  visitor.destroy()
  await new Promise((resolve) => client.once("close", resolve))
  for (let at = 0; at < 20; at++) server.write("lost")
  await settle()
  assert.equal(joint.down.bytes, 3)
  server.resume()
  assert.deepEqual(await watcher.over, { side: "client", detail: "ECONNRESET" })
})

test("an untried target that is gone is given up, and the next one gets every byte", async () => {
  const [client, visitor] = memoryPair()
  const [dead, gone] = memoryPair()
  gone.end()
  const asked = join({ stream: client }, { stream: dead, untried: true })
  visitor.write("hello ")
  const unsent = await asked.watcher.wentStale
  assert.deepEqual(asked.watcher.heard, ["stale"])
  assert.ok(dead.destroyed)
  const [target, server] = memoryPair()
  const { watcher } = join({ stream: client, first: unsent }, { stream: target, untried: true })
  visitor.write("and more")
  visitor.end()
  assert.equal(await readAll(server), "hello and more")
  server.end()
  visitor.resume()
  assert.equal(await watcher.over, undefined)
  assert.deepEqual(asked.watcher.heard, ["stale"])
})

test("bytes that were read before go ahead of those that have come meanwhile, also to an untried target", async () => {
  const [client, visitor] = memoryPair()
  const [target, server] = memoryPair()
  visitor.write("second")
  await settle()
  const { watcher } = join({ stream: client, first: Buffer.from("first ") }, { stream: target, untried: true })
  visitor.end(" third")
  assert.equal(await readAll(server), "first second third")
  server.end()
  visitor.resume()
  assert.equal(await watcher.over, undefined)
})

test("an end right behind the first bytes waits for them, also at an untried target", async () => {
  const [client, visitor] = memoryPair()
  const [target, server] = memoryPair()
  client.resume()
  visitor.end()
  await once(client, "end")
  join({ stream: client, first: Buffer.from("request") }, { stream: target, untried: true })
  assert.equal(await readAll(server), "request")
})

test("a lane that its meter has stopped begins again when it is told to, and not before", async () => {
  const [client, visitor] = memoryPair()
  const [target, server] = memoryPair()
  const joint = new Joint({ stream: client }, { stream: target }, new Watcher(), true)
  let budget = 0
  joint.up.meter = { spend: (bytes) => (budget -= bytes) > 0 }
  joint.start()
  let got = ""
  server.on("data", (bytes: Buffer) => (got += bytes.toString()))
  visitor.write("a")
  await settle()
  assert.equal(got, "")
  assert.ok(joint.up.paced)
  budget = 1
  joint.up.resume()
  await settle()
  assert.equal(got, "a")
  visitor.write("b")
  await settle()
  assert.equal(got, "a")
  joint.cut()
})

interface Route {
  readonly visitor: Socket
  readonly server: Socket
  readonly joint: Joint
  readonly watcher: Watcher
}

/** Real sockets, the target's read as the balancer reads them. */
async function route(t: TestContext): Promise<Route> {
  const listen = async (): Promise<[Server, number]> => {
    const listener = createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, "127.0.0.1")
    await once(listener, "listening")
    t.after(() => listener.close())
    return [listener, (listener.address() as AddressInfo).port]
  }
  const [front, frontPort] = await listen()
  const [back, backPort] = await listen()
  const visitor = connect({ port: frontPort, allowHalfOpen: true })
  const [client] = (await once(front, "connection")) as [Socket]
  const reader = new SocketReader()
  const target = connect({ port: backPort, allowHalfOpen: true, onread: reader.onread })
  target.pause()
  const [server] = (await once(back, "connection")) as [Socket]
  for (const end of [visitor, server]) end.on("error", () => undefined)
  t.after(() => [visitor, client, target, server].forEach((end) => end.destroy()))
  return { visitor, server, ...join({ stream: client }, { stream: target, reader }) }
}

test("a reset of either side reaches the other one as a reset, behind all that was sent before", async (t) => {
  for (const side of ["visitor", "server"] as const) {
    const { visitor, server, watcher } = await route(t)
    const [broken, other] = side === "visitor" ? [visitor, server] : [server, visitor]
    let got = 0
    other.on("data", (bytes: Buffer) => (got += bytes.length)).resume()
    await new Promise((resolve) => broken.write(Buffer.alloc(3_000_000), resolve))
    while (got < 3_000_000) await once(other, "data")
    const failed = once(other, "error") as Promise<[NodeJS.ErrnoException]>
    broken.resetAndDestroy()
    // `once` itself fails with the error that it hears.
    const error = await failed.then(
      ([thrown]) => thrown,
      (thrown: NodeJS.ErrnoException) => thrown,
    )
    assert.equal(error.code, "ECONNRESET")
    assert.equal((await watcher.over)?.side, side === "visitor" ? "client" : "target")
  }
})

test("megabytes both ways at once arrive as they were, and each side may end first", async (t) => {
  for (const first of ["visitor", "server"] as const) {
    const { visitor, server, watcher } = await route(t)
    const [early, late] = first === "visitor" ? [visitor, server] : [server, visitor]
    const text = (seed: number) => Buffer.from(Uint8Array.from({ length: 2_000_000 }, (_, at) => (at * seed) % 251))
    early.end(text(7))
    assert.equal(await readAll(late), text(7).toString("latin1"))
    late.end(text(13))
    assert.equal(await readAll(early), text(13).toString("latin1"))
    assert.equal(await watcher.over, undefined)
  }
})

test("cut resets both sides", async (t) => {
  const { visitor, server, joint, watcher } = await route(t)
  visitor.write("x")
  await once(server.resume(), "data")
  visitor.resume()
  joint.cut()
  await Promise.all([visitor, server].map((end) => new Promise((resolve) => end.once("close", resolve))))
  assert.equal(visitor.errored?.message, "read ECONNRESET")
  assert.equal(server.errored?.message, "read ECONNRESET")
  await watcher.over
})
