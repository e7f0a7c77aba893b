import assert from "node:assert/strict"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { sessionPair } from "../../../../test/kit/session-pair.ts"
import { chunkPathSuite } from "../../../../test/suites/chunk-path-suite.ts"
import type { PathPair } from "../../../../test/suites/chunk-path-suite.ts"
import { systemClock } from "../../../base/clock.ts"
import type { RdvError } from "../../../base/error.ts"
import type { Stream } from "../../../base/stream.ts"
import { memoryPair } from "../../../transport/memory.ts"
import type { MemoryOptions } from "../../../transport/memory.ts"
import { openSocketNet } from "../node/socket-net.ts"
import type { ChunkPathSink } from "./chunk-path.ts"
import type { Pipe } from "../../../base/pipe.ts"
import { streamPath } from "./stream-path.ts"
import { streamPipe } from "./stream-pipe.ts"

function overMemory(options: MemoryOptions): () => PathPair {
  return () => {
    const pair = memoryPair(systemClock, options)
    return {
      near: streamPath(pair.a),
      far: streamPath(pair.b),
      // Far still sends: near has to hear it.
      stall: () => pair.b.pause(),
      flow: () => pair.b.resume(),
      garbage: (bytes) => void pair.a.send([bytes]),
    }
  }
}

chunkPathSuite("memory", overMemory({}), { ordered: true })
chunkPathSuite("memory in pieces of 997 bytes, used again at once", overMemory({ splitBytes: 997, poison: true }), {
  ordered: true,
  bulkBytes: 4 * 1_048_576,
})

chunkPathSuite(
  "streams of a session",
  async (t) => {
    const accepted = Promise.withResolvers<Stream>()
    const pair = sessionPair({ onAccepted: accepted.resolve })
    t.after(() => pair.close())
    const stream = pair.dialer.open("share/pieces", { ticket: "x" })
    const nearPipe = streamPipe(stream)
    const farPipe = streamPipe(await accepted.promise)
    return {
      near: streamPath(nearPipe),
      far: streamPath(farPipe),
      stall: () => farPipe.pause(),
      flow: () => farPipe.resume(),
      garbage: (bytes) => void nearPipe.send([bytes]),
    }
  },
  { ordered: true, bulkBytes: 12 * 1_048_576 },
)

chunkPathSuite(
  "TCP",
  async (t) => {
    const { near, far } = await tcpPair(t)
    return {
      near: streamPath(near),
      far: streamPath(far),
      stall: () => far.pause(),
      flow: () => far.resume(),
      garbage: (bytes) => void near.send([bytes]),
    }
  },
  { ordered: true },
)

async function tcpPair(t: TestContext): Promise<{ near: Pipe; far: Pipe }> {
  const net = await openSocketNet({ host: "127.0.0.1", loopback: true })
  t.after(() => net.close())
  const come = Promise.withResolvers<Pipe>()
  net.onPipe = come.resolve
  const near = await net.dial(net.addresses, new AbortController().signal)
  return { near, far: await come.promise }
}

const nothing: ChunkPathSink = {
  room: () => undefined,
  chunk: () => undefined,
  asked: () => undefined,
  cancelled: () => undefined,
  refused: () => undefined,
  ready: () => undefined,
  closed: () => undefined,
}

function timedPair() {
  const clock = new FakeClock()
  const pair = memoryPair(clock)
  const [near, far] = [streamPath(pair.a, { clock, silentMs: 20_000 }), streamPath(pair.b, { clock, silentMs: 20_000 })]
  const ends: { near?: RdvError | undefined; far?: RdvError | undefined } = {}
  near.attach({ ...nothing, closed: (error) => (ends.near = error) })
  far.attach({ ...nothing, closed: (error) => (ends.far = error) })
  return { clock, pair, near, far, ends }
}

test("a cut at any moment leaves whole chunks alone, and each that was taken is told of once", async () => {
  const sizes = [300_000, 10, 262_161, 5_000]
  for (const after of [1, 2, 3, 5, 8, 13, 40]) {
    const pair = memoryPair(systemClock, { splitBytes: 20_000 })
    const [near, far] = [streamPath(pair.a), streamPath(pair.b)]
    const told = sizes.map(() => 0)
    const came: number[] = []
    const over = [near, far].map(
      (path) =>
        new Promise<RdvError | undefined>((resolve) => {
          path.attach({
            ...nothing,
            room: (_name, length) => new Uint8Array(length),
            chunk(name, sealed) {
              assert.ok(sealed.every((byte) => byte === name.chunk + 1))
              came.push(sealed.length)
            },
            closed: resolve,
          })
        }),
    )
    for (const [chunk, size] of sizes.entries()) {
      near.send(
        { version: 1, chunk },
        new Uint8Array(size).fill(chunk + 1),
        () => (told[chunk] = (told[chunk] ?? 0) + 1),
      )
    }
    await settle(after)
    pair.cut()
    const errors = await Promise.all(over)
    assert.deepEqual(
      errors.map((error) => error?.code),
      ["link_lost", "link_lost"],
    )
    assert.deepEqual(came, sizes.slice(0, came.length))
    assert.deepEqual(told, [1, 1, 1, 1])
  }
})

