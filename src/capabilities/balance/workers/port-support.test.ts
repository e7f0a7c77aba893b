import assert from "node:assert/strict"
import { test } from "node:test"
import { whyNoSharedPorts } from "./port-support.ts"

test("a system that does not share ports is told, and not asked for it", async () => {
  assert.match((await whyNoSharedPorts("win32")) ?? "", /win32 does not share ports/)
  assert.match((await whyNoSharedPorts("darwin")) ?? "", /darwin/)
})

test("Linux shares ports", { skip: process.platform !== "linux" }, async () => {
  assert.equal(await whyNoSharedPorts(), undefined)
})
