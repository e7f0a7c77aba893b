import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock, settle } from "../../test/kit/fake-clock.ts"
import { sessionPair } from "../../test/kit/session-pair.ts"
import type { SessionPairOptions } from "../../test/kit/session-pair.ts"
import type { RdvError } from "../base/error.ts"
import type { Stream } from "../base/stream.ts"
import type { Link } from "./link.ts"

/** What a stream delivered, in order, neighbouring bytes joined. */
function record(stream: Stream, options: { consume?: boolean } = {}) {
  const events: string[] = []
  let bytes = ""
  const flush = () => {
    if (bytes !== "") events.push(`data ${bytes}`)
    bytes = ""
  }
  const closed = Promise.withResolvers<RdvError | undefined>()
  stream.attach({
    data(chunk) {
      bytes += Buffer.from(chunk).toString("latin1")
      if (options.consume !== false) stream.consumed(chunk.length)
    },
    meta(block) {
      flush()
      events.push(`meta ${JSON.stringify(block)}`)
    },
    end() {
      flush()
      events.push("end")
    },
    drain() {},
    closed(error) {
      flush()
      events.push(error === undefined ? "closed" : `closed ${error.code}`)
      closed.resolve(error)
    },
  })
  return { events, closed: closed.promise }
}

/** Delivers `bytes` to one side's session, then cuts the link: once. */
function cutAfter(bytes: number, side: "dialer" | "acceptor"): NonNullable<SessionPairOptions["wrap"]> {
  let left = bytes
  let isCut = false
  return (link, at, pair) => {
    if (at !== side || isCut) return link
    const wrapped: Link = {
      kind: link.kind,
      peer: link.peer,
      protected: link.protected,
      get queuedBytes() {
        return link.queuedBytes
      },
      send: (parts) => link.send(parts),
      pause: () => link.pause(),
      resume: () => link.resume(),
      close: () => link.close(),
      abort: (error) => link.abort(error),
      attach: (sink) =>
        link.attach({
          data(chunk) {
            if (isCut) return false
            if (chunk.length < left) {
              left -= chunk.length
              return sink.data(chunk)
            }
            const kept = left > 0 && sink.data(chunk.subarray(0, left))
            isCut = true
            pair.cut()
            return kept
          },
          drain: () => sink.drain(),
          closed: (error) => sink.closed(error),
        }),
    }
    return wrapped
  }
}

const body = Buffer.from(Array.from({ length: 5000 }, (_, at) => 33 + (at % 90))).toString("latin1")
const sizes = [300, 1, 2500]

/** Writes all kinds of frames; returns what the peer must see. */
function transfer(stream: Stream): string[] {
  const events: string[] = []
  let at = 0
  for (const size of sizes) {
    const piece = body.slice(at, (at += size))
    stream.write(Buffer.from(piece, "latin1"))
    stream.meta({ at, text: "ü€" })
    events.push(`data ${piece}`, `meta ${JSON.stringify({ at, text: "ü€" })}`)
  }
  stream.end()
  return [...events, "end", "closed"]
}

for (const checked of [false, true]) {
  test(`a link that breaks at any byte loses and doubles nothing, checked: ${checked}`, async () => {
    let step = 1
    let cuts = 0
    for (let offset = 0; offset < 3200; offset += step) {
      // Every byte of the heads and of the first frames, then every 13th within the long one.
      step = offset < 450 || offset > 2950 ? 1 : 13
      if (checked) step *= 3
      const peer = Promise.withResolvers<ReturnType<typeof record>>()
      const pair = sessionPair({
        checked,
        relink: true,
        memory: { poison: true },
        wrap: cutAfter(offset, "acceptor"),
        onAccepted(stream) {
          const recorded = record(stream)
          peer.resolve(recorded)
          stream.end()
        },
      })
      const stream = pair.dialer.open("x", { a: 1 })
      const here = record(stream)
      const expected = transfer(stream)
      const there = await peer.promise
      assert.equal(await there.closed, undefined)
      assert.equal(await here.closed, undefined)
      assert.deepEqual(there.events, expected, `cut after ${offset} bytes`)
      assert.deepEqual(here.events, ["end", "closed"])
      cuts += pair.acceptor.status().resumes
      pair.close()
    }
    assert.ok(cuts > 200, `${cuts} cuts`)
  })
}

