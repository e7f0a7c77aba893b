import assert from "node:assert/strict"
import { test } from "node:test"
import { deflateSync } from "node:zlib"
import fc from "fast-check"
import { RdvError } from "../../../base/error.ts"
import { decodeHistogram, encodeHistogram } from "./histogram-codec.ts"
import { newHistogram, newRunHistogram, quantilesOf } from "./histogram.ts"
import { encodeInterval, IntervalReader } from "./interval-codec.ts"
import type { Interval } from "./interval.ts"
import { Recorder } from "./recorder.ts"

const gauges = { connections: 2, inFlight: 1, queued: 3, loopLagMs: 1.5, cpu: 0.25 }

function busyInterval(model: "open" | "closed"): Interval {
  const recorder = new Recorder(2, model)
  for (let at = 0; at < 500; at++) {
    recorder.planned(1)
    recorder.sent(0)
    recorder.answered(0, at, at + 0.3, at + 3.337 + at / 7, 11, 12)
    recorder.late(at)
  }
  recorder.connected(1, 12.345)
  recorder.broke(1, { kind: "reset", detail: "the peer reset it" })
  recorder.timedOut(1, { kind: "timeout", detail: "no answer in 5 s" })
  recorder.cut(0)
  recorder.dropped(7)
  return recorder.take(1003.25, gauges)
}

/** What a report could tell of it. */
function told(interval: Interval): unknown {
  return {
    ...interval,
    late: quantilesOf(interval.late),
    targets: interval.targets.map((target) => ({
      ...target,
      wait: quantilesOf(target.wait),
      service: quantilesOf(target.service),
      total: quantilesOf(target.total),
      connect: quantilesOf(target.connect),
    })),
  }
}

for (const model of ["open", "closed"] as const) {
  test(`an interval of the ${model} model comes out as it went in, through JSON`, () => {
    const reader = new IntervalReader(2)
    const interval = busyInterval(model)
    const text = JSON.stringify(encodeInterval(interval))
    assert.deepEqual(told(reader.read(JSON.parse(text))), told(interval))
    assert.ok(text.length < 6000, `${text.length} characters`)
  })
}

test("a reader's histograms are used again and hold nothing of the interval before", () => {
  const reader = new IntervalReader(2)
  const first = reader.read(encodeInterval(busyInterval("open")))
  const empty = new Recorder(2, "open").take(1000, gauges)
  const second = reader.read(encodeInterval(empty))
  assert.equal(second.targets[0]?.wait, first.targets[0]?.wait)
  assert.deepEqual(told(second), told(empty))
})

test("in the closed model total and service are one histogram on the other side, too", () => {
  const [target] = new IntervalReader(2).read(encodeInterval(busyInterval("closed"))).targets
  assert.equal(target?.total, target?.service)
})

test("any histogram comes out with the same counts", () => {
  const into = newRunHistogram()
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 3_600_000_000 }), { minLength: 1, maxLength: 50 }), (values) => {
      const histogram = newHistogram()
      for (const value of values) histogram.recordValueWithCount(value, 1 + (value % 70_000))
      decodeHistogram(encodeHistogram(histogram), into)
      assert.equal(encodeHistogram(into), encodeHistogram(histogram))
      assert.equal(into.totalCount, histogram.totalCount)
    }),
    { numRuns: 50 },
  )
})

const bigEndian = (...words: readonly number[]) => {
  const bytes = Buffer.alloc(words.length * 4)
  for (const [at, word] of words.entries()) bytes.writeUInt32BE(word >>> 0, at * 4)
  return bytes
}
const wrapped = (plain: Uint8Array) => {
  const deflated = deflateSync(plain)
  return Buffer.concat([bigEndian(0x1c849314, deflated.length), deflated]).toString("base64")
}
const head = (length: number, digits = 3, highest = 3_600_000_000) =>
  bigEndian(0x1c849313, length, 0, digits, 0, 1, 0, highest, 0, 1)

const hostile: readonly (readonly [what: string, text: string])[] = [
  ["nothing", ""],
  ["no base64", "!!!!"],
  ["another cookie", bigEndian(1, 2, 3).toString("base64")],
  ["a length that is not its own", bigEndian(0x1c849314, 400, 3).toString("base64")],
  ["nothing that decompresses", bigEndian(0x1c849314, 4, 3).toString("base64")],
  ["a bomb", wrapped(Buffer.alloc(50_000_000))],
  ["a text of megabytes", "A".repeat(2_000_000)],
  ["another cookie inside", wrapped(Buffer.alloc(60))],
  ["a payload longer than it is", wrapped(head(0xffff_ffff))],
  ["another precision", wrapped(head(0, 5))],
  ["another range", wrapped(head(0, 3, 4_000_000_000))],
  ["a count without its end", wrapped(Buffer.concat([head(1), Buffer.from([0x80])]))],
  ["values above an hour", wrapped(Buffer.concat([head(5), Buffer.from([0xff, 0xff, 0xff, 0x7f, 2])]))],
  ["a count beyond numbers", wrapped(Buffer.concat([head(9), Buffer.alloc(9, 0xfe)]))],
]

for (const [what, text] of hostile) {
  test(`a histogram that is ${what} is refused in one line`, () => {
    assert.throws(() => decodeHistogram(text, newRunHistogram()), isOneLine)
  })
}

test("an interval with anything wrong in it is refused in one line", () => {
  const reader = new IntervalReader(2)
  const right = JSON.parse(JSON.stringify(encodeInterval(busyInterval("open")))) as { targets: object[] }
  const [first, second] = right.targets
  const service = (first as { service: [string, number, number] }).service
  const wrong: readonly unknown[] = [
    null,
    [],
    "x",
    { ...right, planned: -1 },
    { ...right, planned: 1.5 },
    { ...right, planned: "7" },
    { ...right, cpu: null },
    { ...right, toMs: -1 },
    { ...right, fromMs: 5000 },
    { ...right, late: "x" },
    { ...right, targets: [first] },
    { ...right, targets: [first, second, second] },
    { ...right, targets: [first, 7] },
    { ...right, targets: [first, { ...second, errors: { surprise: { count: 1, example: "" } } }] },
    { ...right, targets: [first, { ...second, errors: { reset: 4 } }] },
    { ...right, targets: [first, { ...second, errors: { reset: { count: 1, example: "x".repeat(1000) } } }] },
    { ...right, targets: [{ ...first, service: [service[0], service[1], 3_000_000_000] }, second] },
    { ...right, targets: [{ ...first, service: [service[0]] }, second] },
    { ...right, targets: [{ ...first, total: "wait" }, second] },
  ]
  for (const json of wrong) assert.throws(() => reader.read(json), isOneLine, JSON.stringify(json)?.slice(0, 80))
  reader.read(right)
})

test("whatever bytes come, reading ends with a histogram or with one error", () => {
  const into = newRunHistogram()
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.boolean(), (bytes, framed) => {
      const text = framed ? wrapped(Buffer.concat([head(bytes.length), bytes])) : Buffer.from(bytes).toString("base64")
      try {
        decodeHistogram(text, into)
      } catch (error) {
        assert.ok(isOneLine(error))
      }
    }),
    { numRuns: 300 },
  )
})

function isOneLine(error: unknown): boolean {
  return error instanceof RdvError && error.code === "protocol" && !error.message.includes("\n")
}
