import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { concat } from "../../../base/bytes.ts"
import { RdvError } from "../../../base/error.ts"
import type { ChunkName } from "./chunk-path.ts"
import { dataHead, headBytes, largestSealed, partBytes, PieceReader, pieceType, writeSmall } from "./piece-frames.ts"
import type { SmallType } from "./piece-frames.ts"

type Told = readonly ["chunk", ChunkName, number, number] | readonly ["small", SmallType, number, ChunkName]

/** Chunks stand by their length and a sum: a million bytes are not compared one by one. */
function reader(told: Told[], wants: (name: ChunkName) => boolean = () => true): PieceReader {
  return new PieceReader({
    room: (name, length) => (wants(name) ? new Uint8Array(length) : undefined),
    chunk: (name, sealed) => told.push(["chunk", name, sealed?.length ?? 0, sum(sealed ?? new Uint8Array(0))]),
    small: (type, why, name) => told.push(["small", type, why, name]),
  })
}

function sum(bytes: Uint8Array): number {
  let total = 0
  for (let at = 0; at < bytes.length; at++) total = (total * 31 + (bytes[at] as number)) % 1_000_003
  return total
}

function smallFrame(type: SmallType, why: number, name: ChunkName): Uint8Array {
  const bytes = new Uint8Array(headBytes)
  writeSmall(bytes, 0, type, why, name)
  return bytes
}

const someName = fc.record({ version: fc.nat(65_535), chunk: fc.nat(4_294_967_295) }, { noNullPrototype: true })
const someSmall = fc.record({ type: fc.constantFrom(2, 3, 4, 5, 6), why: fc.nat(255), name: someName })
const someLength = fc.oneof(
  fc.integer({ min: 1, max: 3_000 }),
  fc.constantFrom(partBytes, partBytes + 1, largestSealed),
)

test("whatever is written is read, however the bytes are cut and whatever stands between parts", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          { weight: 3, arbitrary: someSmall },
          fc.record({ length: someLength, name: someName, between: someSmall }),
        ),
        {
          maxLength: 6,
        },
      ),
      fc.array(fc.integer({ min: 1, max: 100_000 }), { minLength: 1, maxLength: 8 }),
      fc.boolean(),
      (items, cuts, wanted) => {
        const expected: Told[] = []
        const wire: Uint8Array[] = []
        for (const item of items) {
          if ("type" in item) {
            wire.push(smallFrame(item.type, item.why, item.name))
            expected.push(["small", item.type, item.why, item.name])
            continue
          }
          const { name, length, between } = item
          const sealed = new Uint8Array(length).map((_, at) => (at * 13 + length) & 255)
          for (let from = 0; from < length; from += partBytes) {
            const part = sealed.subarray(from, from + partBytes)
            wire.push(dataHead(name, from, part.length, length), part)
            if (from + part.length === length) break
            wire.push(smallFrame(between.type, between.why, between.name))
            expected.push(["small", between.type, between.why, between.name])
          }
          expected.push(["chunk", name, wanted ? length : 0, wanted ? sum(sealed) : 0])
        }
        const told: Told[] = []
        const pieces = reader(told, () => wanted)
        const all = concat(wire)
        for (let at = 0, cut = 0; at < all.length; cut++) {
          const size = cuts[cut % cuts.length] as number
          const piece = all.slice(at, at + size)
          pieces.push(piece)
          // It may keep nothing.
          piece.fill(0xaa)
          at += size
        }
        assert.deepEqual(told, expected)
        assert.equal(pieces.isInside, false)
      },
    ),
    { numRuns: 60 },
  )
})

test("bytes of strangers are read or refused with `protocol`, and never ask for more room than a chunk has", () => {
  const header = fc
    .tuple(fc.nat(8), fc.nat(3), fc.nat(300), fc.nat(300), fc.oneof(fc.nat(40), fc.nat(4_294_967_295)))
    .map(([type, why, version, chunk, length]) => {
      const bytes = dataHead({ version, chunk }, 0, 0, length)
      bytes[0] = type
      bytes[1] = why
      return bytes
    })
  fc.assert(
    fc.property(fc.array(fc.oneof(header, fc.uint8Array({ maxLength: 60 })), { maxLength: 12 }), (wire) => {
      let given = 0
      const pieces = new PieceReader({
        room(_name, length) {
          assert.ok(length > 0 && length <= largestSealed)
          given++
          return new Uint8Array(length)
        },
        chunk: (_name, sealed) => {
          assert.ok(sealed !== undefined)
          given--
        },
        small: (type) => assert.ok(type >= pieceType.ask && type <= pieceType.pong),
      })
      try {
        for (const bytes of wire) pieces.push(bytes)
      } catch (error) {
        assert.ok(error instanceof RdvError && error.code === "protocol", String(error))
      }
      assert.ok(given >= 0 && given <= 1, "one chunk at a time")
    }),
    { numRuns: 3_000 },
  )
})

test("a part that is not the next of its chunk is refused", () => {
  const first = { version: 1, chunk: 1 }
  const total = partBytes + 100
  const begun = () => {
    const pieces = reader([])
    pieces.push(dataHead(first, 0, partBytes, total))
    pieces.push(new Uint8Array(partBytes))
    return pieces
  }
  begun().push(concat([dataHead(first, partBytes, 100, total), new Uint8Array(100)]))
  for (const bad of [
    dataHead({ version: 1, chunk: 2 }, partBytes, 100, total),
    dataHead({ version: 2, chunk: 1 }, partBytes, 100, total),
    dataHead(first, partBytes, 99, total),
    dataHead(first, partBytes, 101, total),
    dataHead(first, 0, 100, 100),
  ]) {
    assert.throws(() => begun().push(bad), { code: "protocol" })
  }
})

test("memory of another length than was asked for is our own fault", () => {
  const pieces = new PieceReader({ room: () => new Uint8Array(9), chunk: () => undefined, small: () => undefined })
  assert.throws(() => pieces.push(dataHead({ version: 1, chunk: 1 }, 0, 10, 10)), { code: "internal" })
})

test("a reader that is stopped out of a call takes nothing more", () => {
  let calls = 0
  const pieces: PieceReader = new PieceReader({
    room: () => undefined,
    chunk: () => undefined,
    small: () => {
      calls++
      pieces.stop()
    },
  })
  const ask = smallFrame(pieceType.ask, 0, { version: 1, chunk: 1 })
  pieces.push(concat([ask, ask, ask]))
  pieces.push(ask)
  assert.equal(calls, 1)
})
