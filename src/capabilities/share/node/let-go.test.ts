import assert from "node:assert/strict"
import { test } from "node:test"
import { letGo } from "./let-go.ts"

test("memory that is given back is gone, and a part of something larger stays", () => {
  const own = Buffer.allocUnsafeSlow(1_000)
  letGo(own)
  assert.equal(own.length, 0)
  const whole = new Uint8Array(1_000)
  letGo(whole.subarray(0, 10))
  assert.equal(whole.length, 1_000)
})