test("a link that breaks again while it replays a broken frame loses and doubles nothing", async () => {
  for (let first = 60; first < 3000; first += 311) {
    for (let second = 0; second < 3000; second += 173) {
      const wraps = [cutAfter(first, "acceptor"), cutAfter(second, "acceptor")]
      let links = 0
      const peer = Promise.withResolvers<ReturnType<typeof record>>()
      const pair = sessionPair({
        relink: true,
        memory: { poison: true, splitBytes: 100 },
        wrap: (link, side, memory) => {
          const wrap = wraps[Math.floor(links++ / 2)]
          return wrap === undefined ? link : wrap(link, side, memory)
        },
        onAccepted(stream) {
          peer.resolve(record(stream))
          stream.end()
        },
      })
      const stream = pair.dialer.open("x", {})
      record(stream)
      const expected = transfer(stream)
      const there = await peer.promise
      await there.closed
      assert.deepEqual(there.events, expected, `cut after ${first} and ${second} bytes`)
      pair.close()
    }
  }
})

test("a stream opened while suspended, with all it says, arrives after the resume", async () => {
  const peer = Promise.withResolvers<ReturnType<typeof record>>()
  const pair = sessionPair({
    onAccepted(stream) {
      peer.resolve(record(stream))
      stream.end()
    },
  })
  pair.cut()
  await settle()
  assert.equal(pair.dialer.state, "suspended")
  const stream = pair.dialer.open("x", {})
  const here = record(stream)
  const expected = transfer(stream)
  pair.relink()
  const there = await peer.promise
  await there.closed
  assert.deepEqual(there.events, expected)
  assert.equal(await here.closed, undefined)
  pair.close()
})

test("a stream reset while suspended is reset at the peer after the resume", async () => {
  const peer = Promise.withResolvers<ReturnType<typeof record>>()
  const pair = sessionPair({ onAccepted: (stream) => peer.resolve(record(stream)) })
  const stream = pair.dialer.open("x", {})
  const here = record(stream)
  stream.write(Buffer.from("a"))
  const there = await peer.promise
  pair.cut()
  await settle()
  stream.reset("timeout", "too slow")
  assert.equal((await here.closed)?.code, "timeout")
  assert.equal(pair.acceptor.streamCount, 1)
  pair.relink()
  const error = await there.closed
  assert.deepEqual([error?.code, error?.message, error?.origin], ["timeout", "too slow", "remote"])
  assert.equal(pair.dialer.streamCount + pair.acceptor.streamCount, 0)
  pair.close()
})

test("a receiver that attaches late gets what was held, the end and the close, in order", async () => {
  const accepted = Promise.withResolvers<Stream>()
  const pair = sessionPair({ memory: { poison: true, splitBytes: 99 }, onAccepted: accepted.resolve })
  const stream = pair.dialer.open("x", {})
  const here = record(stream)
  const expected = transfer(stream)
  const theirs = await accepted.promise
  theirs.end()
  assert.equal(await here.closed, undefined)
  await settle()
  assert.deepEqual(record(theirs).events, expected)
  assert.equal(pair.acceptor.status().windowGrantedBytes, 0)
  pair.close()
})

test("a receiver that attaches after a reset hears of the reset only", async () => {
  const accepted = Promise.withResolvers<Stream>()
  const pair = sessionPair({ onAccepted: accepted.resolve })
  const stream = pair.dialer.open("x", {})
  stream.write(Buffer.from("lost"))
  const theirs = await accepted.promise
  stream.reset("cancelled")
  await settle()
  assert.deepEqual(record(theirs).events, ["closed cancelled"])
  pair.close()
})

