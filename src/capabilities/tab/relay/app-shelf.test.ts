import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import { silentLog } from "../../../base/log.ts"
import { AppShelf } from "./app-shelf.ts"

test("of two who publish one application at once, the one that comes last is served, now and after a restart", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rdv-shelf-"))
  t.after(() => rmSync(folder, { recursive: true }))
  const shelf = await AppShelf.open(folder, () => 0, silentLog)
  const ready = async (text: string) => {
    const bytes = new TextEncoder().encode(text)
    const sha256 = createHash("sha256").update(bytes).digest("hex")
    const file = { path: "index.html", bytes: bytes.length, sha256, type: "text/html" }
    const draft = await shelf.draft("chat")
    const writer = await draft.file(file)
    await writer.write(bytes)
    await writer.end()
    return () => draft.publish([file])
  }
  for (let count = 0; count < 5; count++) {
    const [one, other] = [await ready(`one ${count}`), await ready(`other ${count}`)]
    await Promise.all([one(), other()])
    const served = shelf.get("chat")
    assert.ok(served !== undefined && existsSync(served.folder))
    assert.equal((await AppShelf.open(folder, () => 0, silentLog)).get("chat")?.revision, served.revision)
  }
})
