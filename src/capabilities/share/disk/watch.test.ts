import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { trialCrypto as crypto, trialFolder } from "../../../../test/kit/share-disk.ts"
import { systemClock } from "../../../base/clock.ts"
import type { RdvError } from "../../../base/error.ts"
import { fileContent } from "./file-content.ts"
import type { FileContent } from "./file-content.ts"
import { watchContent } from "./watch.ts"

/** What the watch tells, one by one; a test that waits for nothing ends by its time limit. */
async function watched(t: TestContext, path: string) {
  const current = await fileContent({ paths: [path], crypto, chunking: "content-defined", chunkBytes: 8192 })
  const told: (FileContent | RdvError)[] = []
  let wake = () => {}
  const tell = (what: FileContent | RdvError) => {
    told.push(what)
    wake()
  }
  // The clock keeps nothing alive, and neither does a watch.
  const alive = setInterval(() => {}, 1_000)
  const watch = watchContent({
    paths: [path],
    crypto,
    chunking: "content-defined",
    current,
    clock: systemClock,
    onVersion: tell,
    onProblem: tell,
    pollMs: 500,
  })
  t.after(async () => {
    clearInterval(alive)
    await watch.close()
    await current.close()
  })
  return {
    current,
    async next(): Promise<FileContent | RdvError> {
      while (told.length === 0) await new Promise<void>((resolve) => (wake = resolve))
      return told.shift() as FileContent | RdvError
    },
  }
}

test("a change makes one next version, of which most is known", { timeout: 20_000 }, async (t) => {
  const folder = trialFolder(t)
  fs.mkdirSync(join(folder, "sub"))
  fs.writeFileSync(join(folder, "sub/a"), randomBytes(400_000))
  fs.writeFileSync(join(folder, "b"), "1")
  const watch = await watched(t, folder)
  fs.writeFileSync(join(folder, "b"), "22")
  const two = (await watch.next()) as FileContent
  t.after(() => two.close())
  assert.equal(two.table.version, 2)
  assert.equal(two.totalBytes, 400_002)
  const shared = two.manifest.pieces.filter(({ chunk }) => {
    return chunk !== "zeros" && watch.current.table.indexOf(two.table.hashOf(chunk)) !== undefined
  })
  assert.ok(shared.length > two.manifest.pieces.length - 4)
  fs.writeFileSync(join(folder, "sub/new"), "3")
  fs.rmSync(join(folder, "b"))
  const three = (await watch.next()) as FileContent
  t.after(() => three.close())
  assert.deepEqual(
    three.manifest.entries.map(({ path }) => path),
    ["", "sub", "sub/a", "sub/new"],
  )
})

test(
  "a file that another one is put in place of is a next version, and one that vanishes is told once",
  { timeout: 20_000 },
  async (t) => {
    const folder = trialFolder(t)
    const file = join(folder, "file")
    fs.writeFileSync(file, "one")
    const watch = await watched(t, file)
    fs.writeFileSync(join(folder, "saved"), "two, longer")
    fs.renameSync(join(folder, "saved"), file)
    const two = (await watch.next()) as FileContent
    t.after(() => two.close())
    assert.equal(two.totalBytes, 11)
    fs.rmSync(file)
    assert.equal(((await watch.next()) as RdvError).code, "not_found")
    fs.writeFileSync(file, "three")
    const three = (await watch.next()) as FileContent
    t.after(() => three.close())
    assert.equal(three.table.version, 3)
  },
)
