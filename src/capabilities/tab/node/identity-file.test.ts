/** Keys of servers in files. */

import assert from "node:assert/strict"
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { signAs, verifyAs } from "../identity/key-pair.ts"
import { identityFromFile } from "./identity-file.ts"

function place(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rdv-key-"))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, "identity.pem")
}

test("a key is made once, for its user alone, and is the same from then on", async (t) => {
  const path = place(t)
  const [first, second] = await Promise.all([identityFromFile(path), identityFromFile(path)])
  assert.equal(first.key, second.key)
  assert.equal((await identityFromFile(path)).key, first.key)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.match(
    readFileSync(path, "utf8"),
    /^-----BEGIN PRIVATE KEY-----\n[A-Za-z0-9+/=\n]{60,80}-----END PRIVATE KEY-----\n$/,
  )
  const bytes = new Uint8Array([1, 2, 3])
  assert.ok(await verifyAs(first.key, "app", bytes, await signAs(second, "app", bytes)))
})

test("a key that others may read, or that is none, is refused with its mend, and never replaced", async (t) => {
  const path = place(t)
  await identityFromFile(path)
  const text = readFileSync(path, "utf8")
  chmodSync(path, 0o644)
  await assert.rejects(identityFromFile(path), { code: "usage", mend: `chmod 600 ${path}` })
  chmodSync(path, 0o600)
  for (const bad of ["", "nonsense", text.slice(0, 50), text.replace("M", "N"), "\0".repeat(1000)]) {
    writeFileSync(path, bad)
    await assert.rejects(identityFromFile(path), /holds no key of a server/)
    assert.equal(readFileSync(path, "utf8"), bad)
  }
  await assert.rejects(identityFromFile(join(path, "in", "a", "file")), { code: "usage" })
})
