import assert from "node:assert/strict"
import { test } from "node:test"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import fc from "fast-check"
import { settle } from "../../test/kit/fake-clock.ts"
import { checkOf, frame, header, helloOf, openFrame, resetFrame, u32, u64 } from "../../test/kit/frames.ts"
import { rawPeer } from "../../test/kit/raw-peer.ts"
import { codeNumber, RdvError } from "../base/error.ts"
import type { Stream } from "../base/stream.ts"
import { frameType } from "../wire/frame.ts"

const { open, meta, data, credit, end, drain, ack, ping, pong, check, reset, dgram } = frameType

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

/** Takes everything and gives no credit back. */
function hold(stream: Stream): void {
  stream.attach({ data() {}, meta() {}, end() {}, drain() {}, closed() {} })
}

const violations: [string, Uint8Array[]][] = [
  [
    "sends more than its credit",
    [openFrame(1, "x"), ...Array.from({ length: 5 }, () => frame(data, 1, new Uint8Array(65_536)))],
  ],
  [
    "sends more than its credit in an OPEN",
    Array.from({ length: 3 }, () => openFrame(1, "x", "", new Uint8Array(65_000))),
  ],
  ["opens a stream with our parity", [openFrame(2, "x")]],
  ["opens a stream twice", [openFrame(1, "x"), openFrame(1, "x")]],
  ["opens a stream with a window below the least", [openFrame(1, "x", "", new Uint8Array(0), 1000)]],
  ["opens a service that is no name", [openFrame(1, "BAD NAME")]],
  ["sends DATA on a stream that was never opened", [frame(data, 1, "x")]],
  ["sends empty DATA on a stream that was never opened", [frame(data, 1, "")]],
  ["sends DATA on a stream of ours that was never opened", [frame(data, 2, "x")]],
  ["sends META on a stream that was never opened", [frame(meta, 1, "{}")]],
  ["sends END on a stream that was never opened", [frame(end, 1)]],
  ["sends CREDIT on a stream that was never opened", [frame(credit, 1, u32(1))]],
  ["resets a stream that was never opened", [resetFrame(1, 1)]],
  ["sends a META that is no JSON", [openFrame(1, "x"), frame(meta, 1, "{a:1}")]],
  ["sends a META that is no object", [openFrame(1, "x"), frame(meta, 1, "[1]")]],
  ["sends two ENDs", [openFrame(1, "x"), frame(end, 1), frame(end, 1)]],
  ["sends DATA behind its END", [openFrame(1, "x"), frame(end, 1), frame(data, 1, "x")]],
  ["sends META behind its END", [openFrame(1, "x"), frame(end, 1), frame(meta, 1, "{}")]],
  ["gives credit above 2^30", [openFrame(1, "x"), frame(credit, 1, u32(2 ** 30))]],
  ["acknowledges what was never sent", [frame(ack, 0, u64(1n))]],
  ["acknowledges 2^64 - 1", [frame(ack, 0, u64(2n ** 64n - 1n))]],
  ["sends a HELLO after the handshake", [helloOf({ kind: "new" })]],
  ["sends a frame of an unknown type", [frame(0x55, 0)]],
  ["announces a frame over the limit", [header(data, 65_537, 1)]],
]

for (const [what, bytes] of violations) {
  test(`a peer that ${what} is told so, and its session ends`, async () => {
    const peer = rawPeer({ onStream: hold })
    await peer.say(...bytes)
    await settle()
    const ended = peer.ended()
    assert.ok(ended instanceof RdvError && ended.code === "protocol", String(ended))
    const last = peer
      .frames()
      .filter(({ type }) => type === reset)
      .at(-1)
    assert.equal(last?.stream, 0)
    assert.equal(Number.parseInt(last.payload.slice(0, 4), 16), codeNumber("protocol"))
    assert.equal(peer.session.state, "closed")
    assert.equal(peer.session.status().windowGrantedBytes, 0)
    assert.equal(peer.clock.pending, 0)
  })
}

test("a replay that does not begin with the frame that was cut ends the session", async () => {
  for (const other of [frame(data, 1, "other length"), frame(end, 1), openFrame(3, "x")]) {
    const peer = rawPeer({ onStream: hold })
    await peer.say(openFrame(1, "x"), frame(data, 1, "0123456789").subarray(0, 12))
    peer.relink(0)
    await peer.say(other)
    const ended = peer.ended()
    assert.ok(ended instanceof RdvError && ended.code === "protocol")
  }
})