test("a sink that resets its stream from within a call hears closed, and nothing more", async () => {
  for (const when of ["data", "meta", "end"]) {
    const events: string[] = []
    const over = Promise.withResolvers<void>()
    const pair = sessionPair({
      onAccepted(stream) {
        const hear = (what: string) => {
          events.push(what)
          if (what === when) stream.reset("cancelled")
        }
        stream.attach({
          data: () => hear("data"),
          meta: () => hear("meta"),
          end: () => hear("end"),
          drain: () => hear("drain"),
          closed(error) {
            hear(`closed ${error?.code}`)
            over.resolve()
          },
        })
      },
    })
    const stream = pair.dialer.open("x", {})
    const here = record(stream)
    stream.write(Buffer.from("a"))
    stream.meta({})
    stream.end()
    await over.promise
    const error = await here.closed
    assert.equal(error?.code, "cancelled")
    await settle()
    const order = ["data", "meta", "end"]
    assert.deepEqual(events, [...order.slice(0, order.indexOf(when) + 1), "closed cancelled"])
    assert.equal(pair.dialer.streamCount + pair.acceptor.streamCount, 0)
    pair.close()
  }
})

test("a session closed from within a stream's drain still tells the peer", async () => {
  const pair = sessionPair({ onAccepted: (stream) => void record(stream) })
  const stream = pair.dialer.open("x", {})
  stream.attach({ data() {}, meta() {}, end() {}, drain: () => pair.dialer.close("forbidden", "enough"), closed() {} })
  while (stream.write(Buffer.alloc(50_000))) continue
  await settle(10)
  assert.equal(pair.dialer.state, "closed")
  const end = pair.closed.acceptor
  assert.ok(end !== "open" && end?.code === "forbidden" && end.message === "enough")
})

for (const code of ["closed", "replaced"] as const) {
  test(`a session closed with ${code} ends at the peer, with all its streams`, async () => {
    const peer = Promise.withResolvers<ReturnType<typeof record>>()
    const pair = sessionPair({ onAccepted: (stream) => peer.resolve(record(stream)) })
    const here = record(pair.dialer.open("x", {}))
    const there = await peer.promise
    pair.dialer.close(code, code === "closed" ? "" : "a newer one")
    assert.equal((await here.closed)?.code, code)
    assert.equal((await there.closed)?.code, code)
    await settle()
    for (const end of [pair.closed.dialer, pair.closed.acceptor]) {
      if (code === "closed") assert.equal(end, undefined)
      else assert.ok(end !== "open" && end?.code === code)
    }
    for (const session of [pair.dialer, pair.acceptor]) {
      const { streams, windowGrantedBytes, unacknowledgedBytes } = session.status()
      assert.deepEqual([streams, windowGrantedBytes, unacknowledgedBytes], [0, 0, 0])
    }
  })
}

test("a session without a link ends after its grace time, with every stream, and holds nothing then", async () => {
  const clock = new FakeClock()
  const theirs: ReturnType<typeof record>[] = []
  const pair = sessionPair({
    clock,
    limits: { graceMs: 30_000 },
    onAccepted: (stream) => void theirs.push(record(stream, { consume: false })),
  })
  const streams = Array.from({ length: 20 }, () => pair.dialer.open("x", {}))
  const ours = streams.map((stream) => record(stream))
  for (const stream of streams) stream.write(Buffer.alloc(200_000))
  await settle(50)
  pair.cut()
  await settle()
  for (const stream of streams) stream.write(Buffer.alloc(100_000))
  await clock.pass(29_999)
  assert.equal(pair.dialer.state, "suspended")
  assert.equal(pair.acceptor.status().streams, 20)
  assert.ok(pair.dialer.status().windowGrantedBytes > 0)
  await clock.pass(1)
  for (const { closed } of [...ours, ...theirs]) assert.equal((await closed)?.code, "expired")
  for (const session of [pair.dialer, pair.acceptor]) {
    assert.equal(session.state, "closed")
    const { streams: left, windowGrantedBytes, unacknowledgedBytes } = session.status()
    assert.deepEqual([left, windowGrantedBytes, unacknowledgedBytes], [0, 0, 0])
  }
  assert.equal(clock.pending, 0)
  const late = record(pair.dialer.open("x", {}))
  assert.equal((await late.closed)?.code, "closed")
})

