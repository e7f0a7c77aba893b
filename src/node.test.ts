import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { silentLog } from "./base/log.ts"
import { startRelay } from "./node.ts"

test("a relay whose address is none opens no store", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "rdv-node-"))
  t.after(() => rm(folder, { recursive: true }))
  const store = join(folder, "relay.db")
  await assert.rejects(startRelay({ listen: ["127.0.0.1:0", "nowhere:x"], store, log: silentLog }), { code: "usage" })
  assert.equal(existsSync(store), false)
})
