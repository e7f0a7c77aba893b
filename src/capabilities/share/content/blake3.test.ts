import assert from "node:assert/strict"
import { test } from "node:test"
import { blake3 as reference } from "@noble/hashes/blake3.js"
import { SeededRandom } from "../../../base/random.ts"
import { Blake3 } from "./blake3.ts"

const key = Buffer.from("whats the Elvish word for friend")

test("it agrees with another implementation at every edge of blocks, chunks and trees", () => {
  const edges = [0, 1, 64, 128, 960, 1024, 2048, 3072, 4096, 5120, 7168, 8192, 31_744, 65_536]
  const plain = new Blake3()
  const keyed = new Blake3(key)
  const bytes = new Uint8Array(70_000)
  new SeededRandom(1).fill(bytes)
  for (const length of edges.flatMap((edge) => [edge - 1, edge, edge + 1]).filter((length) => length >= 0)) {
    const part = bytes.subarray(3, 3 + length)
    assert.deepEqual(plain.hash(part), reference(part), `${length} bytes`)
    assert.deepEqual(keyed.hash(part), reference(part, { key }), `${length} bytes, keyed`)
  }
})

test("it gives the published vectors", () => {
  const vectors: [number, string, string][] = [
    [
      0,
      "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
      "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26",
    ],
    [
      1024,
      "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
      "75c46f6f3d9eb4f55ecaaee480db732e6c2105546f1e675003687c31719c7ba4",
    ],
    [
      102_400,
      "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085",
      "1c35d1a5811083fd7119f5d5d1ba027b4d01c0c6c49fb6ff2cf75393ea5db4a7",
    ],
  ]
  for (const [length, hash, keyed] of vectors) {
    const input = Uint8Array.from({ length }, (_, index) => index % 251)
    assert.equal(Buffer.from(new Blake3().hash(input)).toString("hex"), hash)
    assert.equal(Buffer.from(new Blake3(key).hash(input)).toString("hex"), keyed)
  }
})
