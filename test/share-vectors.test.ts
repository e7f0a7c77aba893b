/** The golden bytes of shares against the implementations that ship: Node's and the portable one. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { parseCode, printCode, printLink } from "../src/capabilities/share/code/code.ts"
import { deriveKeys } from "../src/capabilities/share/code/derive-keys.ts"
import { accessHash, checkTableMac, tableMac } from "../src/capabilities/share/code/proofs.ts"
import type { SwarmKeys } from "../src/capabilities/share/code/swarm-keys.ts"
import type { HashName } from "../src/capabilities/share/content/chunk-crypto.ts"
import { ChunkTable } from "../src/capabilities/share/content/chunk-table.ts"
import type { Manifest } from "../src/capabilities/share/content/manifest.ts"
import { decodeManifest, encodeManifest } from "../src/capabilities/share/content/manifest-codec.ts"
import { checkManifest } from "../src/capabilities/share/content/manifest-rules.ts"
import { portableCrypto } from "../src/capabilities/share/content/portable-crypto.ts"
import { openManifest, sealManifest } from "../src/capabilities/share/content/sealed-manifest.ts"
import { nodeCrypto, nodeHash } from "../src/capabilities/share/node/node-crypto.ts"
import { shareVectors } from "./vectors/share-vectors.ts"

interface Version {
  readonly hash: HashName
  readonly version: number
  readonly manifest: {
    name: string
    entries: Manifest["entries"]
    pieces: { chunk: number | "zeros"; length: number; identity: string }[]
  }
  readonly encoded: string
  readonly salt: string
  readonly sealed: string
  readonly table: string
  readonly root: string
  readonly mac: string
}

const { codes, wrongCodes, keys, chunks, refusedManifests } = shareVectors
const versions = shareVectors.versions as Version[]
const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"))
const hex = (value: Uint8Array): string => Buffer.from(value).toString("hex")

const uses = ["access", "identity", "seal", "table", "peer"] as const
const used = Object.fromEntries(uses.map((use) => [use, bytes(keys[0]?.[use] as string)])) as unknown as SwarmKeys
const implementations = [
  ["Node", nodeCrypto],
  ["portable", portableCrypto],
] as const

test("codes and links are written and read", () => {
  for (const { swarm, secret, code, link } of codes) {
    const value = { swarm, secret: bytes(secret) }
    assert.equal(printCode(value), code)
    assert.equal(printLink("https://relay.example", value), link)
    assert.deepEqual(parseCode(code), value)
    assert.deepEqual(parseCode(link), value)
  }
  for (const wrong of wrongCodes) assert.throws(() => parseCode(wrong), { code: "usage" }, wrong)
})

test("keys follow from code and password", async () => {
  for (const vector of keys) {
    const derived = await deriveKeys(parseCode(vector["code"] as string), vector["password"])
    for (const use of uses) assert.equal(hex(derived[use]), vector[use])
    assert.equal(hex(accessHash(derived.access)), vector["accessHash"])
  }
})

for (const [name, implementation] of implementations) {
  test(`chunks are named, sealed and opened: ${name}`, async () => {
    for (const vector of chunks) {
      const crypto = implementation(used, vector.hash)
      const [plain, sealed] = [bytes(vector.plain), bytes(vector.sealed)]
      const identity = crypto.identify(plain)
      assert.equal(hex(identity), vector.identity)
      assert.equal(hex(await crypto.seal(plain, identity)), vector.sealed)
      assert.equal(hex(await crypto.open(sealed, identity)), vector.plain)
      assert.equal(hex(crypto.hash(sealed)), vector.sealedHash)
    }
  })

  test(`manifests are sealed and opened: ${name}`, async () => {
    for (const { hash, manifest, salt, sealed } of versions) {
      const crypto = implementation(used, hash)
      assert.deepEqual((await sealManifest(manifestOf(manifest), crypto, bytes(salt))).map(hex), [sealed])
      assert.deepEqual(await openManifest([bytes(sealed)], crypto), manifestOf(manifest))
    }
  })
}

test("manifests are encoded and decoded, and wrong ones refused", () => {
  for (const { manifest, encoded } of versions) {
    assert.equal(hex(encodeManifest(manifestOf(manifest))), encoded)
    assert.deepEqual(decodeManifest(bytes(encoded)), manifestOf(manifest))
  }
  for (const { why, hex: refused } of refusedManifests) {
    assert.throws(() => decodeManifest(bytes(refused)), { code: "protocol" }, why)
  }
})

test("tables are built, read and proven", () => {
  for (const { hash, version, manifest, sealed, table, root, mac } of versions) {
    const sealedChunks = [sealed, ...chunks.filter((chunk) => chunk.hash === hash).map((chunk) => chunk.sealed)].map(
      bytes,
    )
    const built = ChunkTable.build({
      version,
      hash: nodeHash(hash),
      manifestChunks: 1,
      chunks: sealedChunks.map((chunk) => ({ length: chunk.length, hash: nodeHash(hash).hash(chunk) })),
    })
    assert.equal(hex(built.encode()), table)
    const read = ChunkTable.decode(bytes(table), nodeHash)
    assert.deepEqual([read.version, read.hash, read.manifestChunks, read.count], [version, hash, 1, 3])
    assert.equal(hex(read.root), root)
    assert.equal(hex(tableMac(used, bytes(table))), mac)
    assert.equal(checkTableMac(used, bytes(table), bytes(mac)), true)
    for (const [index, chunk] of sealedChunks.entries()) assert.equal(read.matches(index, chunk), true)
    checkManifest(manifestOf(manifest), read)
  }
})

function manifestOf({ name, entries, pieces }: Version["manifest"]): Manifest {
  return { name, entries, pieces: pieces.map((piece) => ({ ...piece, identity: bytes(piece.identity) })) }
}
