import assert from "node:assert/strict"
import { test } from "node:test"
import { DatagramNet, Road } from "../../../../test/kit/datagram-net.ts"
import type { RoadFacts } from "../../../../test/kit/datagram-net.ts"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import type { RdvError } from "../../../base/error.ts"
import { SeededRandom } from "../../../base/random.ts"
import { udpMac } from "../node/udp-mac.ts"
import { DatagramEndpoint } from "./datagram-endpoint.ts"
import type { DatagramEndpointOptions } from "./datagram-endpoint.ts"
import type { DatagramPath } from "./datagram-path.ts"
import type { DatagramAddress } from "./datagram-socket.ts"

const key = new Uint8Array(32).fill(5)
const chunkBytes = 262_160
const bytes = new Uint8Array(chunkBytes)
new SeededRandom(1).fill(bytes)

type RoadOf = (from: DatagramAddress, to: DatagramAddress) => Road | undefined

class World {
  readonly clock = new FakeClock()
  readonly random: SeededRandom
  readonly net: DatagramNet
  readonly #endpoints: DatagramEndpoint[] = []

  constructor(road: RoadOf, seed = 3) {
    this.random = new SeededRandom(seed)
    this.net = new DatagramNet({ clock: this.clock, random: this.random, road })
  }

  endpoint(address: string, more: Partial<DatagramEndpointOptions> = {}): DatagramEndpoint {
    const socket = this.net.socket(address, 1)
    const random = (count: number) => {
      const made = new Uint8Array(count)
      this.random.fill(made)
      return made
    }
    const endpoint = new DatagramEndpoint({ socket, clock: this.clock, macFor: udpMac, random, ...more })
    this.#endpoints.push(endpoint)
    return endpoint
  }

  /** Time goes on in small steps, and promises with it. */
  async pass(ms: number, until: () => boolean = () => false): Promise<void> {
    for (const end = this.clock.now() + ms; this.clock.now() < end && !until();) {
      await settle(1)
      this.clock.advance(5)
    }
    await settle(2)
  }

  /** A path from `near` to `far`, each at an address of its own. */
  async path(near = "near", far = "far"): Promise<Ends> {
    let taken: DatagramPath | undefined
    this.endpoint(far).sit({ key, name: far, onPath: (path) => (taken = path) })
    const seat = this.endpoint(near).sit({ key, name: near })
    let dialled: DatagramPath | undefined
    void seat
      .dial([{ address: far, port: 1 }], far, new AbortController().signal)
      .then((path) => (dialled = path))
      .catch(() => undefined)
    await this.pass(10_000, () => dialled !== undefined && taken !== undefined)
    assert.ok(dialled !== undefined && taken !== undefined, "no path")
    return new Ends(dialled, taken)
  }

  close(): void {
    for (const endpoint of this.#endpoints) endpoint.close()
    // What was on its way.
    this.clock.advance(5_000)
    assert.equal(this.clock.pending, 0, "timers are left")
  }
}

/** Near sends, far counts. */
class Ends {
  readonly near: DatagramPath
  readonly far: DatagramPath
  readonly got = new Set<number>()
  ended: { error: RdvError | undefined }[] = []
  #next = 0
  #goes = true

  constructor(near: DatagramPath, far: DatagramPath) {
    this.near = near
    this.far = far
    const nothing = {
      room: (_: unknown, length: number) => new Uint8Array(length),
      chunk: () => undefined,
      asked: () => undefined,
      cancelled: () => undefined,
      refused: () => undefined,
      ready: () => undefined,
      closed: (error: RdvError | undefined) => void this.ended.push({ error }),
    }
    near.attach({ ...nothing, ready: () => this.fill() })
    far.attach({
      ...nothing,
      chunk: ({ chunk }, sealed) => {
        assert.ok(!this.got.has(chunk), `chunk ${chunk} came twice`)
        assert.ok(Buffer.compare(sealed, bytes) === 0, `chunk ${chunk} is not what was sent`)
        this.got.add(chunk)
      },
    })
  }