test("a peer that is asked and says nothing at all is given up", async () => {
  const { clock, pair, near, ends } = timedPair()
  near.ask({ version: 1, chunk: 1 })
  await settle()
  pair.block()
  await clock.pass(19_000)
  assert.deepEqual(ends, {})
  await clock.pass(10_000)
  assert.equal(ends.near?.code, "timeout")
})

test("a peer that is asked and only answers pings is kept: whoever asked has deadlines of its own", async () => {
  const { clock, near, ends } = timedPair()
  near.ask({ version: 1, chunk: 1 })
  await clock.pass(300_000)
  assert.deepEqual(ends, {})
  assert.equal(near.rttMs, 0)
})

test("a path over which nothing is awaited keeps no timer and may be silent for ever", async () => {
  const { clock, pair, near, far, ends } = timedPair()
  near.ask({ version: 1, chunk: 1 })
  await settle()
  far.send({ version: 1, chunk: 1 }, new Uint8Array(100))
  await clock.pass(30_000)
  assert.equal(clock.pending, 0)
  pair.block()
  await clock.pass(3_600_000)
  assert.deepEqual(ends, {})
})

test("chunks that a frozen peer does not take end the path, and their memory is free", async () => {
  const { clock, pair, near, ends } = timedPair()
  let told = 0
  pair.b.pause()
  for (let chunk = 0; chunk < 4; chunk++) near.send({ version: 1, chunk }, new Uint8Array(1_000_000), () => told++)
  await clock.pass(60_000)
  assert.equal(ends.near?.code, "timeout")
  assert.equal(told, 4)
  assert.equal(clock.pending, 0)
})

test("a slow peer is not a silent one", async () => {
  const clock = new FakeClock()
  const pair = memoryPair(clock, { bytesPerSecond: 20_000 })
  const near = streamPath(pair.a, { clock, silentMs: 20_000 })
  const far = streamPath(pair.b, { clock, silentMs: 20_000 })
  let came = 0
  near.attach({ ...nothing, closed: (error) => assert.fail(error?.message) })
  far.attach({ ...nothing, room: (_name, length) => new Uint8Array(length), chunk: () => came++ })
  near.send({ version: 1, chunk: 1 }, new Uint8Array(1_000_000))
  await clock.pass(60_000)
  assert.equal(came, 1)
})

test("a peer that asks and does not read the answers ends the path before they fill the memory", async () => {
  const { pair, near, ends } = timedPair()
  pair.b.pause()
  for (let count = 0; count < 1_000_000 && ends.near === undefined; count++)
    near.refuse({ version: 1, chunk: 1 }, "busy")
  assert.equal(ends.near?.code, "limit")
})

test("chunks that are sent on without regard to the answer end the path", async () => {
  const { pair, near, ends } = timedPair()
  pair.b.pause()
  const bytes = new Uint8Array(1_048_576)
  let [sent, told] = [0, 0]
  while (ends.near === undefined && sent < 1_000) {
    sent++
    near.send({ version: 1, chunk: 1 }, bytes, () => told++)
  }
  assert.equal(ends.near?.code, "limit")
  assert.equal(told, sent)
})

test("what a stream's sink has not read gives no credit, and nothing of it is lost", async (t) => {
  const accepted = Promise.withResolvers<Stream>()
  const pair = sessionPair({ onAccepted: accepted.resolve })
  t.after(() => pair.close())
  const near = streamPipe(pair.dialer.open("share/pieces", {}))
  near.attach({ data: () => false, drain: () => undefined, closed: () => undefined })
  const far = streamPipe(await accepted.promise)
  let bytes = 0
  const end = Promise.withResolvers<RdvError | undefined>()
  far.pause()
  far.attach({
    data: (more) => ((bytes += more.length), false),
    drain: () => undefined,
    closed: end.resolve,
  })
  let sent = 0
  while (near.send([new Uint8Array(100_000)])) sent += 100_000
  sent += 100_000
  near.close()
  await settle(20)
  assert.equal(bytes, 0)
  far.resume()
  assert.equal((await end.promise)?.code, "link_lost")
  assert.equal(bytes, sent)
})
