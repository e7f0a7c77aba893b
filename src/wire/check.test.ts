import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { test } from "node:test"
import fc from "fast-check"
import { checkOf, frame, header, u32 } from "../../test/kit/frames.ts"
import { RdvError } from "../base/error.ts"
import { CheckReader } from "./check.ts"
import { crc32 } from "./crc32.ts"
import { frameType } from "./frame.ts"

/** Two checked batches, and an unchecked frame behind them. */
const first = [frame(frameType.data, 1, "hello"), frame(frameType.end, 1)]
const second = [frame(frameType.ping, 0, new Uint8Array(8)), frame(frameType.data, 3, randomBytes(300))]
const open = frame(frameType.data, 3, "not checked yet")
const stream = Buffer.concat([...first, checkOf(...first), ...second, checkOf(...second), open])
const checked = Buffer.concat([...first, ...second])

function read(chunks: readonly Uint8Array[]): Buffer {
  const delivered: Uint8Array[] = []
  const reader = new CheckReader(crc32, (bytes) => delivered.push(bytes.slice()) < 0)
  for (const chunk of chunks) reader.push(chunk)
  return Buffer.concat(delivered)
}

test("exactly what a CHECK vouched for is delivered, however the bytes are cut", () => {
  for (let at = 0; at <= stream.length; at++) {
    assert.deepEqual(read([stream.subarray(0, at), stream.subarray(at)]), checked, `cut at ${at}`)
  }
  for (const size of [1, 2, 3, 7, 13]) {
    const chunks = []
    for (let at = 0; at < stream.length; at += size) chunks.push(stream.subarray(at, at + size))
    assert.deepEqual(read(chunks), checked, `pieces of ${size}`)
  }
})

test("nothing is delivered before its CHECK has arrived whole", () => {
  const end = Buffer.concat(first).length
  assert.equal(read([stream.subarray(0, end + 11)]).length, 0)
  assert.equal(read([stream.subarray(0, end + 12)]).length, end)
})

test("what is not kept may be overwritten", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 60 }), (sizes) => {
      const delivered: Uint8Array[] = []
      const reader = new CheckReader(crc32, (bytes) => delivered.push(bytes.slice()) < 0)
      let at = 0
      for (const size of [...sizes, stream.length]) {
        const chunk = Uint8Array.from(stream.subarray(at, at + size))
        at += size
        if (!reader.push(chunk)) chunk.fill(0xee)
      }
      assert.deepEqual(Buffer.concat(delivered), checked)
    }),
  )
})

test("one changed bit anywhere is never delivered", () => {
  // More checked frames follow, as they would: PINGs at least.
  const ping = frame(frameType.ping, 0, new Uint8Array(8))
  const pings = Buffer.concat(Array.from({ length: 10_000 }, () => [ping, checkOf(ping)]).flat())
  const good = Buffer.concat([checked, open])
  for (let at = 0; at < checked.length + 24; at++) {
    for (const bit of [1, 0x10, 0x80]) {
      const bytes = Buffer.from(stream)
      bytes[at] = (bytes[at] as number) ^ bit
      const delivered: Uint8Array[] = []
      const reader = new CheckReader(crc32, (run) => delivered.push(run.slice()) < 0)
      let error: unknown
      try {
        reader.push(bytes)
        reader.push(checkOf(open))
        reader.push(pings)
      } catch (thrown) {
        error = thrown
      }
      const got = Buffer.concat(delivered)
      assert.ok(error instanceof RdvError && error.code === "corrupt", `byte ${at} bit ${bit}`)
      assert.deepEqual(got, good.subarray(0, got.length))
    }
  }
})

test("a length over the limit is corruption, found at the header", () => {
  assert.throws(() => read([header(frameType.data, 65_537, 1)]), { code: "corrupt" })
})

test("a CHECK that does not come within its bytes is corruption, and no more than those are held", () => {
  const part = frame(frameType.data, 1, new Uint8Array(65_536))
  const reader = new CheckReader(crc32, () => false)
  for (let count = 0; count < 3; count++) reader.push(part)
  assert.throws(
    () => {
      for (let count = 0; count < 2; count++) reader.push(part)
    },
    { code: "corrupt" },
  )
})

test("progress is made by matched CHECKs and by many bytes, not by crumbs behind a changed length", () => {
  const reader = new CheckReader(crc32, () => false)
  const before = reader.progress
  reader.push(Buffer.concat([open, checkOf(open)]))
  assert.ok(reader.progress > before)
  reader.push(header(frameType.data, 60_000, 1))
  const stalled = reader.progress
  const ping = frame(frameType.ping, 0, new Uint8Array(8))
  for (let beat = 0; beat < 100; beat++) reader.push(Buffer.concat([ping, checkOf(ping)]))
  assert.equal(reader.progress, stalled)
  reader.push(new Uint8Array(4096))
  assert.ok(reader.progress > stalled)
})

test("random bytes only ever cost the link", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
      const reader = new CheckReader(crc32, () => false)
      try {
        for (const chunk of chunks) reader.push(chunk)
      } catch (error) {
        assert.ok(error instanceof RdvError && error.code === "corrupt")
      }
    }),
    { numRuns: 1000 },
  )
})

test("a CHECK over nothing is fine", () => {
  assert.equal(read([frame(frameType.check, 0, u32(0)), frame(frameType.check, 0, u32(0))]).length, 0)
})
