import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { test } from "node:test"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { DatagramNet, Road } from "../../../../test/kit/datagram-net.ts"
import type { MemorySocket, RoadFacts } from "../../../../test/kit/datagram-net.ts"
import { SeededRandom } from "../../../base/random.ts"
import { udpMac } from "../node/udp-mac.ts"
import { castGroup } from "./cast-place.ts"
import { CastReceiver } from "./cast-receiver.ts"
import { CastSender } from "./cast-sender.ts"
import type { CastPlace, CastReport } from "./chunk-cast.ts"
import type { DatagramAddress } from "./datagram-socket.ts"

const place: CastPlace = { swarm: "482713", key: new Uint8Array(32).fill(9) }
const chunkBytes = 65_552

class Lan {
  readonly clock = new FakeClock()
  readonly random = new SeededRandom(11)
  /** By receiver; the sender's own comes from all. */
  readonly roads = new Map<string, Road>()
  readonly net: DatagramNet
  readonly ears: Ear[] = []
  readonly heard: number[] = []
  readonly speaker: MemorySocket
  readonly sender: CastSender

  constructor(receivers: readonly RoadFacts[], senderPlace: CastPlace = place) {
    const { clock, random } = this
    const road = (_from: DatagramAddress, to: DatagramAddress) => this.roads.get(to.address)
    this.net = new DatagramNet({ clock, random, road })
    this.roads.set("sender", new Road({ delayMs: 0.2 }))
    for (const [at, facts] of receivers.entries()) this.roads.set(`r${at}`, new Road({ delayMs: 0.2, ...facts }))
    for (const at of receivers.keys()) this.ears.push(new Ear(this, `r${at}`))
    this.speaker = this.net.socket("sender", 1)
    this.sender = new CastSender({
      sockets: [this.speaker],
      place: senderPlace,
      events: { heard: (count) => this.heard.push(count) },
      clock,
      macFor: udpMac,
      random: (count) => this.bytes(count),
    })
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count)
    this.random.fill(bytes)
    return bytes
  }

  /** Until it is so, in steps of 10 ms. */
  async until(met: () => boolean, mostMs: number): Promise<void> {
    for (let ms = 0; !met(); ms += 10) {
      assert.ok(ms < mostMs, `not within ${mostMs} ms`)
      await settle(2)
      this.clock.advance(10)
    }
  }

  async pass(chunks: readonly Uint8Array[], version = 1, patienceMs = 60_000): Promise<CastReport> {
    let report: CastReport | undefined
    const { signal } = new AbortController()
    const run = this.sender.pass({
      version,
      chunks: chunks.keys(),
      read: (chunk) => chunks[chunk] as Uint8Array,
      signal,
    })
    void run.then((result) => (report = result))
    await this.until(() => report !== undefined, patienceMs)
    await this.until(() => this.ears.every(({ over, isDeaf }) => isDeaf || over.includes(version)), 3_000)
    return report as unknown as CastReport
  }

  close(): void {
    this.sender.close()
    for (const { ear } of this.ears) ear.close()
  }
}

class Ear {
  readonly got = new Map<number, Uint8Array>()
  readonly over: number[] = []
  readonly lost: number[] = []
  isDeaf = true
  has: Uint8Array | undefined
  wants: (chunk: number) => boolean = () => true
  readonly ear: CastReceiver

  constructor(lan: Lan, address: string) {
    this.ear = new CastReceiver({
      socket: lan.net.socket(address, 1).join(castGroup(place)),
      place,
      clock: lan.clock,
      macFor: udpMac,
      fraction: () => lan.random.fraction(),
      random: (count) => lan.bytes(count),
      sink: {
        heard: () => (this.isDeaf = false),
        deaf: () => (this.isDeaf = true),
        have: () => this.has,
        room: ({ chunk }, length) => (this.wants(chunk) ? new Uint8Array(length) : undefined),
        chunk: ({ chunk }, sealed) => {
          assert.ok(!this.got.has(chunk), "once")
          this.got.set(chunk, sealed)
        },
        lost: ({ chunk }) => this.lost.push(chunk),
        over: (version) => this.over.push(version),
      },
    })
  }

  hasAll(chunks: readonly Uint8Array[]): boolean {
    return chunks.every((bytes, chunk) => Buffer.compare(this.got.get(chunk) ?? new Uint8Array(0), bytes) === 0)
  }
}

