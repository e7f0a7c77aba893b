import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { picture, storeAll, trialCrypto as crypto, trialFolder, versionOf } from "../../../../test/kit/share-disk.ts"
import { fileContent } from "./file-content.ts"
import { folderTarget } from "./folder-target.ts"
import { stdinContent } from "./stdin-content.ts"

/** A file system of its own of 2 MiB; undefined where none can be had. */
function smallDisk(t: TestContext): string | undefined {
  const disk = fs.mkdtempSync(join(tmpdir(), "rdv-small-"))
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], { stdio: "pipe" })
  } catch {
    fs.rmdirSync(disk)
    return undefined
  }
  t.after(() => {
    execFileSync("umount", [disk])
    fs.rmdirSync(disk)
  })
  return disk
}

test("a full disk is said once per chunk, keeps what is there, and is gone on with when there is room", async (t) => {
  const folder = trialFolder(t)
  const disk = smallDisk(t)
  if (disk === undefined) return t.skip("no file system can be mounted here")
  const from = join(folder, "from")
  fs.writeFileSync(from, randomBytes(1_500_000))
  const content = await fileContent({ paths: [from], crypto, chunkBytes: 65_536 })
  t.after(() => content.close())
  const path = join(disk, "to")
  const first = await folderTarget({ path }).open(versionOf(content))
  await storeAll(content, first, 4)
  const ballast = join(disk, "ballast")
  fs.writeFileSync(ballast, randomBytes(1_500_000))
  await assert.rejects(storeAll(content, first), { code: "limit", message: /disk is full/ })
  const kept = first.have.count
  assert.ok(kept < content.table.count)
  await assert.rejects(folderTarget({ path: join(disk, "too") }).open(versionOf(content)), {
    code: "limit",
    message: /not enough room in .*: 1.4 MiB are needed/,
  })
  await first.close()
  fs.rmSync(ballast)
  const second = await folderTarget({ path }).open(versionOf(content))
  assert.equal(second.have.count, kept)
  await storeAll(content, second)
  await second.finish()
  await second.close()
  assert.deepEqual(picture(path), picture(from))
  assert.deepEqual(fs.readdirSync(disk), ["to"])
  return undefined
})

test("an input that does not fit says which folder keeps it", async (t) => {
  const disk = smallDisk(t)
  if (disk === undefined) return t.skip("no file system can be mounted here")
  async function* stream(): AsyncGenerator<Uint8Array> {
    for (;;) yield randomBytes(300_000)
  }
  const content = stdinContent(stream(), { name: "input", crypto, folder: disk })
  await assert.rejects(content, { code: "limit", mend: /TMPDIR/ })
  assert.deepEqual(fs.readdirSync(disk), [])
  return undefined
})
