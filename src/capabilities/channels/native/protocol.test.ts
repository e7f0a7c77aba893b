import assert from "node:assert/strict"
import { test } from "node:test"
import { readPath } from "./protocol.ts"

test("what is no path is shown, and what is wrong with it is said", () => {
  assert.equal(readPath("/a b"), "/a b")
  assert.throws(() => readPath("jobs"), {
    message: '"jobs" is no path: it begins with / and has at most 4096 characters',
  })
  assert.throws(() => readPath(`/${"x".repeat(4096)}`), /is no path/)
  assert.throws(() => readPath(undefined), /"path" is missing/)
})