function content(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, at) => randomBytes(at === count - 1 ? 1_000 : chunkBytes))
}

test("receivers and sender find out that they hear each other", async () => {
  const lan = new Lan([{}, {}, {}])
  await lan.until(() => lan.ears.every(({ isDeaf }) => !isDeaf), 500)
  assert.equal(lan.sender.receivers, 3)
  assert.equal(lan.heard.at(-1), 3)
  lan.sender.close()
  await lan.until(() => lan.ears.every(({ isDeaf }) => isDeaf), 5_000)
  lan.close()
  assert.equal(lan.clock.pending, 0)
})

test("a pass costs one copy on the wire however many listen", async () => {
  const lan = new Lan(Array.from({ length: 12 }, () => ({})))
  await lan.until(() => lan.sender.receivers === 12, 1_000)
  const chunks = content(60)
  const report = await lan.pass(chunks)
  for (const ear of lan.ears) assert.ok(ear.hasAll(chunks))
  assert.equal(report.chunks, 60)
  assert.ok(report.wireBytes / report.bytes < 1.06, `${report.wireBytes / report.bytes} copies`)
  assert.equal(report.receivers, 12)
  lan.close()
  assert.equal(lan.clock.pending, 0)
})

test("what some have lost is repaired for all, and costs little", async () => {
  const lan = new Lan(Array.from({ length: 7 }, () => ({ loss: 0.02, jitterMs: 0.5, doubled: 0.01 })))
  await lan.until(() => lan.sender.receivers === 7, 2_000)
  const chunks = content(60)
  const report = await lan.pass(chunks)
  for (const ear of lan.ears) assert.ok(ear.hasAll(chunks), `${ear.got.size} chunks, ${ear.lost.length} lost`)
  assert.ok(report.wireBytes / report.bytes < 1.35, `${report.wireBytes / report.bytes} copies`)
  lan.close()
  assert.equal(lan.clock.pending, 0)
})

test("whoever loses nearly everything holds nobody up", async () => {
  const lan = new Lan([{}, {}, {}, {}, { loss: 0.6 }])
  await lan.until(() => lan.sender.receivers === 5, 10_000)
  const chunks = content(100)
  const report = await lan.pass(chunks)
  for (const ear of lan.ears.slice(0, 4)) assert.ok(ear.hasAll(chunks))
  assert.ok(report.wireBytes / report.bytes < 1.6, `${report.wireBytes / report.bytes} copies`)
  assert.ok(report.ms < 6_000, `${report.ms} ms`)
  const last = lan.ears[4] as Ear
  assert.ok(last.got.size + last.lost.length <= 100)
  lan.close()
})

test("the pace follows the network of nearly all receivers", async () => {
  const slow = { bytesPerMs: 3_000, bufferBytes: 1_000_000 }
  const lan = new Lan([slow, slow, slow, { bytesPerMs: 200, bufferBytes: 100_000 }])
  await lan.until(() => lan.sender.receivers === 4, 3_000)
  const chunks = content(200)
  const report = await lan.pass(chunks)
  for (const ear of lan.ears.slice(0, 3)) assert.ok(ear.hasAll(chunks), `${ear.got.size}`)
  const bytesPerMs = report.bytes / report.ms
  assert.ok(bytesPerMs > 1_200 && bytesPerMs < 3_000, `${bytesPerMs} bytes/ms`)
  assert.ok(report.wireBytes / report.bytes < 1.3, `${report.wireBytes / report.bytes} copies`)
  lan.close()
})

test("a receiver takes what it lacks, and skips the rest", async () => {
  const lan = new Lan([{ loss: 0.01 }])
  const [ear] = lan.ears as [Ear]
  ear.wants = (chunk) => chunk % 3 === 0
  await lan.until(() => lan.sender.receivers === 1, 2_000)
  const chunks = content(30)
  await lan.pass(chunks)
  assert.deepEqual(
    [...ear.got.keys()].toSorted((a, b) => a - b),
    [0, 3, 6, 9, 12, 15, 18, 21, 24, 27],
  )
  lan.close()
})

