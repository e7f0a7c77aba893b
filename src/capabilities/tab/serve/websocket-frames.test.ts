import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { closePayload, FrameError, frameHead, FrameReader, mayBeSent, opcode } from "./websocket-frames.ts"

type Seen = readonly [string, ...unknown[]]

const limit = 1 << 20

/** What a server hears of the bytes, cut at the given places. */
function read(bytes: Uint8Array, cuts: readonly number[] = [], most = limit): { seen: Seen[]; error?: FrameError } {
  const seen: Seen[] = []
  const reader = new FrameReader(
    {
      message: (message, length) =>
        seen.push(["message", typeof message === "string" ? message : [...message], length]),
      ping: (payload) => seen.push(["ping", [...payload]]),
      pong: () => seen.push(["pong"]),
      close: (code, reason) => seen.push(["close", code, reason]),
    },
    most,
  )
  const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
  try {
    for (let at = 1; at < places.length; at++) reader.push(bytes.slice(places[at - 1], places[at]))
  } catch (error) {
    assert.ok(error instanceof FrameError)
    return { seen, error }
  }
  return { seen }
}

/** A client's frame. */
function frame(
  code: number,
  payload: Uint8Array,
  options: { last?: boolean; mask?: readonly number[] } = {},
): Uint8Array {
  const { last = true, mask = [1, 2, 3, 4] } = options
  const head = frameHead(code, payload.length)
  if (!last) head[0] = (head[0] as number) & 127
  head[1] = (head[1] as number) | 128
  return Buffer.concat([head, Uint8Array.from(mask), payload.map((byte, at) => byte ^ (mask[at & 3] as number))])
}

const bytes = (text: string) => new TextEncoder().encode(text)
const mask = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
const content = fc.oneof(fc.string({ unit: "binary" }), fc.uint8Array({ maxLength: 300 }))

test("messages arrive as they were sent, however they are cut into frames, masked, and cut on the way", () => {
  const message = fc.record({
    content,
    pieces: fc.array(fc.nat(300), { maxLength: 3 }),
    mask,
    pings: fc.array(fc.uint8Array({ maxLength: 125 }), { maxLength: 2 }),
  })
  fc.assert(
    fc.property(fc.array(message, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 8 }), (messages, cuts) => {
      const expected: Seen[] = []
      const frames: Uint8Array[] = []
      for (const { content: sent, pieces, mask: bits, pings } of messages) {
        const isText = typeof sent === "string"
        const payload = isText ? bytes(sent) : sent
        const places = [0, ...pieces.map((at) => at % (payload.length + 1)).toSorted((a, b) => a - b), payload.length]
        for (let at = 1; at < places.length; at++) {
          const code = at > 1 ? opcode.more : isText ? opcode.text : opcode.binary
          const part = payload.slice(places[at - 1], places[at])
          frames.push(frame(code, part, { last: at === places.length - 1, mask: bits }))
          // Control frames may stand between the pieces.
          for (const ping of at === 1 && places.length > 2 ? pings : []) {
            frames.push(frame(opcode.ping, ping, { mask: bits }))
            expected.push(["ping", [...ping]])
          }
        }
        expected.push(["message", isText ? sent : [...sent], payload.length])
      }
      const { seen, error } = read(Buffer.concat(frames), cuts)
      assert.equal(error, undefined)
      assert.deepEqual(seen, expected)
    }),
  )
})

