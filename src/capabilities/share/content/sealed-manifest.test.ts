import assert from "node:assert/strict"
import { test } from "node:test"
import { nodeCrypto } from "../node/node-crypto.ts"
import { someKeys } from "../../../../test/kit/swarm-keys.ts"
import { largestChunk, sealBytes } from "./chunk-crypto.ts"
import type { Manifest } from "./manifest.ts"
import { portableCrypto } from "./portable-crypto.ts"
import { openManifest, sealManifest } from "./sealed-manifest.ts"

const crypto = nodeCrypto(someKeys(1), "blake3")
const small: Manifest = {
  name: "notes",
  entries: [{ type: "file", path: "", size: 5 }],
  pieces: [{ chunk: "zeros", length: 5, identity: new Uint8Array(0) }],
}
const large: Manifest = {
  name: "many",
  entries: Array.from({ length: 120_000 }, (_, index) => ({
    type: "folder",
    path: `folder-${String(index).padStart(6, "0")}`,
    mtimeMs: index,
  })),
  pieces: [],
}

test("a manifest that was sealed opens, with the other implementation too", async () => {
  for (const manifest of [small, large]) {
    const chunks = await sealManifest(manifest, crypto)
    assert.equal(chunks.length > 1, manifest === large)
    for (const chunk of chunks) assert.ok(chunk.length > sealBytes && chunk.length <= largestChunk + sealBytes)
    assert.deepEqual(await openManifest(chunks, crypto), manifest)
    assert.deepEqual(await openManifest(chunks, portableCrypto(someKeys(1), "blake3")), manifest)
  }
})

test("the same manifest is never sealed the same twice", async () => {
  const [one, other] = [await sealManifest(large, crypto), await sealManifest(large, crypto)]
  for (const [index, chunk] of one.entries()) assert.notDeepEqual(chunk.slice(32, 64), other[index]?.slice(32, 64))
})

test("chunks that were changed, left out, doubled or moved do not open", async () => {
  const chunks = await sealManifest(large, crypto)
  assert.ok(chunks.length >= 3)
  const [first, second, third, ...rest] = chunks as [Uint8Array, Uint8Array, Uint8Array]
  for (const wrong of [
    [first, third, second, ...rest],
    [second, first, third, ...rest],
    [first, second, third, ...rest].slice(0, -1),
    [...chunks, third],
    [first, second, second, ...rest],
  ]) {
    await assert.rejects(openManifest(wrong, crypto), { code: "corrupt" })
  }
  for (const [index, at] of [
    [0, 0],
    [0, 31],
    [0, 32],
    [1, 0],
    [1, second.length - 1],
  ] as const) {
    const changed = chunks.map((chunk) => chunk.slice())
    const bytes = changed[index] as Uint8Array
    bytes[at] = (bytes[at] as number) ^ 1
    await assert.rejects(openManifest(changed, crypto), { code: "corrupt" })
  }
})

test("keys of another swarm open nothing", async () => {
  await assert.rejects(openManifest(await sealManifest(small, crypto), nodeCrypto(someKeys(2), "blake3")), {
    code: "corrupt",
  })
})

test("what cannot be a manifest is refused before it is opened", async () => {
  for (const chunks of [[], [new Uint8Array(47)], Array.from({ length: 300 }, () => new Uint8Array(100))]) {
    await assert.rejects(openManifest(chunks, crypto), { code: "protocol" })
  }
})

test("a manifest that breaks a rule is not sealed", async () => {
  await assert.rejects(sealManifest({ ...small, pieces: [] }, crypto), { code: "protocol" })
})
