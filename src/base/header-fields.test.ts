import assert from "node:assert/strict"
import { test } from "node:test"
import { hasToken, headerValue, headerValues } from "./header-fields.ts"

const headers = ["Connection", "keep-alive,\tUpgrade ,, x", "X-A", "1", "x-a", "2", "connectioN", "TE", "Y", "X-A"]

test("a field is found whatever its case, by its name and not by a value", () => {
  assert.equal(headerValue(headers, "x-a"), "1")
  assert.equal(headerValue(headers, "y"), "X-A")
  assert.equal(headerValue(headers, "x-b"), undefined)
  assert.equal(headerValue(["X_A", "1", "X@A", "2"], "x`a"), undefined)
  assert.deepEqual(headerValues(headers, "x-a"), ["1", "2"])
  assert.deepEqual(headerValues(headers, "1"), [])
})

test("a word is found in a list over several lines, as a whole word", () => {
  for (const word of ["keep-alive", "upgrade", "x", "te"]) assert.ok(hasToken(headers, "connection", word), word)
  for (const word of ["keep", "grade", "upgrade x", "t"]) assert.ok(!hasToken(headers, "connection", word), word)
  assert.ok(!hasToken(["Connection", ""], "connection", "close"))
})
