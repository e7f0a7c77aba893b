import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { frame, header, openFrame, readFrames, resetFrame, u32, u64 } from "../../test/kit/frames.ts"
import { RdvError } from "../base/error.ts"
import { FrameDecoder, readU64 } from "./decode.ts"
import { writeU64 } from "./encode.ts"
import { frameType } from "./frame.ts"

const valid = Buffer.concat([
  frame(frameType.hello, 0, '{"kind":"refuse","code":1}'),
  frame(frameType.check, 0, u32(7)),
  openFrame(1, "echo", '{"a":1}', Buffer.from("first")),
  frame(frameType.meta, 1, '{"n":"ü"}'),
  frame(frameType.data, 1, "some bytes"),
  frame(frameType.data, 0xffff_ffff, ""),
  frame(frameType.ack, 0, u64(1234n)),
  frame(frameType.credit, 1, u32(65_536)),
  frame(frameType.dgram, 9, ""),
  frame(frameType.ping, 0, u64(2n ** 64n - 1n)),
  frame(frameType.pong, 0, u64(0n)),
  frame(frameType.end, 1),
  frame(frameType.drain, 0),
  resetFrame(3, 5, "no"),
  resetFrame(0, 17),
])

test("frames are the same however the bytes are cut", () => {
  const whole = readFrames([valid])
  assert.equal(whole.length, 15)
  for (let at = 0; at <= valid.length; at++) {
    assert.deepEqual(readFrames([valid.subarray(0, at), valid.subarray(at)]), whole, `cut at ${at}`)
  }
  for (const size of [1, 2, 3, 5, 7, 11]) {
    const chunks = []
    for (let at = 0; at < valid.length; at += size) chunks.push(valid.subarray(at, at + size))
    assert.deepEqual(readFrames(chunks), whole, `pieces of ${size}`)
  }
})

test("the decoder knows when the last byte ended a frame", () => {
  const borders = new Set([0])
  for (let at = 0; at < valid.length;) borders.add((at += 8 + (valid.readUInt32BE(at) & 0xffffff)))
  for (let at = 0; at <= valid.length; at++) {
    const decoder = new FrameDecoder({ data() {}, frame() {} })
    decoder.push(valid.subarray(0, at))
    assert.equal(decoder.atBoundary, borders.has(at), `after ${at} bytes`)
  }
})

const wrong: [string, Uint8Array][] = [
  ["a DATA frame over the limit", header(frameType.data, 65_537, 1)],
  ["an OPEN frame over the limit", header(frameType.open, 65_537, 1)],
  ["a META frame over the limit", header(frameType.meta, 0xffffff, 1)],
  ["a datagram over the limit", header(frameType.dgram, 65_537, 1)],
  ["a HELLO over the limit", header(frameType.hello, 8193, 0)],
  ["a RESET reason over the limit", header(frameType.reset, 515, 1)],
  ["an OPEN that is too short", header(frameType.open, 6, 1)],
  ["a META that is too short", header(frameType.meta, 1, 1)],
  ["a RESET without a code", header(frameType.reset, 1, 1)],
  ["a CREDIT of 3 bytes", header(frameType.credit, 3, 1)],
  ["a CREDIT of 5 bytes", header(frameType.credit, 5, 1)],
  ["an END with a payload", header(frameType.end, 1, 1)],
  ["a DRAIN with a payload", header(frameType.drain, 1, 0)],
  ["an ACK of 4 bytes", header(frameType.ack, 4, 0)],
  ["a PING of 9 bytes", header(frameType.ping, 9, 0)],
  ["a PONG without a payload", header(frameType.pong, 0, 0)],
  ["a CHECK of 8 bytes", header(frameType.check, 8, 0)],
  ["DATA on stream 0", header(frameType.data, 1, 0)],
  ["OPEN on stream 0", header(frameType.open, 20, 0)],
  ["META on stream 0", header(frameType.meta, 2, 0)],
  ["END on stream 0", header(frameType.end, 0, 0)],
  ["CREDIT on stream 0", header(frameType.credit, 4, 0)],
  ["a datagram on stream 0", header(frameType.dgram, 0, 0)],
  ["ACK on a stream", header(frameType.ack, 8, 1)],
  ["DRAIN on a stream", header(frameType.drain, 0, 2)],
  ["HELLO on a stream", header(frameType.hello, 2, 1)],
  ["type 0", header(0, 0, 1)],
  ["type 8", header(8, 0, 1)],
  ["type 0x16", header(0x16, 0, 0)],
  ["type 0xff", header(0xff, 0, 0)],
]

for (const [what, bytes] of wrong) {
  test(`${what} is refused at its header`, () => {
    assert.throws(() => readFrames([bytes]), { code: "protocol" })
    assert.throws(() => readFrames([...bytes].map((byte) => Uint8Array.of(byte))), { code: "protocol" })
  })
}

test("a receiver that announced less refuses more", () => {
  assert.throws(() => readFrames([header(frameType.data, 1025, 1)], 1024), { code: "protocol" })
  assert.equal(readFrames([frame(frameType.data, 1, new Uint8Array(1024))], 1024).length, 1)
})

test("random bytes end in frames or in one protocol error, in bounded memory and time", () => {
  const types = fc.constantFrom(...Object.values(frameType), 0, 8, 0x16, 0xff)
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc.tuple(types, fc.nat(70_000), fc.nat(3)).map(([type, length, stream]) => header(type, length, stream)),
    fc
      .tuple(types, fc.nat(2), fc.uint8Array({ maxLength: 40 }))
      .map(([type, stream, payload]) => frame(type, stream, payload)),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (chunks) => {
      let delivered = 0
      const decoder = new FrameDecoder({
        data: (_stream, _bytes, start, end) => void (delivered += end - start),
        frame: (_type, _stream, _bytes, start, end) => void (delivered += end - start),
      })
      let given = 0
      try {
        for (const chunk of chunks) {
          given += chunk.length
          assert.equal(decoder.push(chunk), chunk.length)
        }
      } catch (error) {
        assert.ok(error instanceof RdvError)
        assert.equal(error.code, "protocol")
      }
      assert.ok(delivered <= given)
    }),
    { numRuns: 2000 },
  )
})

test("64-bit numbers keep their value up to 2^53 and are refused beyond", () => {
  const bytes = new Uint8Array(8)
  for (const value of [0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 52 + 12345, Number.MAX_SAFE_INTEGER]) {
    writeU64(value, bytes, 0)
    assert.deepEqual(Buffer.from(bytes), u64(BigInt(value)))
    assert.equal(readU64(bytes, 0), value)
  }
  assert.throws(() => readU64(u64(2n ** 53n), 0), { code: "protocol" })
  assert.throws(() => readU64(u64(2n ** 64n - 1n), 0), { code: "protocol" })
})
