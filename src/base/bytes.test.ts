import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { base64url, concat, equalConstantTime, fromBase64url } from "./bytes.ts"

test("base64url is what RFC 4648 says, both ways", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      const text = base64url(bytes)
      assert.equal(text, Buffer.from(bytes).toString("base64url"))
      assert.deepEqual(fromBase64url(text), bytes)
    }),
  )
})

test("text that is no base64url is refused", () => {
  for (const text of ["a", "ab=", "ab==", "a+bc", "a/bc", "ab c", "äbcd", "abcde", "ab\n"]) {
    assert.equal(fromBase64url(text), undefined, text)
  }
})

test("bytes are equal exactly when they are", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 8, max: 3 }), fc.uint8Array({ maxLength: 8, max: 3 }), (a, b) => {
      assert.equal(equalConstantTime(a, b), Buffer.from(a).equals(b))
      assert.equal(equalConstantTime(a, a.slice()), true)
      assert.deepEqual(concat([a, b]), new Uint8Array([...a, ...b]))
    }),
  )
})