  /** Sends for as long as it is let. */
  fill(): void {
    while (this.#goes && this.near.send({ version: 1, chunk: this.#next++ }, bytes));
  }

  stop(): void {
    this.#goes = false
  }
}

/** What near → far brings, bytes/ms, once it has found its pace. */
async function throughput(facts: RoadFacts, ms = 6_000, back: RoadFacts = facts): Promise<number> {
  const forward = new Road(facts)
  const backward = new Road({ ...back, bufferBytes: Infinity })
  const world = new World((from) => (from.address === "near" ? forward : backward))
  const ends = await world.path()
  ends.fill()
  await world.pass(2_000)
  const before = ends.far.receivedBytes
  await world.pass(ms)
  const rate = (ends.far.receivedBytes - before) / ms
  world.close()
  return rate
}

test("a line is used nearly to the full, near or far, with a small buffer or a large one", async (t) => {
  for (const [delayMs, bytesPerMs, bufferBytes] of [
    [0.2, 12_500, 100_000],
    [10, 5_000, 200_000],
    [50, 2_000, 100_000],
    [50, 2_000, 4_000_000],
  ] as const) {
    const rate = await throughput({ delayMs, bytesPerMs, bufferBytes })
    t.diagnostic(`${delayMs} ms, ${bytesPerMs} bytes/ms, buffer ${bufferBytes}: ${Math.round(rate)}`)
    assert.ok(rate > bytesPerMs * 0.75, `${rate} of ${bytesPerMs} bytes/ms`)
  }
})

test("one lost datagram in a hundred costs little", async (t) => {
  const facts = { delayMs: 20, bytesPerMs: 5_000, bufferBytes: 300_000, loss: 0.01 }
  const rate = await throughput(facts)
  t.diagnostic(`${Math.round(rate)} of ${facts.bytesPerMs} bytes/ms`)
  assert.ok(rate > facts.bytesPerMs * 0.7, `${rate}`)
})

test("disorder and doubles cost little, and nothing comes twice", async (t) => {
  const facts = { delayMs: 20, jitterMs: 4, doubled: 0.05, bytesPerMs: 3_000, bufferBytes: 300_000 }
  const rate = await throughput(facts)
  t.diagnostic(`${Math.round(rate)} of ${facts.bytesPerMs} bytes/ms`)
  assert.ok(rate > facts.bytesPerMs * 0.7, `${rate}`)
})

test("a large buffer on the way is not filled", async () => {
  const forward = new Road({ delayMs: 10, bytesPerMs: 2_000, bufferBytes: 4_000_000 })
  const backward = new Road({ delayMs: 10 })
  const world = new World((from) => (from.address === "near" ? forward : backward))
  const ends = await world.path()
  ends.fill()
  await world.pass(3_000)
  let slowest = 0
  for (let round = 0; round < 100; round++) {
    await world.pass(50)
    slowest = Math.max(slowest, ends.near.rttMs ?? 0)
  }
  assert.ok(slowest < 20 + 50, `a round trip of ${slowest} ms where 20 are needed`)
  world.close()
})

test("two paths over one line share it, also when one came later", async (t) => {
  for (const bufferBytes of [60_000, 150_000, 2_000_000]) {
    const forward = new Road({ delayMs: 15, bytesPerMs: 3_000, bufferBytes })
    const backward = new Road({ delayMs: 15 })
    const world = new World(({ address }) => (address.startsWith("near") ? forward : backward))
    const first = await world.path("near1", "far1")
    first.fill()
    await world.pass(4_000)
    const second = await world.path("near2", "far2")
    second.fill()
    await world.pass(12_000)
    const before = [first, second].map(({ far }) => far.receivedBytes)
    await world.pass(10_000)
    const [a = 0, b = 0] = [first, second].map(({ far }, at) => (far.receivedBytes - (before[at] as number)) / 10_000)
    const fairness = (a + b) ** 2 / (2 * (a * a + b * b))
    t.diagnostic(`buffer ${bufferBytes}: ${Math.round(a)} and ${Math.round(b)} bytes/ms, ${fairness.toFixed(2)}`)
    assert.ok(fairness > 0.85, `${a} and ${b} bytes/ms`)
    assert.ok(a + b > 3_000 * 0.75, `${a + b} of 3000 bytes/ms`)
    world.close()
  }
})

test("large datagrams are used where they come through, and given up when they do not any more", async () => {
  const road = new Road({ delayMs: 5, bytesPerMs: 2_000, bufferBytes: 100_000 })
  const world = new World(() => road)
  const ends = await world.path()
  ends.fill()
  await world.pass(1_000)
  assert.equal(ends.near.datagramBytes, 1_400)
  road.facts.mostBytes = 1_300
  await world.pass(3_000)
  assert.equal(ends.near.datagramBytes, 1_200)
  const before = ends.got.size
  await world.pass(1_000)
  assert.ok(ends.got.size > before + 3, "it goes on")
  world.close()

  const narrow = new World(() => new Road({ delayMs: 5, mostBytes: 1_250 }))
  const path = await narrow.path()
  await narrow.pass(5_000)
  assert.equal(path.near.datagramBytes, 1_200)
  narrow.close()
})

test("a break is survived, and a long one ends both sides", async () => {
  const road = new Road({ delayMs: 10, bytesPerMs: 2_000, bufferBytes: 100_000 })
  const world = new World(() => road)
  const ends = await world.path()
  ends.fill()
  await world.pass(1_000)
  road.facts.cut = true
  await world.pass(4_000)
  road.facts.cut = false
  const before = ends.got.size
  await world.pass(6_000)
  assert.ok(ends.got.size > before + 10, `${ends.got.size - before} chunks behind the break`)
  assert.equal(ends.ended.length, 0)
  road.facts.cut = true
  await world.pass(20_000)
  assert.deepEqual(
    ends.ended.map(({ error }) => error?.code),
    ["timeout", "timeout"],
  )
  world.close()
})

test("an idle path stays", async () => {
  const world = new World(() => new Road({ delayMs: 10 }))
  const ends = await world.path()
  await world.pass(60_000)
  assert.equal(ends.ended.length, 0)
  ends.stop()
  ends.near.send({ version: 1, chunk: 4 }, bytes)
  await world.pass(1_000)
  assert.ok(ends.got.has(4))
  world.close()
})

test("what was recorded and what was changed on the way counts for nothing", async () => {
  const tape: { bytes: Uint8Array; to: DatagramAddress; from: string }[] = []
  const road = new Road({ delayMs: 5 })
  const world = new World(() => road)
  const carry = world.net.carry.bind(world.net)
  let taping = true
  world.net.carry = (datagram, from, to) => {
    if (taping) tape.push({ bytes: datagram.slice(), to, from: from.local.address })
    carry(datagram, from, to)
  }
  const ends = await world.path()
  for (let chunk = 0; chunk < 4; chunk++) ends.near.send({ version: 1, chunk }, bytes)
  await world.pass(2_000)
  taping = false
  assert.equal(ends.got.size, 4)
  const stranger = world.net.socket("stranger", 1)
  for (const { bytes: datagram, to } of tape) stranger.send(datagram, to)
  for (const { bytes: datagram, to } of tape) {
    const changed = datagram.slice()
    const at = world.random.u32() % changed.length
    changed[at] = (changed[at] as number) ^ 1
    stranger.send(changed, to)
  }
  await world.pass(2_000)
  assert.equal(ends.ended.length, 0)
  ends.near.send({ version: 1, chunk: 9 }, bytes)
  await world.pass(1_000)
  assert.equal(ends.got.size, 5)
  world.close()
})

test("strangers get no answer, and recordings of members no path", async () => {
  const world = new World(() => new Road({ delayMs: 1 }))
  let paths = 0
  world.endpoint("far").sit({ key, name: "far", onPath: () => paths++ })
  const other = world.endpoint("near").sit({ key: new Uint8Array(32).fill(6), name: "near" })
  const giveUp = new AbortController()
  const failed = assert.rejects(other.dial([{ address: "far", port: 1 }], "far", giveUp.signal), /enough/)
  await world.pass(3_000)
  giveUp.abort(new Error("enough"))
  await failed

  const hellos: Uint8Array[] = []
  const carry = world.net.carry.bind(world.net)
  world.net.carry = (datagram, from, to) => {
    if (from.local.address === "member") hellos.push(datagram.slice())
    carry(datagram, from, to)
  }
  const member = world.endpoint("member").sit({ key, name: "member" })
  const path = await dialNow(world, member.dial([{ address: "far", port: 1 }], "far", new AbortController().signal))
  assert.equal(paths, 1)
  path.close()
  await world.pass(2_000)
  const stranger = world.net.socket("stranger", 1)
  for (const datagram of hellos) stranger.send(datagram, { address: "far", port: 1 })
  await world.pass(15_000)
  assert.equal(paths, 1)
  world.close()
})

test("two who dial each other have one path, also from behind address translators", async () => {
  // A translator lets in what comes from where something was sent to before.
  const opened = new Set<string>()
  const world = new World((from, to) => {
    opened.add(`${from.address} ${to.address}`)
    return opened.has(`${to.address} ${from.address}`) ? new Road({ delayMs: 15 }) : undefined
  })
  const paths: string[] = []
  const seats = ["one", "two"].map((name) =>
    world.endpoint(name).sit({ key, name, onPath: (_, from) => paths.push(`${name} was dialled by ${from}`) }),
  )
  const { signal } = new AbortController()
  const both = Promise.all([
    seats[0]?.dial([{ address: "two", port: 1 }], "two", signal),
    seats[1]?.dial([{ address: "one", port: 1 }], "one", signal),
  ])
  const [one, two] = await dialNow(world, both)
  assert.ok(one !== undefined && two !== undefined)
  const ends = new Ends(one, two)
  one.send({ version: 1, chunk: 3 }, bytes)
  await world.pass(1_000)
  assert.ok(ends.got.has(3))
  assert.deepEqual(paths, [])
  world.close()
})

test("a path comes up however many hellos are lost", async () => {
  for (let seed = 0; seed < 20; seed++) {
    const world = new World(() => new Road({ delayMs: 5, jitterMs: 30, loss: 0.4, doubled: 0.2 }), seed)
    const ends = await world.path()
    ends.near.ask({ version: 1, chunk: 1 })
    await world.pass(2_000)
    world.close()
  }
})

test("only so many who have not proven to be there are kept in mind", async () => {
  const road = new Road({ delayMs: 1 })
  const world = new World(({ address }) => (address === "far" ? undefined : road))
  const far = world.endpoint("far")
  far.sit({ key, name: "far", onPath: () => assert.fail("nobody is there") })
  for (let at = 0; at < 200; at++) {
    const seat = world.endpoint(`m${at}`).sit({ key, name: `m${at}` })
    void seat.dial([{ address: "far", port: 1 }], "far", new AbortController().signal).catch(() => undefined)
  }
  const before = world.clock.pending
  await world.pass(50)
  assert.ok(world.clock.pending - before <= 64, `${world.clock.pending - before} timers`)
  await world.pass(200)
  world.close()
})

async function dialNow<T>(world: World, dialling: Promise<T>): Promise<T> {
  let done = false
  void dialling.then(() => (done = true)).catch(() => undefined)
  await world.pass(10_000, () => done)
  return dialling
}
