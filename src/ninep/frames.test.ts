import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { Frames } from "./frames.ts"
import { NinepProtocolError } from "./protocol-error.ts"

function message(length: number, fill: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(fill)
  new DataView(bytes.buffer).setUint32(0, length, true)
  return bytes
}

test("messages are the same however the stream is cut", () => {
  const lengths = fc.array(fc.oneof(fc.integer({ min: 7, max: 40 }), fc.integer({ min: 7, max: 5000 })), {
    maxLength: 8,
  })
  fc.assert(
    fc.property(lengths, fc.array(fc.integer({ min: 1, max: 2000 }), { minLength: 1 }), (sizes, cuts) => {
      const sent = sizes.map((size, at) => message(size, at + 1))
      const stream = Buffer.concat(sent)
      const got: Uint8Array[] = []
      const frames = new Frames(5000, (bytes, start, end) => void got.push(bytes.slice(start, end)))
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const next = at + (cuts[turn % cuts.length] as number)
        // What was pushed is overwritten: nothing may look at it afterwards.
        const chunk = Uint8Array.from(stream.subarray(at, next))
        frames.push(chunk)
        chunk.fill(0xee)
        at = next
      }
      assert.deepEqual(got, sent)
      assert.equal(frames.atBoundary, true)
    }),
    { numRuns: 100 },
  )
})

test("a message that lies whole in a chunk is not copied", () => {
  const chunk = new Uint8Array([...message(9, 1), ...message(20, 2), ...message(8, 3).subarray(0, 5)])
  const seen: (readonly [boolean, number, number])[] = []
  const frames = new Frames(100, (bytes, start, end) => void seen.push([bytes === chunk, start, end]))
  frames.push(chunk)
  assert.deepEqual(seen, [
    [true, 0, 9],
    [true, 9, 29],
  ])
  assert.equal(frames.atBoundary, false)
})

test("a size below 7 or above msize is refused as soon as it is known", () => {
  for (const size of [0, 1, 6, 101, 0x7fff_ffff, 0xffff_ffff]) {
    const head = new Uint8Array(4)
    new DataView(head.buffer).setUint32(0, size, true)
    for (const cut of [0, 1, 3]) {
      const frames = new Frames(100, () => assert.fail("nothing is whole"))
      frames.push(head.subarray(0, cut))
      assert.throws(() => frames.push(head.subarray(cut)), NinepProtocolError)
    }
  }
})

test("a new msize holds from the next message on", () => {
  const got: number[] = []
  const frames = new Frames(20, (_bytes, start, end) => {
    got.push(end - start)
    frames.msize = 1000
  })
  frames.push(new Uint8Array([...message(10, 1), ...message(500, 2)]))
  assert.deepEqual(got, [10, 500])
})

test("memory for a large message is given back when it is over, and that of small ones is used again", () => {
  const lent = new Set<Uint8Array>()
  let taken = 0
  const memory = {
    take(bytes: number) {
      const room = new Uint8Array(bytes)
      lent.add(room)
      taken++
      return room
    },
    give(room: Uint8Array) {
      assert.ok(lent.delete(room))
    },
  }
  const got: number[] = []
  const frames = new Frames(
    2 ** 20,
    (bytes, start, end) => void got.push(bytes[end - 1] as number, end - start),
    memory,
  )
  const push = (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length; at += 1_000) frames.push(bytes.slice(at, at + 1_000))
  }
  push(message(8_000, 1))
  assert.equal(taken, 0)
  push(message(2 ** 20, 2))
  assert.ok(taken > 0 && taken < 5)
  assert.equal(lent.size, 0)
  push(message(100_000, 3).subarray(0, 50_000))
  assert.equal(lent.size, 1)
  frames.stop()
  assert.deepEqual(got, [1, 8_000, 2, 2 ** 20])
})

test("whoever stops within a message hears of no other", () => {
  let heard = 0
  const frames = new Frames(20, () => {
    heard++
    frames.stop()
  })
  frames.push(new Uint8Array([...message(10, 1), ...message(10, 2), 1, 2]))
  assert.equal(heard, 1)
})
