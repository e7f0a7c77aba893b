import assert from "node:assert/strict"
import { hkdfSync, scryptSync } from "node:crypto"
import { test } from "node:test"
import { nodeKeys } from "../node/node-keys.ts"
import type { Code } from "./code.ts"
import { deriveKeys } from "./derive-keys.ts"
import { accessHash, checkAccess, checkTableMac, tableMac } from "./proofs.ts"
import type { SwarmKeys } from "./swarm-keys.ts"

const code: Code = { swarm: "482713", secret: Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8, 9]) }
const uses = ["access", "identity", "seal", "table", "peer"] as const
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const shown = (keys: SwarmKeys): string[] => uses.map((use) => hex(keys[use]))

test("keys are scrypt of secret and password, then HKDF with a label for each use", async () => {
  for (const password of ["", "correct horse"]) {
    const secret = Buffer.concat([code.secret, Buffer.from(password)])
    const root = scryptSync(secret, "rdv/share/1 482713", 32, { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 })
    const expected = uses.map((use) => hex(Buffer.from(hkdfSync("sha256", root, "", `rdv/share/1 ${use}`, 32))))
    assert.deepEqual(shown(await deriveKeys(code, password)), expected)
    assert.deepEqual(shown(await nodeKeys(code, password)), expected)
  }
})

test("another swarm, secret or password has other keys, all of them", async () => {
  const all = await Promise.all([
    deriveKeys(code),
    deriveKeys({ ...code, swarm: "482714" }),
    deriveKeys({ ...code, secret: code.secret.map((byte) => byte ^ 1) }),
    deriveKeys(code, "a"),
  ])
  assert.equal(new Set(all.flatMap(shown)).size, 4 * uses.length)
})

test("a password is the same however it was typed, and none is an empty one", async () => {
  assert.deepEqual(shown(await deriveKeys(code, "caf\u00e9")), shown(await deriveKeys(code, "cafe\u0301")))
  assert.deepEqual(shown(await deriveKeys(code)), shown(await deriveKeys(code, "")))
})

test("the relay knows an access key by its hash", () => {
  const access = new Uint8Array(32).fill(5)
  assert.equal(checkAccess(access, accessHash(access)), true)
  assert.equal(checkAccess(accessHash(access), accessHash(access)), false)
  assert.equal(checkAccess(access, accessHash(access).subarray(1)), false)
})

test("the MAC of a table holds for this table and these keys", () => {
  const keys = { table: new Uint8Array(32).fill(6) }
  const table = new Uint8Array(100)
  const mac = tableMac(keys, table)
  assert.equal(checkTableMac(keys, table, mac), true)
  assert.equal(checkTableMac(keys, table.subarray(1), mac), false)
  assert.equal(checkTableMac({ table: new Uint8Array(32) }, table, mac), false)
  assert.equal(checkTableMac(keys, table, mac.subarray(0, 31)), false)
})
