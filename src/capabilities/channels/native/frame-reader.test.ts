import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { concat } from "../../../base/bytes.ts"
import { FrameReader } from "./frame-reader.ts"

function frame(kind: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(5 + body.length)
  new DataView(bytes.buffer).setUint32(0, body.length + 1)
  bytes[4] = kind
  bytes.set(body, 5)
  return bytes
}

class Heard {
  readonly frames: [number, string][] = []
  readonly reader: FrameReader
  stopAfter = Infinity

  constructor(maxBytes = 10_000) {
    this.reader = new FrameReader(this, maxBytes)
  }

  frame(kind: number, bytes: Uint8Array, start: number, end: number): void {
    this.frames.push([kind, Buffer.from(bytes.subarray(start, end)).toString("hex")])
    if (this.frames.length === this.stopAfter) this.reader.stop()
  }
}

const frames = fc.array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 6_000 })), {
  maxLength: 12,
})
const cuts = fc.array(fc.nat({ max: 9_000 }), { maxLength: 20 })

test("frames are the same however their bytes are cut", () => {
  fc.assert(
    fc.property(frames, cuts, (all, sizes) => {
      const bytes = concat(all.map(([kind, body]) => frame(kind, body)))
      const heard = new Heard()
      let at = 0
      for (const size of [...sizes, bytes.length]) {
        // The memory is the caller's again behind each call.
        const chunk = bytes.slice(at, at + size)
        heard.reader.push(chunk)
        chunk.fill(0xee)
        at += size
      }
      assert.deepEqual(
        heard.frames,
        all.map(([kind, body]) => [kind, Buffer.from(body).toString("hex")]),
      )
    }),
    { numRuns: 300 },
  )
})

test("a length over the limit is refused before its bytes have come, and a length of 0 too", () => {
  for (const [max, bytes] of [
    [10, frame(1, new Uint8Array(11)).subarray(0, 5)],
    [2 ** 30, Uint8Array.of(255, 255, 255, 255, 1)],
    [10, Uint8Array.of(0, 0, 0, 0, 1)],
  ] as const) {
    const whole = new Heard(max)
    assert.throws(() => whole.reader.push(bytes), { code: "protocol" })
    const cut = new Heard(max)
    cut.reader.push(bytes.subarray(0, 3))
    assert.throws(() => cut.reader.push(bytes.subarray(3)), { code: "protocol" })
  }
  new Heard(10).reader.push(frame(1, new Uint8Array(10)))
})

test("a promise of much memory takes none before it is kept", () => {
  const before = process.memoryUsage().arrayBuffers
  const readers = Array.from({ length: 1_000 }, () => new Heard(2 ** 30))
  for (const { reader } of readers) reader.push(Uint8Array.of(0x3f, 255, 255, 255, 1, 2, 3))
  assert.ok(process.memoryUsage().arrayBuffers - before < 4 * 2 ** 20)
})

test("nothing is told behind a stop, not even of the same chunk", () => {
  const heard = new Heard()
  heard.stopAfter = 2
  const one = frame(7, Uint8Array.of(1))
  heard.reader.push(concat([one, one, one, one.subarray(0, 3)]))
  heard.reader.push(concat([one.subarray(3), one]))
  assert.equal(heard.frames.length, 2)
})
