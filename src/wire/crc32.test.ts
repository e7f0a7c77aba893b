import assert from "node:assert/strict"
import { test } from "node:test"
import * as zlib from "node:zlib"
import fc from "fast-check"
import { crc32 } from "./crc32.ts"

test("the portable sum is zlib's, in one piece and in two", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300, size: "max" }), fc.uint8Array({ maxLength: 50 }), (a, b) => {
      assert.equal(crc32(a, 0), zlib.crc32(a))
      assert.equal(crc32(b, crc32(a, 0)), zlib.crc32(Buffer.concat([a, b])))
    }),
  )
})
