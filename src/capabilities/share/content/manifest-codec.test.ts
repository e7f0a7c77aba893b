import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../../../base/error.ts"
import type { Entry, Manifest } from "./manifest.ts"
import { ByteReader, ByteWriter } from "./manifest-bytes.ts"
import { largestManifest } from "./chunk-table.ts"
import { decodeManifest, encodeManifest } from "./manifest-codec.ts"
import { sortEntries } from "./path-rules.ts"
import { someManifest } from "../../../../test/kit/some-manifest.ts"

test("a manifest that was encoded comes back", () => {
  fc.assert(
    fc.property(someManifest, (manifest) => {
      assert.deepEqual(decodeManifest(encodeManifest(manifest)), manifest)
    }),
  )
})

test("a manifest has one encoding, and other bytes are refused for what they say", () => {
  fc.assert(
    fc.property(someManifest, fc.nat(), fc.integer({ min: 1, max: 255 }), (manifest, where, mask) => {
      const bytes = encodeManifest(manifest).slice()
      bytes[where % bytes.length] = (bytes[where % bytes.length] as number) ^ mask
      readsOrRefuses(bytes)
    }),
    { numRuns: 1000 },
  )
})

test("a manifest that ends too early, or has more behind its end, is refused", () => {
  fc.assert(
    fc.property(someManifest, (manifest) => {
      const bytes = encodeManifest(manifest)
      for (let end = 0; end < bytes.length; end++) {
        assert.throws(() => decodeManifest(bytes.subarray(0, end)), { code: "protocol" })
      }
      assert.throws(() => decodeManifest(Buffer.concat([bytes, Buffer.of(0)])), { code: "protocol" })
    }),
    { numRuns: 20 },
  )
})

test("any bytes are read or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => readsOrRefuses(Buffer.concat([Buffer.of(1), bytes]))),
    {
      numRuns: 2000,
    },
  )
})

test("counts that promise more than there are bytes take no memory", () => {
  for (const count of [3, 2 ** 20, 2 ** 40]) {
    const entries = new ByteWriter()
    for (const byte of [1, 1, 0x61]) entries.byte(byte)
    entries.number(count)
    assert.throws(() => decodeManifest(entries.finish()), { code: "protocol", message: /too many entries/ })
    const pieces = new ByteWriter()
    for (const byte of [1, 1, 0x61, 0]) pieces.byte(byte)
    pieces.number(count)
    assert.throws(() => decodeManifest(pieces.finish()), { code: "protocol", message: /too many pieces/ })
  }
  assert.throws(() => decodeManifest(new Uint8Array(largestManifest + 1)), { code: "protocol", message: /too long/ })
})

test("paths that repeat the one before cannot grow without bound", () => {
  const writer = new ByteWriter()
  for (const byte of [1, 1, 0x61]) writer.byte(byte)
  writer.number(50_000)
  const path = new Uint8Array(4000).fill(0x61)
  for (let index = 0; index < 50_000; index++) {
    const before = path.slice(-4)
    for (let digit = 0; digit < 4; digit++) path[path.length - 1 - digit] = 0x62 + ((index >> (4 * digit)) & 15)
    const same = path.subarray(-4).findIndex((byte, at) => byte !== before[at])
    const shared = index === 0 ? 0 : path.length - 4 + same
    writer.byte(1)
    writer.number(shared)
    writer.number(path.length - shared)
    writer.bytes(path.subarray(shared))
  }
  writer.number(0)
  assert.throws(() => decodeManifest(writer.finish()), { code: "protocol", message: /too long together/ })
})

test("numbers have their shortest form, up to what a number holds", () => {
  for (const value of [0, 1, 127, 128, 16_383, 16_384, 2 ** 32, 2 ** 52 + 1, Number.MAX_SAFE_INTEGER]) {
    const writer = new ByteWriter()
    writer.number(value)
    assert.equal(new ByteReader(writer.finish()).number(), value)
  }
  for (const hex of ["8000", "ff8000", "ffffffffffffff7f", "ffffffffffffffff01", "80"]) {
    assert.throws(() => new ByteReader(Buffer.from(hex, "hex")).number(), { code: "protocol" }, hex)
  }
})

test("a hundred thousand files take about as many bytes as their names differ", () => {
  const entries: Entry[] = []
  for (let index = 0; index < 100_000; index++) {
    entries.push({
      type: "file",
      path: `photographs/2024/${index >> 8}/picture-${index}.jpeg`,
      size: 0,
      mode: 0o644,
      mtimeMs: 1e12 + index,
    })
  }
  const bytes = encodeManifest({ name: "home", entries: sortEntries(entries), pieces: [] })
  assert.ok(bytes.length < 35 * entries.length, `${bytes.length} bytes`)
  assert.equal(decodeManifest(bytes).entries.length, entries.length)
})

/** What reads is canonical: it encodes to the same bytes. */
function readsOrRefuses(bytes: Uint8Array): void {
  let manifest: Manifest
  try {
    manifest = decodeManifest(bytes)
  } catch (error) {
    assert.ok(error instanceof RdvError && error.code === "protocol", String(error))
    return
  }
  assert.equal(Buffer.compare(encodeManifest(manifest), bytes), 0)
}