test("whatever comes, the reader says what is wrong or waits for more, and it does so alike however it is cut", () => {
  // Mostly frames with something wrong: plain noise rarely passes its first byte.
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    fc
      .tuple(fc.nat(255), fc.nat(255), fc.uint8Array({ maxLength: 200 }))
      .map(([first, second, rest]) => Uint8Array.from([first & 0x8f, second | 128, ...rest])),
    fc
      .tuple(fc.nat(15), fc.uint8Array({ maxLength: 140 }), fc.boolean())
      .map(([code, payload, last]) => frame(code, payload, { last })),
  )
  fc.assert(
    fc.property(fc.array(noise, { maxLength: 6 }), fc.array(fc.nat(), { maxLength: 6 }), (parts, cuts) => {
      const whole = Buffer.concat(parts)
      const once = read(whole, [], 1000)
      const cut = read(whole, cuts, 1000)
      assert.deepEqual(cut.seen, once.seen)
      assert.equal(cut.error?.code, once.error?.code)
    }),
    { numRuns: 2000 },
  )
})

test("what the protocol forbids ends the connection with the code that says so", () => {
  const cases: readonly (readonly [string, Uint8Array, number])[] = [
    ["no mask", Uint8Array.from([0x82, 0]), 1002],
    ["a reserved bit", Uint8Array.from([0xc2, 0x80]), 1002],
    ["an unknown opcode", frame(3, bytes("")), 1002],
    ["an unknown control opcode", frame(11, bytes("")), 1002],
    ["a ping in pieces", frame(opcode.ping, bytes(""), { last: false }), 1002],
    ["a long ping", frame(opcode.ping, new Uint8Array(126)), 1002],
    ["more of nothing", frame(opcode.more, bytes("x")), 1002],
    [
      "a message within a message",
      Buffer.concat([frame(opcode.text, bytes("x"), { last: false }), frame(opcode.text, bytes("y"))]),
      1002,
    ],
    ["a length in more bytes than it needs", Uint8Array.from([0x82, 0xfe, 0, 5, 0, 0, 0, 0]), 1002],
    ["the same with eight", Uint8Array.from([0x82, 0xff, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0]), 1002],
    ["a length beyond all", Uint8Array.from([0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]), 1009],
    ["one byte too many", frame(opcode.binary, new Uint8Array(limit + 1)), 1009],
    ["a text that is not UTF-8", frame(opcode.text, Uint8Array.from([0xed, 0xa0, 0x80])), 1007],
    ["a close with half a code", frame(opcode.close, Uint8Array.from([3])), 1002],
    ["a close with a code of nobody", frame(opcode.close, closePayload(1005, "")), 1002],
    ["a close with a reason that is not UTF-8", frame(opcode.close, Uint8Array.from([3, 232, 0xff])), 1007],
  ]
  for (const [name, sent, code] of cases) assert.equal(read(sent).error?.code, code, name)
})

test("pieces that together are too long are refused before the last has come", () => {
  const piece = new Uint8Array(600)
  const first = frame(opcode.binary, piece, { last: false })
  assert.equal(read(first, [], 1000).error, undefined)
  const second = frame(opcode.more, piece).subarray(0, 8)
  assert.equal(read(Buffer.concat([first, second]), [], 1000).error?.code, 1009)
})

test("a promise of 16 MiB takes no memory", () => {
  const head = Uint8Array.from([0x82, 0xff, 0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4, 5])
  const ignored = () => undefined
  const before = process.memoryUsage().arrayBuffers
  const readers = Array.from({ length: 200 }, () => {
    const reader = new FrameReader({ message: ignored, ping: ignored, pong: ignored, close: ignored }, 1 << 24)
    reader.push(head)
    return reader
  })
  assert.ok(process.memoryUsage().arrayBuffers - before < 4 * 1024 * 1024)
  assert.equal(readers.length, 200)
})

test("nothing is heard behind a close", () => {
  const sent = Buffer.concat([frame(opcode.close, closePayload(4000, "fin")), frame(opcode.text, bytes("late"))])
  assert.deepEqual(read(sent).seen, [["close", 4000, "fin"]])
  assert.deepEqual(read(frame(opcode.close, bytes(""))).seen, [["close", 1005, ""]])
  assert.ok(mayBeSent(1000) && mayBeSent(4999) && !mayBeSent(1006) && !mayBeSent(2000))
})
