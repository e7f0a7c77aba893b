import assert from "node:assert/strict"
import { createHmac } from "node:crypto"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { concat } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import { memoryPair } from "../../../transport/memory.ts"
import type { MemoryOptions } from "../../../transport/memory.ts"
import { dialHandshake, DirectDoor } from "./direct-handshake.ts"
import type { DialHandshakeOptions, DirectDoorOptions, DirectPath } from "./direct-handshake.ts"
import type { Pipe } from "../../../base/pipe.ts"

const key = Uint8Array.from({ length: 32 }, (_, at) => at)
const otherKey = new Uint8Array(32).fill(9)

function rig(door: Partial<DirectDoorOptions> = {}, memory: MemoryOptions = {}) {
  const clock = new FakeClock()
  const paths: DirectPath[] = []
  const refused: string[] = []
  const desk = new DirectDoor({
    clock,
    find: (swarm) => (swarm === "123456" ? { member: "bob", key } : undefined),
    onPath: (path) => paths.push(path),
    onRefused: (error) => refused.push(error.code),
    ...door,
  })
  return {
    clock,
    paths,
    refused,
    desk,
    dial(options: Partial<DialHandshakeOptions> = {}, through: (pipe: Pipe) => Pipe = (pipe) => pipe) {
      const pair = memoryPair(clock, memory)
      desk.take(pair.b)
      return dialHandshake(through(pair.a), { swarm: "123456", member: "alice_-9", key, clock, ...options })
    },
    stranger() {
      const pair = memoryPair(clock, memory)
      const heard: number[] = []
      const end = Promise.withResolvers<RdvError | undefined>()
      pair.a.attach({
        data(bytes) {
          heard.push(...bytes)
          return false
        },
        drain: () => undefined,
        closed: end.resolve,
      })
      desk.take(pair.b)
      return { pipe: pair.a, heard, end: end.promise }
    },
  }
}

for (const splitBytes of [1, 1000]) {
  test(`members with the code find each other, and lose nothing behind the handshake (pieces of ${splitBytes})`, async () => {
    const { clock, paths, refused, desk, dial } = rig({}, { splitBytes, poison: true })
    const near = await dial({ expected: "bob" })
    assert.equal(near.member, "bob")
    near.pipe.send([Uint8Array.of(1, 2, 3)])
    await settle()
    const [far] = paths
    assert.deepEqual([far?.member, far?.swarm], ["alice_-9", "123456"])
    const bytes: number[] = []
    far?.pipe.attach({
      data(more) {
        bytes.push(...more)
        return false
      },
      drain: () => undefined,
      closed: () => undefined,
    })
    await settle()
    assert.deepEqual(bytes, [1, 2, 3])
    assert.deepEqual([refused, desk.pending, clock.pending], [[], 0, 0])
  })
}

test("without the code nobody comes in, and is told nothing of who is there", async () => {
  const { paths, refused, dial } = rig()
  await assert.rejects(dial({ key: otherKey }), { code: "link_lost" })
  await assert.rejects(dial({ swarm: "654321" }), { code: "link_lost" })
  assert.equal(paths.length, 0)
  assert.deepEqual(refused, ["unauthorized", "unauthorized"])
})

test("a stranger hears the same whether there is such a swarm or not, and gets a fresh nonce each time", async () => {
  const { stranger } = rig()
  const heard: number[][] = []
  for (const swarm of ["123456", "123456", "999999"]) {
    const one = stranger()
    one.pipe.send([
      concat([Uint8Array.of(0xb1, 1), Buffer.from(swarm), new Uint8Array(16), Uint8Array.of(3, 97, 98, 99)]),
    ])
    await settle()
    one.pipe.send([new Uint8Array(32)])
    assert.equal((await one.end)?.code, "link_lost")
    heard.push(one.heard)
  }
  assert.deepEqual(
    heard.map((bytes) => [bytes.length, bytes[0]]),
    [
      [17, 1],
      [17, 1],
      [17, 1],
    ],
  )
  assert.notDeepEqual(heard[0], heard[1])
})

test("a machine that answers without the code, or as another member, or is this one, is no path", async () => {
  // It listens and cannot prove anything.
  const lying = rig({ find: () => ({ member: "bob", key: otherKey }) })
  await assert.rejects(lying.dial(), { code: "link_lost" })
  const { dial } = rig()
  await assert.rejects(dial({ expected: "carol" }), { code: "unauthorized" })
  await assert.rejects(dial({ member: "bob" }), { code: "link_lost" })
})

