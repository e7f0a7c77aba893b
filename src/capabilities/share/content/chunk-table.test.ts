import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../../../base/error.ts"
import { largestChunk, sealBytes } from "./chunk-crypto.ts"
import type { HashName } from "./chunk-crypto.ts"
import { ChunkTable, manifestPartBytes, manifestSaltBytes, mostChunks, mostManifestChunks } from "./chunk-table.ts"
import { portableHash } from "./portable-crypto.ts"

const someChunks = fc.array(
  fc.record({
    length: fc.integer({ min: sealBytes + 1, max: manifestSaltBytes + manifestPartBytes + sealBytes }),
    hash: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  }),
  { minLength: 1, maxLength: 12 },
)
const someHash = fc.constantFrom<HashName>("blake3", "sha256")

function table(chunks: number, hash: HashName = "sha256"): ChunkTable {
  return ChunkTable.build({
    version: 7,
    hash: portableHash(hash),
    manifestChunks: 1,
    chunks: Array.from({ length: chunks }, (_, index) => ({
      length: 100 + index,
      hash: new Uint8Array(32).fill(index),
    })),
  })
}

test("a table that was encoded comes back", () => {
  fc.assert(
    fc.property(someChunks, someHash, fc.integer({ min: 1, max: 2 ** 32 - 1 }), (chunks, name, version) => {
      const hash = portableHash(name)
      const built = ChunkTable.build({ version, hash, manifestChunks: chunks.length, chunks })
      const read = ChunkTable.decode(built.encode(), portableHash)
      assert.deepEqual(
        [read.version, read.hash, read.manifestChunks, read.count, read.sealedBytes],
        [version, name, chunks.length, chunks.length, chunks.reduce((sum, { length }) => sum + length, 0)],
      )
      for (const [index, chunk] of chunks.entries()) {
        assert.equal(read.lengthOf(index), chunk.length)
        assert.deepEqual(read.hashOf(index), chunk.hash)
        const found = read.indexOf(chunk.hash) as number
        assert.ok(found <= index)
        assert.deepEqual(read.hashOf(found), chunk.hash)
      }
      assert.deepEqual(read.root, built.root)
      assert.deepEqual(read.encode(), built.encode())
    }),
  )
})

test("a manifest that a receiver would have to keep hundreds of megabytes for is refused with its table", () => {
  const chunks = (count: number, length: number) =>
    Array.from({ length: count }, () => ({ length, hash: new Uint8Array(32) }))
  const build = (manifestChunks: number, length: number) =>
    ChunkTable.build({
      version: 1,
      hash: portableHash("sha256"),
      manifestChunks,
      chunks: chunks(manifestChunks + 1, length),
    })
  const longest = manifestSaltBytes + manifestPartBytes + sealBytes
  assert.equal(build(mostManifestChunks, longest).manifestChunks, mostManifestChunks)
  assert.throws(() => build(mostManifestChunks + 1, 100), { code: "protocol", message: /too large a manifest/ })
  assert.throws(() => build(1, longest + 1), { code: "protocol", message: /Chunk 0 .* too long/ })
})

test("bytes that change afterwards do not change a table", () => {
  const bytes = table(3).encode().slice()
  const read = ChunkTable.decode(bytes, portableHash)
  bytes.fill(0)
  assert.equal(read.lengthOf(2), 102)
})

test("a table that ends anywhere else is refused", () => {
  const bytes = table(3).encode()
  for (let end = 0; end < bytes.length; end++) {
    assert.throws(() => ChunkTable.decode(bytes.subarray(0, end), portableHash), { code: "protocol" }, `${end} bytes`)
  }
  assert.throws(() => ChunkTable.decode(Buffer.concat([bytes, Buffer.of(0)]), portableHash), { code: "protocol" })
})

test("a table with any other bytes is refused, or is another table with another root", () => {
  const whole = table(4)
  fc.assert(
    fc.property(fc.nat({ max: whole.encode().length - 1 }), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const bytes = whole.encode().slice()
      bytes[at] = (bytes[at] as number) ^ mask
      try {
        const read = ChunkTable.decode(bytes, portableHash)
        assert.notDeepEqual(read.root, whole.root)
        assert.deepEqual(read.encode(), bytes)
      } catch (error) {
        assert.ok(error instanceof RdvError && error.code === "protocol", String(error))
      }
    }),
  )
})

test("what makes no table is refused with a reason", () => {
  const change = (at: number, value: number): Uint8Array => {
    const bytes = table(2).encode().slice()
    new DataView(bytes.buffer).setUint32(at, value)
    return bytes
  }
  const refused = (bytes: Uint8Array, message: RegExp): void =>
    assert.throws(() => ChunkTable.decode(bytes, portableHash), { code: "protocol", message })
  refused(change(0, 0x02_02_00_00), /unknown format/)
  refused(change(0, 0x01_03_00_00), /unknown hash/)
  refused(change(4, 0), /version 0/)
  refused(change(8, 0), /manifest/)
  refused(change(8, 3), /manifest/)
  refused(change(12, mostChunks + 1), /more than/)
  refused(change(16, sealBytes), /Chunk 0 .* length/)
  refused(change(52, largestChunk + sealBytes + 1), /Chunk 1 .* length/)
})

test("more chunks than a table has are told with a mend", () => {
  const chunk = { length: 100, hash: new Uint8Array(32) }
  assert.throws(
    () =>
      ChunkTable.build({
        version: 1,
        hash: portableHash("sha256"),
        manifestChunks: 1,
        chunks: Array.from({ length: mostChunks + 1 }, () => chunk),
      }),
    { code: "too_large", mend: /parts/ },
  )
})

test("a chunk matches by its length and its hash", () => {
  const hash = portableHash("blake3")
  const sealed = new Uint8Array(50).fill(3)
  const chunks = [{ length: 50, hash: hash.hash(sealed) }]
  const one = ChunkTable.build({ version: 1, hash, manifestChunks: 1, chunks })
  assert.equal(one.matches(0, sealed), true)
  assert.equal(one.matches(0, sealed.subarray(1)), false)
  sealed[49] = 4
  assert.equal(one.matches(0, sealed), false)
})

test("the root is that of a binary tree in which a node without a neighbour moves up", () => {
  const sha = (...parts: Uint8Array[]): Buffer => createHash("sha256").update(Buffer.concat(parts)).digest()
  // The other way round: from the top, the left part being the largest power of two that is smaller.
  const rootOf = (rows: Uint8Array[]): Buffer => {
    if (rows.length === 1) return sha(Buffer.of(0), rows[0] as Uint8Array)
    let left = 1
    while (left * 2 < rows.length) left *= 2
    return sha(Buffer.of(1), rootOf(rows.slice(0, left)), rootOf(rows.slice(left)))
  }
  for (let count = 1; count <= 17; count++) {
    const bytes = table(count).encode()
    const rows = Array.from({ length: count }, (_, index) => bytes.subarray(16 + 36 * index, 52 + 36 * index))
    assert.deepEqual(Buffer.from(table(count).root), sha(Buffer.of(2), bytes.subarray(0, 16), rootOf(rows)))
  }
})