test("an ACK that overtakes a replay breaks nothing", async () => {
  const peer = rawPeer({ role: "dialer" })
  const stream = peer.session.open("x", {})
  hold(stream)
  stream.write(new Uint8Array(100_000))
  await settle()
  const sent = peer.session.status().unacknowledgedBytes
  assert.ok(sent > 100_000)
  peer.relink(0)
  await peer.say(frame(ack, 0, u64(BigInt(sent))))
  assert.equal(peer.session.state, "live")
  assert.equal(peer.session.status().unacknowledgedBytes, 0)
  stream.write(Buffer.from("goes on"))
  await settle()
  assert.equal(peer.frames().at(-1)?.payload, Buffer.from("goes on").toString("hex"))
})

test("a resume that claims more than was sent ends the session; one that comes too late only costs its link", async () => {
  const peer = rawPeer()
  await peer.say(openFrame(1, "x"))
  const sent = peer.session.status().unacknowledgedBytes
  assert.ok(sent > 0)
  await peer.say(frame(ack, 0, u64(BigInt(sent))))
  peer.relink(sent - 1)
  assert.equal(peer.session.state, "suspended")
  peer.relink(sent)
  assert.equal(peer.session.state, "live")
  peer.relink(sent + 1)
  assert.equal(peer.session.state, "closed")
  const ended = peer.ended()
  assert.ok(ended instanceof RdvError && ended.code === "protocol")
})

test("frames for streams that are over are ignored", async () => {
  const peer = rawPeer()
  await peer.say(openFrame(1, "x"), frame(data, 1, "x"), frame(meta, 1, "{}"), frame(credit, 1, u32(5)), frame(end, 1))
  await peer.say(frame(data, 1, "late"), resetFrame(1, 1), frame(end, 1))
  assert.equal(peer.ended(), "open")
  assert.deepEqual(
    peer
      .frames()
      .filter(({ type }) => type < frameType.hello)
      .map(({ type, stream }) => [type, stream]),
    [[reset, 1]],
  )
})

test("any PING is answered with its own payload, at once", async () => {
  const peer = rawPeer()
  await peer.say(frame(ping, 0, u64(2n ** 64n - 1n)), frame(ping, 0, u64(5n)), frame(pong, 0, u64(2n ** 64n - 1n)))
  const answers = peer.frames().filter(({ type }) => type === pong)
  assert.deepEqual(
    answers.map(({ payload }) => BigInt(`0x${payload}`)),
    [2n ** 64n - 1n, 5n],
  )
  assert.equal(peer.ended(), "open")
})

test("datagrams and CHECK frames that nobody needs are ignored", async () => {
  const peer = rawPeer()
  await peer.say(frame(dgram, 7, "x"), checkOf(), frame(check, 0, u32(99)))
  assert.equal(peer.ended(), "open")
})

test("a flood of PINGs on a link that takes nothing is not answered from memory", async () => {
  const peer = rawPeer({ deaf: true })
  const pings = Buffer.concat(Array.from({ length: 1000 }, () => frame(ping, 0, u64(1n))))
  for (let round = 0; round < 1000; round++) await peer.say(pings)
  assert.equal(peer.session.state, "live")
  peer.link.b.resume()
  await settle(200)
  const answers = peer.frames().filter(({ type }) => type === pong).length
  assert.ok(answers > 0 && answers <= 16 * 1001, `${answers} answers`)
})

test("a peer that writes and does not read is acknowledged once when it reads, not once for each delay", async () => {
  const peer = rawPeer({ deaf: true, onStream: hold })
  const pings = Buffer.concat(Array.from({ length: 16 }, () => frame(ping, 0, u64(1n))))
  for (let round = 0; round < 6000; round++) await peer.say(pings)
  await peer.say(openFrame(1, "x"))
  for (let round = 0; round < 200; round++) {
    await peer.say(frame(credit, 1, u32(0)))
    await peer.clock.pass(20)
  }
  peer.link.b.resume()
  await settle(200)
  const acks = peer.frames().filter(({ type }) => type === ack)
  assert.equal(acks.length, 1)
  assert.equal(BigInt(`0x${acks[0]?.payload}`), BigInt(openFrame(1, "x").length + 200 * 12))
})

test("streams over the limit are refused one by one, and those within it go on", async () => {
  const accepted: Stream[] = []
  const peer = rawPeer({
    limits: { streams: 3 },
    onStream(stream) {
      hold(stream)
      accepted.push(stream)
    },
  })
  await peer.say(...[1, 3, 5, 7, 9].map((id) => openFrame(id, "x")))
  const refused = peer.frames().filter(({ type }) => type === reset)
  assert.deepEqual(
    refused.map(({ stream, payload }) => [stream, Number.parseInt(payload.slice(0, 4), 16)]),
    [
      [7, codeNumber("limit")],
      [9, codeNumber("limit")],
    ],
  )
  assert.deepEqual(
    accepted.map(({ id }) => id),
    [1, 3, 5],
  )
  await peer.say(resetFrame(3, 1), openFrame(11, "x"))
  assert.equal(accepted.length, 4)
  assert.equal(peer.session.streamCount, 3)
})