test("a proof that is sent back to who made it proves nothing", async () => {
  const clock = new FakeClock()
  const pair = memoryPair(clock)
  const heard: number[] = []
  let said = 0
  pair.b.attach({
    data(bytes) {
      heard.push(...bytes)
      // The hello; then the dialler's own nonce and proof come back, under a name of the same length.
      if (said === 0 && heard.length >= 29) {
        said = 1
        pair.b.send([Uint8Array.of(1), Uint8Array.from(heard.slice(8, 24))])
      } else if (said === 1 && heard.length >= 29 + 32) {
        said = 2
        pair.b.send([Uint8Array.of(4), Buffer.from("mary"), Uint8Array.from(heard.slice(29))])
      }
      return false
    },
    drain: () => undefined,
    closed: () => undefined,
  })
  await assert.rejects(dialHandshake(pair.a, { swarm: "123456", member: "adam", key, clock }), { code: "unauthorized" })
  assert.equal(said, 2)
})

test("the bytes are those of the document", async () => {
  const { paths, stranger } = rig()
  const one = stranger()
  const hello = concat([
    Uint8Array.of(0xb1, 1),
    Buffer.from("123456"),
    new Uint8Array(16).fill(5),
    Uint8Array.of(4),
    Buffer.from("mary"),
  ])
  one.pipe.send([hello])
  await settle()
  const said = concat([hello, Uint8Array.from(one.heard)])
  assert.equal(one.heard.length, 17)
  one.pipe.send([createHmac("sha256", key).update("rdv/share/1 direct dialler\0").update(said).digest()])
  await settle()
  const id = Buffer.from("\x03bob")
  const proof = createHmac("sha256", key).update("rdv/share/1 direct acceptor\0").update(said).update(id).digest()
  assert.deepEqual(Buffer.from(one.heard.slice(17)), Buffer.concat([id, proof]))
  assert.equal(paths[0]?.member, "mary")
})

test("another version is said so on the dialling side", async () => {
  const clock = new FakeClock()
  const pair = memoryPair(clock)
  pair.b.send([Uint8Array.of(2)])
  await assert.rejects(dialHandshake(pair.a, { swarm: "123456", member: "a", key, clock }), { code: "version" })
  const other = memoryPair(clock)
  other.b.send([Buffer.from("SSH-2.0")])
  await assert.rejects(dialHandshake(other.a, { swarm: "123456", member: "a", key, clock }), { code: "protocol" })
})

test("names that are none are refused before anything is said", async () => {
  const { dial } = rig()
  await assert.rejects(dial({ member: "" }), { code: "usage" })
  await assert.rejects(dial({ member: "a".repeat(65) }), { code: "usage" })
  await assert.rejects(dial({ member: "ä" }), { code: "usage" })
  await assert.rejects(dial({ swarm: "12345" }), { code: "usage" })
})

test("handshakes have a deadline on both sides, and those that only wait make room", async () => {
  const { clock, desk, refused, stranger, dial } = rig({ most: 3 })
  const waiting = [stranger(), stranger(), stranger(), stranger()]
  assert.equal(desk.pending, 3)
  assert.equal((await waiting[0]?.end)?.code, "link_lost")
  assert.deepEqual(refused, ["limit"])
  // Three that wait keep nobody out.
  assert.equal((await dial()).member, "bob")
  const blocked = memoryPair(clock)
  const late = dialHandshake(blocked.a, { swarm: "123456", member: "a", key, clock })
  const heard = assert.rejects(late, { code: "timeout" })
  await clock.pass(5_000)
  await heard
  assert.equal(desk.pending, 0)
  assert.deepEqual(refused.sort(), ["limit", "limit", "timeout", "timeout"])
  assert.equal(clock.pending, 0)
})

test("a door that closes ends those who are not through; a dial ends by its signal", async () => {
  const { clock, desk, stranger } = rig()
  const one = stranger()
  desk.close()
  assert.equal((await one.end)?.code, "link_lost")
  const stop = new AbortController()
  const dialled = dialHandshake(memoryPair(clock).a, { swarm: "123456", member: "a", key, clock, signal: stop.signal })
  stop.abort(new RdvError("closed"))
  await assert.rejects(dialled, { code: "closed" })
})

test("bytes of strangers open no path", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, begins) => {
      const { clock, desk, paths, stranger } = rig()
      const one = stranger()
      one.pipe.send([begins ? concat([Uint8Array.of(0xb1, 1), bytes]) : bytes])
      await settle(2)
      one.pipe.close()
      await clock.pass(5_000)
      assert.deepEqual([paths.length, desk.pending, clock.pending], [0, 0, 0])
      assert.ok(one.heard.length <= 17)
    }),
    { numRuns: 60 },
  )
})
