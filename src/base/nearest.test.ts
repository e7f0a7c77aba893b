import assert from "node:assert/strict"
import { test } from "node:test"
import { nearest } from "./nearest.ts"

test("the near miss is offered only when it is near", () => {
  const names = ["listen", "public-url", "open"]
  assert.equal(nearest("lisen", names), "listen")
  assert.equal(nearest("public", names), "public-url")
  assert.equal(nearest("opne", names), undefined)
  assert.equal(nearest("opn", names), "open")
  assert.equal(nearest("zebra", names), undefined)
  assert.equal(nearest("open".repeat(1000), names), undefined)
})