test("streams that we opened do not count against the peer's", async () => {
  const peer = rawPeer({ limits: { streams: 2 }, peerStreams: 2, onStream: hold })
  for (let count = 0; count < 2; count++) hold(peer.session.open("x", {}))
  await settle()
  await peer.say(openFrame(1, "x"), openFrame(3, "x"))
  assert.equal(peer.frames().filter(({ type }) => type === reset).length, 0)
  assert.equal(peer.session.streamCount, 4)
})

test("a flood of OPENs over the limit that reads no refusal ends the session before it fills the memory", async () => {
  const peer = rawPeer({ deaf: true, limits: { streams: 10, logBytes: 1000 }, onStream: hold })
  let id = 1
  let most = 0
  for (let round = 0; round < 100 && peer.ended() === "open"; round++) {
    await peer.say(Buffer.concat(Array.from({ length: 100 }, () => openFrame((id += 2), "x"))))
    most = Math.max(most, peer.session.streamCount)
  }
  const ended = peer.ended()
  assert.ok(ended instanceof RdvError && ended.code === "protocol")
  assert.ok(most <= 10 + 1024)
})

test("a flood of OPEN and RESET leaves nothing behind, whether its answers are read or not", async () => {
  for (const deaf of [false, true]) {
    const peer = rawPeer({
      deaf,
      limits: { logBytes: 1000 },
      onStream(stream) {
        if (stream.service !== "talk") {
          stream.reset("no_service")
          return
        }
        // Fills the log, so that nothing more can be sent.
        hold(stream)
        stream.write(new Uint8Array(5000))
      },
    })
    await peer.say(openFrame(1, "talk"))
    let id = 3
    const round = () => {
      const frames = []
      for (let count = 0; count < 500; count++, id += 2) frames.push(openFrame(id, "nothing"), resetFrame(id, 1))
      return peer.say(Buffer.concat(frames))
    }
    for (let count = 0; count < 10; count++) await round()
    collect()
    const before = process.memoryUsage().heapUsed
    for (let count = 0; count < 100; count++) await round()
    assert.equal(peer.session.streamCount, 1)
    // 50,000 streams; each takes about a kilobyte.
    collect()
    assert.ok(process.memoryUsage().heapUsed - before < 10_000_000)
    assert.equal(peer.ended(), "open")
  }
})

test("a reset out of the last END's own call says nothing more", async () => {
  const peer = rawPeer({
    onStream(stream) {
      stream.attach({ data() {}, meta() {}, end: () => stream.reset("cancelled"), drain() {}, closed() {} })
      stream.end()
    },
  })
  await peer.say(openFrame(1, "x"))
  await peer.say(frame(end, 1))
  const said = peer.frames().filter(({ type }) => type < frameType.hello)
  assert.deepEqual(
    said.map(({ type }) => type),
    [end],
  )
  assert.equal(peer.session.streamCount, 0)
})

test("a flood of METAs on a stream that nobody has attached stops at the window", async () => {
  const streams: Stream[] = []
  const peer = rawPeer({ onStream: (stream) => void streams.push(stream) })
  await peer.say(openFrame(1, "x"))
  const block = frame(meta, 1, JSON.stringify({ text: "x".repeat(30_000) }))
  let sent = 0
  for (; sent < 100 && peer.ended() === "open"; sent++) await peer.say(block)
  const ended = peer.ended()
  assert.ok(ended instanceof RdvError && ended.code === "protocol")
  assert.ok(sent <= 10)
})

test("METAs that waited for a receiver give their credit back when it comes", async () => {
  const streams: Stream[] = []
  const peer = rawPeer({ onStream: (stream) => void streams.push(stream) })
  await peer.say(
    openFrame(1, "x"),
    ...Array.from({ length: 2 }, () => frame(meta, 1, JSON.stringify({ text: "x".repeat(60_000) }))),
  )
  const credits = () => peer.frames().filter(({ type }) => type === credit)
  const raised = credits().length
  hold(streams[0] as Stream)
  await settle()
  assert.ok(credits().length > raised)
})

