import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { test } from "node:test"
import {
  copy,
  picture,
  storeAll,
  trialCrypto as crypto,
  trialFolder,
  versionOf,
} from "../../../../test/kit/share-disk.ts"
import { fileContent } from "./file-content.ts"
import { folderTarget } from "./folder-target.ts"

test("a second run with the same name finds what the first one made, instead of putting another one into it", async (t) => {
  const folder = trialFolder(t)
  const tree = join(folder, "tree")
  fs.mkdirSync(join(tree, "sub"), { recursive: true })
  for (const name of ["a", "b", "sub/c"]) fs.writeFileSync(join(tree, name), randomBytes(5_000))
  const named = join(folder, "named")
  assert.equal((await copy({}, tree, named)).place, named)
  assert.deepEqual((await copy({}, tree, named)).remarks, ["it was there already"])
  fs.writeFileSync(join(tree, "d"), "more")
  await assert.rejects(copy({}, tree, named), { code: "exists", mend: /a \/ at its end.*--overwrite/ })
  assert.equal((await copy({}, tree, named, true)).place, named)
  assert.deepEqual(picture(named), picture(tree))
  assert.equal((await copy({}, tree, `${named}/`)).place, join(named, "tree"))
  // What is something else is a folder to put things into.
  fs.mkdirSync(join(folder, "other"))
  fs.writeFileSync(join(folder, "other/a"), "")
  fs.writeFileSync(join(folder, "other/x"), "")
  assert.equal((await copy({}, tree, join(folder, "other"))).place, join(folder, "other/tree"))
})

test("a hidden name is the receiver's choice, never the sender's", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, ".profile")
  fs.writeFileSync(from, "run me")
  fs.mkdirSync(join(folder, "home"))
  await assert.rejects(copy({}, from, join(folder, "home/")), { code: "forbidden", message: /hidden name, \.profile/ })
  assert.deepEqual(fs.readdirSync(join(folder, "home")), [])
  assert.equal((await copy({}, from, join(folder, "home/.mine"))).place, join(folder, "home/.mine"))
})

test("a time before 1970 is kept", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "from")
  fs.writeFileSync(from, "old")
  fs.utimesSync(from, 1, new Date(-86_400_001))
  const { place } = await copy({}, from, join(folder, "to"))
  assert.equal(fs.statSync(place).mtimeMs, -86_400_001)
})

test("the folder itself keeps its mode and time too, and is nobody else's before it is whole", async (t) => {
  const folder = trialFolder(t)
  for (const [name, mode] of [
    ["private", 0o700],
    ["closed", 0o555],
    ["empty", 0o750],
  ] as const) {
    const from = join(folder, name)
    fs.mkdirSync(from)
    if (name !== "empty") fs.writeFileSync(join(from, "file"), randomBytes(9_000))
    fs.utimesSync(from, 1, 1_000_000)
    fs.chmodSync(from, mode)
    const content = await fileContent({ paths: [from], crypto })
    const target = folderTarget({ path: join(folder, "to/"), sync: false })
    const holdings = await target.open(versionOf(content))
    const part = fs.statSync(join(folder, `to/.${name}.rdv-part`))
    assert.equal(part.mode & 0o777, 0o700)
    await storeAll(content, holdings)
    const { place, remarks } = await holdings.finish()
    await holdings.close()
    await content.close()
    const { mode: kept, mtimeMs } = fs.statSync(place)
    assert.deepEqual([kept & 0o777, Math.floor(mtimeMs), remarks], [mode, 1_000_000_000, []])
    assert.deepEqual((await copy({}, from, join(folder, "to/"))).remarks, ["it was there already"])
  }
})

test("a folder that stands for several paths is as open as new folders are", async (t) => {
  const folder = trialFolder(t)
  for (const name of ["a", "b"]) fs.writeFileSync(join(folder, name), name)
  fs.mkdirSync(join(folder, "usual"))
  const paths = [join(folder, "a"), join(folder, "b")]
  const { place } = await copy({ paths, name: "both" }, "", join(folder, "to/"))
  assert.equal(fs.statSync(place).mode, fs.statSync(join(folder, "usual")).mode)
  assert.deepEqual((await copy({ paths, name: "both" }, "", join(folder, "to/"))).remarks, ["it was there already"])
})

test("an empty file is no empty folder", async (t) => {
  const folder = trialFolder(t)
  fs.mkdirSync(join(folder, "to/x"), { recursive: true })
  fs.writeFileSync(join(folder, "x"), "")
  await assert.rejects(copy({}, join(folder, "x"), join(folder, "to/")), { code: "exists" })
})

test("what is no file and no folder is never replaced", { skip: process.platform === "win32" }, async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "from")
  fs.writeFileSync(from, "bytes")
  const path = join(folder, "socket")
  const server = createServer().listen(path)
  t.after(() => server.close())
  await once(server, "listening")
  await assert.rejects(copy({}, from, path, true), { code: "exists", message: /no file and no folder/ })
  assert.ok(fs.lstatSync(path).isSocket())
})