test("what all have is left out, and what one alone lacks", async () => {
  const lan = new Lan([{}, {}, {}, {}])
  await lan.until(() => lan.sender.receivers === 4, 2_000)
  const chunks = content(40)
  // 0-7 are everywhere, 8-15 are not at the first one, 16-23 are not at the first two.
  for (const [at, ear] of lan.ears.entries()) {
    ear.has = Uint8Array.of(255, at === 0 ? 0 : 255, at < 2 ? 0 : 255)
    ear.wants = (chunk) => (((ear.has?.[chunk >> 3] ?? 0) >> (chunk & 7)) & 1) === 0
  }
  const report = await lan.pass(chunks)
  assert.equal(report.skipped, 16)
  assert.equal(report.chunks, 24)
  for (const [at, { got, lost }] of lan.ears.entries()) {
    assert.deepEqual(
      [...got.keys()].toSorted((a, b) => a - b),
      [...chunks.keys()].slice(at < 2 ? 16 : 24),
    )
    assert.deepEqual(lost, [])
  }
  lan.close()
  assert.equal(lan.clock.pending, 0)
})

test("a network that carries next to nothing is left to the normal way", async () => {
  const lan = new Lan(Array.from({ length: 3 }, () => ({ bytesPerMs: 300, bufferBytes: 60_000 })))
  await lan.until(() => lan.sender.receivers === 3, 2_000)
  const chunks = content(400)
  const report = await lan.pass(chunks)
  assert.ok(report.chunks < 100, `${report.chunks} chunks`)
  assert.ok(report.ms < 10_000, `${report.ms} ms`)
  lan.close()
})

test("who comes in the middle of a pass gets the rest of it", async () => {
  const lan = new Lan([{}, { cut: true }])
  await lan.until(() => lan.sender.receivers === 1, 1_000)
  const chunks = content(300)
  const [early, late] = lan.ears as [Ear, Ear]
  const passed = lan.pass(chunks)
  await lan.until(() => early.got.size > 100, 5_000)
  const road = lan.roads.get("r1") as Road
  road.facts.cut = false
  await passed
  assert.ok(early.hasAll(chunks))
  assert.ok(late.got.size > 0 && late.got.size < 250, `${late.got.size}`)
  assert.ok(late.got.has(299))
  lan.close()
})

test("passes follow each other, and their versions are told apart", async () => {
  const lan = new Lan([{ loss: 0.02 }, {}])
  await lan.until(() => lan.sender.receivers === 2, 2_000)
  const first = content(10)
  await lan.pass(first, 1)
  for (const { got } of lan.ears) got.clear()
  const second = content(12)
  await lan.pass(second, 2)
  for (const ear of lan.ears) {
    assert.ok(ear.hasAll(second))
    assert.deepEqual(ear.over, [1, 2])
  }
  lan.close()
})

test("a sender with another key, or a recording, is not heard", async () => {
  const lan = new Lan([{}], { ...place, key: new Uint8Array(32).fill(1) })
  lan.clock.advance(3_000)
  await settle()
  assert.equal((lan.ears[0] as Ear).isDeaf, true)
  lan.close()

  const live = new Lan([{}])
  const recorder = live.net.socket("recorder", 1).join(castGroup(place))
  live.roads.set("recorder", new Road({ delayMs: 0.2 }))
  const tape: Uint8Array[] = []
  recorder.attach({ datagram: (bytes) => tape.push(bytes.slice()), closed: () => undefined })
  await live.until(() => !(live.ears[0] as Ear).isDeaf, 1_000)
  live.sender.close()
  await live.until(() => (live.ears[0] as Ear).isDeaf, 5_000)
  const again = live.net.socket("sender", 1)
  for (const bytes of tape.slice()) {
    again.send(bytes, castGroup(place))
    live.clock.advance(20)
    await settle()
  }
  assert.equal((live.ears[0] as Ear).isDeaf, true)
  live.close()
})

test("a sender that stops in the middle leaves memory free and says so", async () => {
  const lan = new Lan([{}])
  const [ear] = lan.ears as [Ear]
  await lan.until(() => lan.sender.receivers === 1, 1_000)
  const chunks = content(300)
  const { signal } = new AbortController()
  const run = lan.sender.pass({
    version: 1,
    chunks: chunks.keys(),
    read: (chunk) => chunks[chunk] as Uint8Array,
    signal,
  })
  const failed = assert.rejects(run, { code: "closed" })
  await lan.until(() => ear.got.size > 20, 5_000)
  lan.sender.close()
  await failed
  await lan.until(() => ear.isDeaf, 5_000)
  assert.ok(ear.lost.length <= 1)
  lan.close()
  assert.equal(lan.clock.pending, 0)
})
