import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { zip } from "../../src/web/share/zip.ts"
import type { ZipEntry } from "../../src/web/share/zip.ts"

const skip = spawnSync("python3", ["--version"]).status === 0 ? false : "no Python here"
/** Another implementation reads it: names, sizes, times and contents, check sums included. */
const reader = `
import json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
print(json.dumps([[i.filename, i.file_size, list(i.date_time), i.is_dir()] for i in archive.infolist()]))
`

async function readBack(t: TestContext, entries: readonly ZipEntry[]): Promise<[string, number, number[], boolean][]> {
  const folder = mkdtempSync(join(tmpdir(), "rdv-zip-"))
  t.after(() => rmSync(folder, { recursive: true }))
  const file = join(folder, "all.zip")
  writeFileSync(file, await (await zip(entries)).bytes())
  const result = spawnSync("python3", ["-c", reader, file], { encoding: "utf8", maxBuffer: 1 << 28 })
  assert.equal(result.status, 0, result.stderr)
  return JSON.parse(result.stdout) as [string, number, number[], boolean][]
}

test("an archive holds files, folders and names of all languages", { skip }, async (t) => {
  const time = new Date(2024, 4, 6, 7, 8, 10)
  const big = new Uint8Array(2_500_000).map((_, at) => at % 251)
  const entries = [
    { path: "a.txt", content: new Blob(["hello"]), mtimeMs: time.getTime() },
    { path: "empty", content: new Blob([]), mtimeMs: undefined },
    { path: "ordner/", content: new Blob([]), mtimeMs: time.getTime() },
    { path: "ordner/größe 测试.bin", content: new Blob([big]), mtimeMs: Date.UTC(1970, 0, 1) },
  ]
  assert.deepEqual(await readBack(t, entries), [
    ["a.txt", 5, [2024, 5, 6, 7, 8, 10], false],
    ["empty", 0, [1980, 1, 1, 0, 0, 0], false],
    ["ordner/", 0, [2024, 5, 6, 7, 8, 10], true],
    ["ordner/größe 测试.bin", big.length, [1980, 1, 1, 0, 0, 0], false],
  ])
})

test("more files than sixteen bits count", { skip }, async (t) => {
  const content = new Blob(["x"])
  const entries = Array.from({ length: 70_000 }, (_, at) => ({ path: `f/${at}`, content, mtimeMs: undefined }))
  const read = await readBack(t, entries)
  assert.deepEqual([read.length, read.at(-1)?.[0]], [70_000, "f/69999"])
})

test("it tells how far it is", async () => {
  const seen: number[] = []
  await zip([{ path: "a", content: new Blob([new Uint8Array(3_000_000)]), mtimeMs: 0 }], (bytes) => seen.push(bytes))
  assert.deepEqual(seen, [1_048_576, 2_097_152, 3_000_000])
})
