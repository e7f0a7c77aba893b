import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock } from "../../test/kit/fake-clock.ts"
import { RdvError } from "../base/error.ts"
import type { ErrorCode } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Stream, StreamSink } from "../base/stream.ts"
import { Pace } from "./pace.ts"
import { PacedStream } from "./paced-stream.ts"

/** A session's stream that notes what it gets, with the time; `sink` is where the peer's side comes in. */
function innerStream(clock: FakeClock) {
  const heard: string[] = []
  const bytes: { at: number; length: number }[] = []
  const inner = { heard, bytes, hasRoom: true, resets: [] as string[], text: "", peerEnded: false, ended: false }
  const finish = () => {
    if (inner.peerEnded && inner.ended) sink?.closed(undefined)
  }
  let sink: StreamSink | undefined
  const stream: Stream = {
    id: 1,
    service: "http/x",
    header: {},
    attach: (to) => void (sink = to),
    write(chunk) {
      inner.text += Buffer.from(chunk).toString()
      bytes.push({ at: clock.now(), length: chunk.length })
      return inner.hasRoom
    },
    meta(block) {
      heard.push(`meta ${JSON.stringify(block)} behind ${inner.text.length}`)
      return inner.hasRoom
    },
    end() {
      heard.push(`end behind ${inner.text.length}`)
      inner.ended = true
      finish()
    },
    reset(code: ErrorCode, reason?: string) {
      inner.resets.push(code)
      sink?.closed(new RdvError(code, reason))
    },
    consumed: () => undefined,
  }
  const peerEnds = () => {
    inner.peerEnded = true
    sink?.end()
    finish()
  }
  return { inner, stream, sink: () => sink as StreamSink, peerEnds }
}

/** A visitor's side that notes the same. */
function visitorSink(clock: FakeClock) {
  const visitor = {
    text: "",
    heard: [] as string[],
    bytes: [] as { at: number; length: number }[],
    sink: {
      data(chunk: Uint8Array) {
        visitor.text += Buffer.from(chunk).toString()
        visitor.bytes.push({ at: clock.now(), length: chunk.length })
      },
      meta: (block: JsonObject) =>
        void visitor.heard.push(`meta ${JSON.stringify(block)} behind ${visitor.text.length}`),
      end: () => void visitor.heard.push(`end behind ${visitor.text.length}`),
      drain: () => void visitor.heard.push("drain"),
      closed: (error: RdvError | undefined) =>
        void visitor.heard.push(`closed ${error?.code ?? "well"} behind ${visitor.text.length}`),
    } satisfies StreamSink,
  }
  return visitor
}

/** Bytes whose value tells their place. */
const textOf = (from: number, length: number): string =>
  Array.from({ length }, (_, at) => String.fromCharCode(33 + ((from + at) % 90))).join("")

test("whatever is sent arrives whole, in order and at the pace, whoever shares it", () => {
  const step = fc.record({
    stream: fc.nat(2),
    up: fc.boolean(),
    length: fc.integer({ min: 1, max: 3_000 }),
    waitMs: fc.oneof(fc.constant(0), fc.nat(1_500)),
  })
  fc.assert(
    fc.property(fc.integer({ min: 100, max: 5_000 }), fc.array(step, { maxLength: 40 }), (rate, steps) => {
      const clock = new FakeClock()
      const pace = new Pace(clock, rate)
      const began = clock.now()
      const all = [0, 1, 2].map(() => {
        const inner = innerStream(clock)
        const visitor = visitorSink(clock)
        const stream = new PacedStream(inner.stream, pace)
        stream.attach(visitor.sink)
        return { ...inner, visitor, stream, up: 0, down: 0, full: false }
      })
      for (const { stream, up, length, waitMs } of steps) {
        clock.advance(waitMs)
        const each = all[stream] as (typeof all)[number]
        if (up) {
          // Memory that is used again.
          const memory = Buffer.from(textOf(each.up, length))
          each.full = !each.stream.write(memory)
          memory.fill(0)
          each.up += length
        } else {
          each.sink().data(Buffer.from(textOf(each.down, length)))
          each.down += length
        }
      }
      for (const { stream, peerEnds } of all) {
        stream.end()
        peerEnds()
      }
      const total = all.reduce((sum, { up, down }) => sum + up + down, 0)
      clock.advance((total * 1000) / rate + 10_000)
      for (const { inner, visitor, up, down } of all) {
        assert.equal(inner.text, textOf(0, up))
        assert.equal(visitor.text, textOf(0, down))
        assert.deepEqual(inner.heard, [`end behind ${up}`])
        const ending = visitor.heard.filter((each) => each !== "drain")
        assert.deepEqual(ending, [`end behind ${down}`, `closed well behind ${down}`])
      }
      // One burst, one piece that was longer than what was left, and the least wait between two turns.
      const moved = all
        .flatMap(({ inner, visitor }) => [...inner.bytes, ...visitor.bytes])
        .toSorted((a, b) => a.at - b.at)
      let sum = 0
      for (const { at, length } of moved) {
        sum += length
        assert.ok(sum <= rate + ((at - began) * rate) / 1000 + 3_000, `${sum} bytes after ${at - began} ms`)
      }
      assert.equal(clock.pending, 0)
    }),
  )
})