test("a peer that drains gets no new streams, and those that it opens after it read our DRAIN are refused", async () => {
  const peer = rawPeer({ onStream: hold })
  await peer.say(frame(drain, 0))
  const refused = Promise.withResolvers<RdvError | undefined>()
  peer.session.open("x", {}).attach({ data() {}, meta() {}, end() {}, drain() {}, closed: refused.resolve })
  assert.equal((await refused.promise)?.code, "draining")

  const other = rawPeer({ onStream: hold })
  await other.say(openFrame(1, "x"))
  other.session.drain()
  await other.say(openFrame(3, "x"))
  const said = other.frames().filter(({ type }) => type < 0x10)
  const position = said.reduce((sum, { payload }) => sum + 8 + payload.length / 2, 0)
  await other.say(frame(ack, 0, u64(BigInt(position))), openFrame(5, "x"))
  assert.deepEqual(
    other
      .frames()
      .filter(({ type }) => type === drain || type === reset)
      .map(({ type, stream, payload }) => [type, stream, payload.slice(0, 4)]),
    [
      [drain, 0, ""],
      [reset, 5, "000c"],
    ],
  )
  assert.equal(other.session.streamCount, 2, "what was under way when DRAIN went out is served")
})

test("a stream that is cancelled before it was sent never existed for the peer", async () => {
  const peer = rawPeer({ role: "dialer" })
  const closed = Promise.withResolvers<RdvError | undefined>()
  // Without a link nothing is sent at once.
  peer.session.detachLink(new RdvError("link_lost"))
  const stream = peer.session.open("x", {})
  stream.attach({ data() {}, meta() {}, end() {}, drain() {}, closed: closed.resolve })
  stream.write(Buffer.from("x"))
  stream.reset("cancelled")
  assert.equal((await closed.promise)?.code, "cancelled")
  await settle()
  assert.deepEqual(
    peer.frames().filter(({ type }) => type < frameType.hello),
    [],
  )
  assert.equal(peer.session.streamCount, 0)
  assert.equal(peer.session.status().windowGrantedBytes, 0)
})

test("a header that no frame can carry closes its stream with limit, and nothing else", async () => {
  const peer = rawPeer({ role: "dialer" })
  const closed = Promise.withResolvers<RdvError | undefined>()
  peer.session
    .open("x", { text: "€".repeat(30_000) })
    .attach({ data() {}, meta() {}, end() {}, drain() {}, closed: closed.resolve })
  assert.equal((await closed.promise)?.code, "limit")
  const fits = peer.session.open("x", { text: "x".repeat(65_000) })
  hold(fits)
  await settle()
  assert.equal(peer.session.state, "live")
  assert.deepEqual(
    peer
      .frames()
      .filter(({ type }) => type === open)
      .map(({ stream }) => stream),
    [fits.id],
  )
  assert.throws(() => fits.meta({ text: "x".repeat(65_536) }), { code: "limit" })
})

test("random frames of a valid form end in order or with protocol, and leave nothing behind", async () => {
  const id = fc.integer({ min: 0, max: 4 })
  const any = fc.oneof(
    id.map((stream) => openFrame(stream, "x")),
    fc.tuple(id, fc.uint8Array({ maxLength: 30 })).map(([stream, bytes]) => frame(data, stream, bytes)),
    fc.tuple(id, fc.constantFrom("{}", '{"a":[1]}', "[]", "no")).map(([stream, text]) => frame(meta, stream, text)),
    fc.tuple(id, fc.nat(70_000)).map(([stream, bytes]) => frame(credit, stream, u32(bytes))),
    id.map((stream) => frame(end, stream)),
    fc.tuple(id, fc.nat(30)).map(([stream, code]) => resetFrame(stream, code, "why")),
    fc.nat(200).map((position) => frame(ack, 0, u64(BigInt(position)))),
    fc.constant(frame(drain, 0)),
    fc.constant(frame(ping, 0, u64(1n))),
    fc.uint8Array({ minLength: 1, maxLength: 20 }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(any, { maxLength: 30 }), async (frames) => {
      let toldTwice = 0
      const peer = rawPeer({
        onStream(stream) {
          let over = false
          stream.attach({
            data: (chunk) => stream.consumed(chunk.length),
            meta() {},
            end: () => stream.end(),
            drain() {},
            closed() {
              if (over) toldTwice++
              over = true
            },
          })
        },
      })
      for (const each of frames) await peer.say(each)
      const ended = peer.ended()
      if (ended === "open") peer.session.close()
      else if (ended !== undefined) assert.ok(ended.code === "protocol" || ended.origin === "remote")
      assert.equal(toldTwice, 0)
      assert.equal(peer.session.streamCount, 0)
      assert.equal(peer.session.status().windowGrantedBytes, 0)
      assert.equal(peer.session.status().unacknowledgedBytes, 0)
      assert.equal(peer.clock.pending, 0)
    }),
    { numRuns: 150 },
  )
})
