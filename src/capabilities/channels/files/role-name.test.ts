import assert from "node:assert/strict"
import { test } from "node:test"
import { readRoleName, roles } from "./role-name.ts"

test("each role has its plain name", () => {
  for (const role of roles) assert.deepEqual(readRoleName(role), { role, deadlineMs: undefined, isTry: false, salt: 0 })
})

test("options stand behind the @, with commas between them", () => {
  assert.equal(readRoleName("recv@5s")?.deadlineMs, 5_000)
  assert.equal(readRoleName("next@500ms")?.deadlineMs, 500)
  assert.equal(readRoleName("send@try")?.isTry, true)
  const both = readRoleName("take@1m30s,worker-1")
  assert.equal(both?.role, "take")
  assert.equal(both?.deadlineMs, 90_000)
})

test("any other word makes an inode of its own", () => {
  const salts = ["recv", "recv@1", "recv@2", "recv@a", "recv@5s"].map((name) => readRoleName(name)?.salt)
  assert.equal(new Set(salts).size, salts.length)
  assert.equal(readRoleName("recv@1")?.salt, readRoleName("recv@1")?.salt)
})

test("a deadline with a mistake is no file: nobody shall wait for ever by a slip", () => {
  for (const name of ["recv@5sec", "recv@5s,6s", "recv@", "recv@5s,", "recv@0s", "recv@48h", "receive", "", "@5s"]) {
    assert.equal(readRoleName(name), undefined, name)
  }
})
