import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { pathBytes, pathText } from "./path-text.ts"

test("all bytes have a text and come back from it", () => {
  const pieces = fc.oneof(
    fc.uint8Array({ maxLength: 6 }),
    fc.string({ unit: "binary" }).map((text) => new Uint8Array(Buffer.from(text))),
    // Beginnings of characters, surrogates in UTF-8, overlong forms, and what lies behind U+10FFFF.
    fc
      .constantFrom("e282", "f09f98", "eda080", "edbfbf", "c080", "e08080", "f0808080", "f4908080", "efbbbf", "ff")
      .map((hex) => new Uint8Array(Buffer.from(hex, "hex"))),
  )
  fc.assert(
    fc.property(fc.array(pieces), (parts) => {
      const bytes = new Uint8Array(Buffer.concat(parts))
      assert.deepEqual(new Uint8Array(pathBytes(pathText(bytes)) ?? []), bytes)
    }),
    { numRuns: 1000 },
  )
})

test("bytes that are no UTF-8 are single halves of characters, the rest is readable", () => {
  assert.equal(pathText(Uint8Array.of(0x61, 0xff, 0xc3, 0xa9, 0xc3)), "a\udcffé\udcc3")
  assert.equal(pathText(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61)), "\ufeffa")
})

test("a text has bytes only if they read as this text", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.oneof(fc.constantFrom("\udcc3", "\udca9", "\ud800", "\udc00", "é", "a")) }),
      (text) => {
        const bytes = pathBytes(text)
        if (bytes !== undefined) assert.equal(pathText(bytes), text)
      },
    ),
  )
  assert.equal(pathBytes("\udcc3\udca9"), undefined)
  assert.equal(pathBytes("\ud83d"), undefined)
  assert.equal(pathBytes("\udc00"), undefined)
})
