import assert from "node:assert/strict"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { silentLog } from "./base/log.ts"
import { isLoopback, startAgent, startRelay } from "./node.ts"

test("a relay whose address is none opens no store", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "rdv-node-"))
  t.after(() => rm(folder, { recursive: true }))
  const store = join(folder, "relay.db")
  await assert.rejects(startRelay({ listen: ["127.0.0.1:0", "nowhere:x"], store, log: silentLog }), { code: "usage" })
  assert.equal(existsSync(store), false)
})

test("only whole addresses and names of this machine count as loopback", () => {
  for (const host of ["127.0.0.1", "127.255.3.4", "::1", "localhost", "blog.localhost"]) {
    assert.equal(isLoopback(host), true, host)
  }
  for (const host of ["127.evil.example", "127.0.0.1.example", "128.0.0.1", "localhost.example", "notlocalhost", ""]) {
    assert.equal(isLoopback(host), false, host)
  }
})

test("a token does not travel in clear to a host that only looks like this machine", () => {
  assert.throws(() => startAgent({ relay: "127.evil.example:1", token: "secret", log: silentLog }), { code: "usage" })
})