test("who heard full hears when there is room, of the pace and of the session", () => {
  const clock = new FakeClock()
  const { inner, stream: plain, sink } = innerStream(clock)
  const visitor = visitorSink(clock)
  const stream = new PacedStream(plain, new Pace(clock, 1_000))
  stream.attach(visitor.sink)
  assert.equal(stream.write(Buffer.alloc(999)), true)
  assert.equal(stream.write(Buffer.alloc(2_001)), false)
  assert.equal(inner.text.length, 3_000)
  clock.advance(1_900)
  assert.deepEqual(visitor.heard, [])
  clock.advance(200)
  assert.deepEqual(visitor.heard, ["drain"])

  inner.hasRoom = false
  assert.equal(stream.write(Buffer.alloc(5_000)), false)
  clock.advance(10_000)
  assert.deepEqual(visitor.heard, ["drain"])
  inner.hasRoom = true
  sink().drain()
  assert.deepEqual(visitor.heard, ["drain", "drain"])
  assert.equal(stream.write(Buffer.alloc(1)), true)
})

test("metadata and ends keep their places, and heads count", () => {
  const clock = new FakeClock()
  const { inner, stream: plain, sink } = innerStream(clock)
  const visitor = visitorSink(clock)
  const stream = new PacedStream(plain, new Pace(clock, 100))
  stream.attach(visitor.sink)
  sink().meta({ status: 200, headers: ["x", "y".repeat(199)] })
  sink().data(Buffer.alloc(50))
  sink().meta({ trailers: [] })
  sink().end()
  assert.equal(visitor.heard.length, 1)
  stream.write(Buffer.alloc(50))
  stream.meta({ trailers: [] })
  stream.end()
  clock.advance(900)
  assert.equal(visitor.text.length, 0)
  clock.advance(1_000)
  // Who has ended still reads: the connection's next request.
  assert.deepEqual(visitor.heard.slice(1), ['meta {"trailers":[]} behind 50', "end behind 50", "drain"])
  assert.deepEqual(inner.heard, ['meta {"trailers":[]} behind 50', "end behind 50"])
})

test("a reset from either side is told at once, once, and what was held is dropped", () => {
  for (const ways of ["peer", "visitor", "visitor behind the end"]) {
    const clock = new FakeClock()
    const { inner, stream: plain, sink, peerEnds } = innerStream(clock)
    const visitor = visitorSink(clock)
    const stream = new PacedStream(plain, new Pace(clock, 100))
    stream.attach(visitor.sink)
    sink().data(Buffer.alloc(150))
    sink().data(Buffer.alloc(150))
    if (ways === "visitor behind the end") stream.end()
    else stream.write(Buffer.alloc(150))
    if (ways === "peer") sink().closed(new RdvError("connection_reset"))
    else {
      if (ways === "visitor behind the end") peerEnds()
      stream.reset("cancelled")
      stream.reset("cancelled")
    }
    const code = ways === "peer" ? "connection_reset" : "cancelled"
    assert.deepEqual(visitor.heard, [`closed ${code} behind 150`])
    clock.advance(60_000)
    assert.deepEqual([visitor.text.length, inner.text.length, visitor.heard.length], [150, 0, 1])
    assert.equal(clock.pending, 0)
  }
})

test("small answers do not wait until large ones are through", () => {
  const clock = new FakeClock()
  const pace = new Pace(clock, 100_000)
  const make = () => {
    const { stream: plain, sink } = innerStream(clock)
    const visitor = visitorSink(clock)
    new PacedStream(plain, pace).attach(visitor.sink)
    return { visitor, sink }
  }
  const large = make()
  for (let count = 0; count < 100; count++) large.sink().data(Buffer.alloc(64 * 1024))
  const small = make()
  small.sink().data(Buffer.alloc(1_000))
  clock.advance(1_000)
  assert.equal(small.visitor.text.length, 1_000)
  assert.ok(large.visitor.text.length < 400_000)
})

test("a sink that throws in its turn loses its stream and no other", () => {
  const clock = new FakeClock()
  const pace = new Pace(clock, 100)
  const bad = innerStream(clock)
  const visitor = visitorSink(clock)
  const fails = () => {
    throw new Error("broken")
  }
  new PacedStream(bad.stream, pace).attach({ ...visitor.sink, data: fails })
  pace.spend(200)
  bad.sink().data(Buffer.alloc(10))
  const good = innerStream(clock)
  const other = visitorSink(clock)
  new PacedStream(good.stream, pace).attach(other.sink)
  good.sink().data(Buffer.alloc(10))
  clock.advance(5_000)
  assert.deepEqual(
    [bad.inner.resets, visitor.heard, other.text.length],
    [["internal"], ["closed internal behind 0"], 10],
  )
})

test("metadata without end behind bytes that wait costs its stream, not the memory", () => {
  const clock = new FakeClock()
  const pace = new Pace(clock, 100)
  const { inner, stream: plain, sink } = innerStream(clock)
  const visitor = visitorSink(clock)
  new PacedStream(plain, pace).attach(visitor.sink)
  pace.spend(200)
  sink().data(Buffer.alloc(10))
  let count = 0
  while (inner.resets.length === 0 && count < 1_000) {
    sink().meta({ trailers: ["x", "y".repeat(10_000)] })
    count++
  }
  assert.deepEqual([inner.resets, visitor.heard], [["limit"], ["closed limit behind 0"]])
  assert.ok(count > 10 && count < 100, `${count}`)
  // Small ones cost memory, too.
  const small = innerStream(clock)
  new PacedStream(small.stream, pace).attach(visitorSink(clock).sink)
  small.sink().data(Buffer.alloc(10))
  for (count = 0; small.inner.resets.length === 0 && count < 100_000; count++) small.sink().meta({})
  assert.ok(count < 10_000, `${count}`)
})