test("a link that falls silent is noticed within the dead time on both sides, and the session goes on with the next", async () => {
  const clock = new FakeClock()
  const peer = Promise.withResolvers<ReturnType<typeof record>>()
  const pair = sessionPair({
    clock,
    limits: { deadAfterMs: 2000 },
    onAccepted(stream) {
      peer.resolve(record(stream))
      stream.end()
    },
  })
  const stream = pair.dialer.open("x", {})
  record(stream)
  stream.write(Buffer.from("before "))
  await clock.pass(700)
  pair.link.block()
  stream.write(Buffer.from("during "))
  await clock.pass(2000)
  assert.deepEqual([pair.dialer.state, pair.acceptor.state], ["suspended", "suspended"])
  pair.relink()
  stream.write(Buffer.from("after"))
  stream.end()
  await clock.pass(10)
  const there = await peer.promise
  assert.deepEqual(there.events, ["data before during after", "end", "closed"])
  pair.close()
  assert.equal(clock.pending, 0)
})

test("a changed length on a checked link that is nearly idle is noticed within the dead time", async () => {
  const clock = new FakeClock()
  const peer = Promise.withResolvers<ReturnType<typeof record>>()
  const pair = sessionPair({
    clock,
    checked: true,
    limits: { deadAfterMs: 2000 },
    onAccepted: (stream) => peer.resolve(record(stream)),
  })
  const stream = pair.dialer.open("x", {})
  record(stream)
  await clock.pass(100)
  // The third byte of the next frame: its length grows by 4,096.
  pair.link.corruptNext(2)
  stream.write(Buffer.from("hello"))
  await clock.pass(3000)
  assert.equal(pair.acceptor.state, "suspended")
  pair.relink()
  stream.end()
  await clock.pass(10)
  assert.deepEqual((await peer.promise).events, ["data hello", "end"])
  pair.close()
})

test("a checked link that is slow but alive is not given up", async () => {
  const clock = new FakeClock()
  const peer = Promise.withResolvers<ReturnType<typeof record>>()
  const pair = sessionPair({
    clock,
    checked: true,
    limits: { deadAfterMs: 2000 },
    memory: { bytesPerSecond: 10_000, splitBytes: 500, bufferBytes: 1 },
    onAccepted: (stream) => peer.resolve(record(stream)),
  })
  const stream = pair.dialer.open("x", {})
  record(stream)
  for (let at = 0; at < 30; at++) stream.write(Buffer.from("x".repeat(3000)))
  stream.end()
  await clock.pass(20_000)
  assert.deepEqual((await peer.promise).events, [`data ${"x".repeat(90_000)}`, "end"])
  assert.equal(pair.acceptor.status().resumes, 0)
  pair.close()
})

test("a live link can be replaced by another at any moment", async () => {
  const peer = Promise.withResolvers<ReturnType<typeof record>>()
  const pair = sessionPair({ memory: { poison: true }, onAccepted: (stream) => peer.resolve(record(stream)) })
  const stream = pair.dialer.open("x", {})
  record(stream)
  let expected = ""
  for (let round = 0; round < 200; round++) {
    const piece = `${round},`.repeat(1 + (round % 50))
    expected += piece
    stream.write(Buffer.from(piece))
    if (round % 3 === 0) await settle(round % 4)
    pair.relink()
  }
  stream.end()
  await settle(20)
  assert.deepEqual((await peer.promise).events, [`data ${expected}`, "end"])
  assert.equal(pair.dialer.status().resumes, 200)
  pair.close()
})

test("draining lets open streams finish and opens no new ones, at either side", async () => {
  const peer = Promise.withResolvers<ReturnType<typeof record>>()
  let theirs: Stream | undefined
  const pair = sessionPair({
    onAccepted(stream) {
      theirs = stream
      peer.resolve(record(stream))
    },
  })
  const stream = pair.dialer.open("x", {})
  const here = record(stream)
  const there = await peer.promise
  pair.acceptor.drain()
  await settle()
  assert.equal(pair.dialer.draining, true)
  for (const session of [pair.dialer, pair.acceptor]) {
    assert.equal((await record(session.open("x", {})).closed)?.code, "draining")
  }
  const expected = transfer(stream)
  theirs?.end()
  await there.closed
  assert.deepEqual(there.events, expected)
  assert.equal(await here.closed, undefined)
  pair.close()
})
