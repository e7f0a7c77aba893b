import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { SeededRandom } from "../../../base/random.ts"
import { nodeCrypto } from "../node/node-crypto.ts"
import { someKeys } from "../../../../test/kit/swarm-keys.ts"
import { contentChunker, fixedChunker, isZeros } from "./chunker.ts"
import type { Chunker } from "./chunker.ts"
import { largestChunk } from "./chunk-crypto.ts"
import { chunkBoundsFor, chunkSizeFor } from "./chunk-size.ts"

const crypto = nodeCrypto(someKeys(1), "sha256")
const bounds = { min: 16, average: 64, max: 200 }
const makers: [string, () => Chunker, number][] = [
  ["pieces of one size", () => fixedChunker(100), 100],
  ["pieces of one byte", () => fixedChunker(1), 1],
  ["pieces that the content delimits", () => contentChunker(bounds, crypto), 200],
]

function noise(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length)
  new SeededRandom(seed).fill(bytes)
  return bytes
}

/** Copies of the pieces, the content coming in parts that end at `ends`. */
function cut(chunker: Chunker, content: Uint8Array, ends: readonly number[] = []): Uint8Array[] {
  const pieces: Uint8Array[] = []
  let from = 0
  for (const end of [...ends, content.length]) {
    // What was pushed is overwritten at once, as a buffer that is read into again.
    const part = new Uint8Array(content.subarray(from, end))
    for (const piece of chunker.push(part)) pieces.push(new Uint8Array(piece))
    part.fill(0xee)
    from = end
  }
  const last = chunker.end()
  if (last !== undefined) pieces.push(new Uint8Array(last))
  return pieces
}

for (const [name, make, max] of makers) {
  test(`${name} are the content, however it comes in`, () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 3000 }),
        fc.boolean(),
        fc.array(fc.nat({ max: 3000 }), { maxLength: 30 }),
        (length, empty, cuts) => {
          const content = empty ? new Uint8Array(length) : noise(length)
          const ends = cuts.map((at) => at % (length + 1)).toSorted((a, b) => a - b)
          const pieces = cut(make(), content, ends)
          assert.equal(Buffer.compare(Buffer.concat(pieces), content), 0)
          assert.deepEqual(
            pieces.map((piece) => piece.length),
            cut(make(), content).map((piece) => piece.length),
          )
          for (const piece of pieces) assert.ok(piece.length >= 1 && piece.length <= max)
        },
      ),
    )
  })

  test(`${name}: byte by byte is the same`, () => {
    const content = noise(2000)
    const ends = Array.from({ length: content.length }, (_, index) => index + 1)
    assert.deepEqual(cut(make(), content, ends), cut(make(), content))
  })

  test(`${name}: a chunker begins anew behind an end`, () => {
    const chunker = make()
    const content = noise(1234)
    assert.deepEqual(cut(chunker, content), cut(chunker, content))
  })
}

test("what pushes give stays as it is until the next one, when it came over several", () => {
  const chunker = fixedChunker(10)
  assert.deepEqual(chunker.push(new Uint8Array(7).fill(1)), [])
  const given = chunker.push(new Uint8Array(12).fill(2))
  assert.deepEqual(
    given.map((piece) => [...piece]),
    [[1, 1, 1, 1, 1, 1, 1, 2, 2, 2]],
  )
  assert.deepEqual(
    [...(chunker.end() as Uint8Array)],
    Array.from({ length: 9 }, () => 2),
  )
})

test("lengths of content-defined pieces keep their bounds, and are near the average", () => {
  const wide = { min: 1024, average: 4096, max: 16_384 }
  const lengths = cut(contentChunker(wide, crypto), noise(2_000_000)).map((piece) => piece.length)
  for (const length of lengths.slice(0, -1)) assert.ok(length >= wide.min && length <= wide.max)
  const mean = 2_000_000 / lengths.length
  assert.ok(mean > 0.9 * wide.average && mean < 1.4 * wide.average, `${mean}`)
})

test("bytes that are put in, taken out or changed cost the pieces around them alone", () => {
  const wide = { min: 1024, average: 4096, max: 16_384 }
  const before = noise(1_000_000)
  const half = before.length / 2
  const known = new Set(cut(contentChunker(wide, crypto), before).map((piece) => Buffer.from(piece).toString("latin1")))
  const versions = {
    insert: Buffer.concat([before.subarray(0, half), noise(100, 2), before.subarray(half)]),
    remove: Buffer.concat([before.subarray(0, half), before.subarray(half + 100)]),
    change: Buffer.concat([before.subarray(0, half), noise(100, 2), before.subarray(half + 100)]),
    front: Buffer.concat([Buffer.of(1), before]),
  }
  for (const [name, after] of Object.entries(versions)) {
    const fresh = cut(contentChunker(wide, crypto), after).filter(
      (piece) => !known.has(Buffer.from(piece).toString("latin1")),
    )
    const bytes = fresh.reduce((sum, piece) => sum + piece.length, 0)
    assert.ok(bytes > 0 && bytes <= 3 * wide.max, `${name}: ${bytes}`)
  }
})

test("another swarm cuts elsewhere", () => {
  const content = noise(20_000)
  const lengths = (key: number): number[] =>
    cut(contentChunker(bounds, nodeCrypto(someKeys(key), "sha256")), content).map((piece) => piece.length)
  assert.notDeepEqual(lengths(1), lengths(2))
})

test("bounds that make no sense are refused", () => {
  for (const size of [0, largestChunk + 1, Number.NaN]) assert.throws(() => fixedChunker(size), { code: "usage" })
  for (const wrong of [
    { min: 0, average: 64, max: 100 },
    { min: 64, average: 64, max: 100 },
    { min: 16, average: 65, max: 100 },
    { min: 16, average: 64, max: 64 },
    { min: 16, average: 64, max: largestChunk + 1 },
  ]) {
    assert.throws(() => contentChunker(wrong, crypto), { code: "usage" })
  }
})

test("zeros are told from anything else, wherever it stands", () => {
  for (let offset = 0; offset < 9; offset++) {
    for (let length = 0; length < 40; length++) {
      const bytes = new Uint8Array(64).fill(1).subarray(offset, offset + length)
      bytes.fill(0)
      assert.equal(isZeros(bytes), true)
      for (let at = 0; at < length; at++) {
        bytes[at] = 1
        assert.equal(isZeros(bytes), false, `${at} of ${length}`)
        bytes[at] = 0
      }
    }
  }
})

test("chunks grow with what is shared", () => {
  const [kib, mib, gib] = [2 ** 10, 2 ** 20, 2 ** 30]
  for (const [total, size] of [
    [0, 64 * kib],
    [16 * mib, 64 * kib],
    [16 * mib + 1, 128 * kib],
    [100_000_000, 256 * kib],
    [100 * mib, 256 * kib],
    [gib, 512 * kib],
    [20 * gib, mib],
    [2 ** 50, mib],
  ] as const) {
    assert.equal(chunkSizeFor(total), size)
  }
  for (const total of [0, mib, gib, 20 * gib, 2 ** 50]) {
    const bounds = chunkBoundsFor(total)
    assert.ok(bounds.average <= chunkSizeFor(total))
    contentChunker(bounds, crypto)
  }
})
