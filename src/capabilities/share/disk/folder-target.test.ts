import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import * as fs from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { isDeepStrictEqual } from "node:util"
import fc from "fast-check"
import {
  copy,
  picture,
  plant,
  storeAll,
  trialCrypto as crypto,
  trialFolder,
  versionOf,
} from "../../../../test/kit/share-disk.ts"
import type { Planted } from "../../../../test/kit/share-disk.ts"
import { RdvError } from "../../../base/error.ts"
import { ChunkTable } from "../content/chunk-table.ts"
import type { Entry } from "../content/manifest.ts"
import type { TargetVersion } from "../peer/target.ts"
import { fileContent } from "./file-content.ts"
import { folderTarget } from "./folder-target.ts"
import { PartLock } from "./part-lock.ts"

const names = ["a", "b", "B", "sub", "new\nline", " ", "-rf", "ä", "日本", "a.b", "x".repeat(255)]
const segment = fc.oneof(
  fc.constantFrom(...names.map((name) => Buffer.from(name).toString("latin1"))),
  fc.uint8Array({ minLength: 1, maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString("latin1")),
)
const body = fc.oneof(
  fc.constant(Buffer.alloc(0)),
  fc.constant(Buffer.alloc(10_000, "again")),
  fc.nat(20_000).map((size) => randomBytes(size)),
  fc.nat(300_000).map((size) => Buffer.alloc(size)),
  fc
    .tuple(fc.nat(9_000), fc.nat(40_000))
    .map(([a, zeros]) => Buffer.concat([randomBytes(a), Buffer.alloc(zeros), randomBytes(7)])),
)
const planted: fc.Arbitrary<Planted> = fc.record({
  path: fc.array(segment, { minLength: 1, maxLength: 4 }).map((segments) => segments.join("/")),
  kind: fc.constantFrom("file", "file", "file", "folder", "link"),
  body,
  mode: fc.constantFrom(0o644, 0o600, 0o755, 0o400, 0o777, 0o000),
  timeMs: fc.integer({ min: -1e10, max: 4e12 }),
})

test("any tree arrives as it was: bytes, modes, times, links, what is empty and what is sparse", async (t) => {
  const folder = trialFolder(t)
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(planted, { maxLength: 12 }), fc.boolean(), async (things, isFixed) => {
      const home = join(folder, `${++run}`)
      plant(join(home, "tree"), things)
      const chunking = isFixed ? "fixed" : "content-defined"
      const { remarks } = await copy({ chunking }, join(home, "tree"), join(home, "copy"))
      assert.deepEqual(remarks, [])
      assert.ok(isDeepStrictEqual(picture(join(home, "copy")), picture(join(home, "tree"))))
      assert.deepEqual(fs.readdirSync(home).toSorted(), ["copy", "tree"])
    }),
    { numRuns: 25 },
  )
})

test("a file goes into a folder under its own name, or has the name that is wanted", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "from.bin")
  fs.writeFileSync(from, randomBytes(10_000), { mode: 0o640 })
  fs.mkdirSync(join(folder, "there"))
  const into = await copy({}, from, join(folder, "there"))
  const made = await copy({}, from, join(folder, "made/for/it/"))
  const named = await copy({}, from, join(folder, "named"))
  assert.deepEqual(
    [into.place, made.place, named.place].map((place) => place.slice(folder.length)),
    ["/there/from.bin", "/made/for/it/from.bin", "/named"],
  )
  for (const { place } of [into, made, named]) assert.deepEqual(picture(place), picture(from))
  await assert.rejects(copy({}, from, join(folder, "no/folder/here")), { code: "not_found" })
  assert.deepEqual(fs.readdirSync(join(folder, "there")), ["from.bin"])
})

test("zeros take no room", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "from")
  fs.writeFileSync(from, "begin")
  fs.truncateSync(from, 1e9)
  const { stored, place } = await copy({}, from, join(folder, "to"))
  assert.equal(stored, 1)
  assert.equal(fs.statSync(place).size, 1e9)
  assert.ok(fs.statSync(place).blocks * 512 < 1e6)
})

test("what is there already is not fetched; what is different is kept unless it may go", async (t) => {
  const folder = trialFolder(t)
  for (const [from, to] of [
    [join(folder, "tree"), join(folder, "copy/")],
    [join(folder, "tree/file"), join(folder, "alone/")],
  ] as const) {
    fs.rmSync(join(folder, "tree"), { recursive: true, force: true })
    fs.mkdirSync(join(folder, "tree/empty"), { recursive: true })
    fs.writeFileSync(join(folder, "tree/file"), randomBytes(50_000))
    await copy({}, from, to)
    const again = await copy({}, from, to)
    assert.equal(again.stored, 0)
    assert.equal(again.foundBytes, 50_000)
    assert.deepEqual(again.remarks, ["it was there already"])
    const before = picture(to)
    const fd = fs.openSync(join(folder, "tree/file"), "r+")
    fs.writeSync(fd, "other", 30_000)
    fs.closeSync(fd)
    await assert.rejects(copy({}, from, to), { code: "exists", message: /something else has the name/i })
    assert.deepEqual(picture(to), before)
    const replaced = await copy({}, from, to, true)
    assert.equal(replaced.stored, 1)
    assert.deepEqual(picture(replaced.place), picture(from))
    assert.equal(fs.readdirSync(to).length, 1)
  }
})

test("a file takes the place of no folder that holds something, even when it may replace", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "file")
  fs.writeFileSync(from, randomBytes(1_000))
  fs.mkdirSync(join(folder, "kept/file"), { recursive: true })
  fs.writeFileSync(join(folder, "kept/file/precious"), "p")
  await assert.rejects(copy({}, from, join(folder, "kept/"), true), { code: "exists", message: /with something in it/ })
  assert.equal(fs.readFileSync(join(folder, "kept/file/precious"), "utf8"), "p")
})

test("a name that is taken while chunks come is not taken away, and nothing is lost", async (t) => {
  const folder = trialFolder(t)
  fs.mkdirSync(join(folder, "tree/closed"), { recursive: true })
  fs.writeFileSync(join(folder, "tree/file"), randomBytes(20_000), { mode: 0o400 })
  fs.symlinkSync("file", join(folder, "tree/closed/link"))
  fs.chmodSync(join(folder, "tree/closed"), 0o500)
  for (const [from, name] of [
    ["tree", "copy"],
    ["tree/file", "alone"],
  ] as const) {
    const content = await fileContent({ paths: [join(folder, from)], crypto, chunkBytes: 4096 })
    t.after(() => content.close())
    const path = join(folder, name)
    const holdings = await folderTarget({ path }).open(versionOf(content))
    await storeAll(content, holdings)
    fs.writeFileSync(path, "mine")
    await assert.rejects(holdings.finish(), { code: "exists" })
    assert.equal(fs.readFileSync(path, "utf8"), "mine")
    fs.rmSync(path)
    await holdings.finish()
    assert.deepEqual(picture(path), picture(join(folder, from)))
    await holdings.close()
  }
})

test("an interrupted run is gone on with, and one process at a time writes a target", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "from")
  fs.writeFileSync(from, randomBytes(100_000))
  const content = await fileContent({ paths: [from], crypto, chunkBytes: 4096 })
  t.after(() => content.close())
  const path = join(folder, "to")
  const first = await folderTarget({ path }).open(versionOf(content))
  await storeAll(content, first, 10)
  await assert.rejects(folderTarget({ path }).open(versionOf(content)), { code: "in_use" })
  await first.close()
  await assert.rejects(async () => first.store(3, await content.read(3)), { code: "closed" })
  const second = await folderTarget({ path }).open(versionOf(content))
  assert.ok(second.foundBytes > 9 * 4096)
  const [there = -1] = Array.from({ length: content.table.count }, (_, chunk) => chunk).filter(
    (chunk) => chunk >= content.table.manifestChunks && second.have.has(chunk),
  )
  assert.ok(content.table.matches(there, await second.read(there)))
  await second.discard()
  assert.deepEqual(fs.readdirSync(folder), ["from"])
})

test("a part without its journal is read, and gone on with where it is", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "from")
  fs.writeFileSync(from, randomBytes(20 * 4096))
  const content = await fileContent({ paths: [from], crypto, chunkBytes: 4096 })
  t.after(() => content.close())
  const path = join(folder, "to")
  const first = await folderTarget({ path }).open(versionOf(content))
  await storeAll(content, first, 10)
  await first.close()
  const { ino } = fs.statSync(join(folder, ".to.rdv-part"))
  fs.rmSync(join(folder, ".to.rdv-part.bin"))
  const second = await folderTarget({ path }).open(versionOf(content))
  assert.equal(second.have.count, first.have.count)
  await storeAll(content, second)
  await second.finish()
  await second.close()
  assert.equal(fs.statSync(path).ino, ino)
})

test("a part that was changed behind the journal is read, and what is wrong in it fetched again", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "from")
  fs.writeFileSync(from, randomBytes(100 * 4096))
  const content = await fileContent({ paths: [from], crypto, chunkBytes: 4096 })
  t.after(() => content.close())
  const path = join(folder, "to")
  const first = await folderTarget({ path }).open(versionOf(content))
  await storeAll(content, first)
  await first.close()
  const part = join(folder, ".to.rdv-part")
  const fd = fs.openSync(part, "r+")
  fs.writeSync(fd, "wrong", 50 * 4096)
  fs.closeSync(fd)
  fs.utimesSync(part, 1, Date.now() / 1000 + 60)
  const second = await folderTarget({ path, sync: false }).open(versionOf(content))
  assert.equal([...second.have.missing()].length, 1)
  await storeAll(content, second)
  await second.finish()
  await second.close()
  assert.ok(fs.readFileSync(path).equals(fs.readFileSync(from)))
})

test("a chunk that does not open, or is longer than its place, is refused and not kept", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "from")
  fs.writeFileSync(from, randomBytes(8192))
  const content = await fileContent({ paths: [from], crypto, chunkBytes: 4096 })
  t.after(() => content.close())
  const holdings = await folderTarget({ path: join(folder, "to") }).open(versionOf(content))
  t.after(() => holdings.discard())
  const [first = 0, second = 0] = holdings.have.missing()
  await assert.rejects(async () => holdings.store(first, await content.read(second)), { code: "corrupt" })
  const long = await crypto.seal(randomBytes(5000), content.manifest.pieces[0]?.identity as Uint8Array)
  await assert.rejects(async () => holdings.store(first, long), { code: "corrupt" })
  assert.equal(holdings.have.has(first), false)
  await assert.rejects(holdings.finish(), { code: "internal" })
})

test("receivers of the next version fetch what has changed, whatever they have of the last one", async (t) => {
  const folder = trialFolder(t)
  fs.mkdirSync(join(folder, "tree"))
  const stay = randomBytes(600_000)
  const versionOne = () => {
    fs.writeFileSync(join(folder, "tree/a"), randomBytes(200_000))
    fs.writeFileSync(join(folder, "tree/b"), stay)
  }
  for (const share of [1, 0.5]) {
    versionOne()
    const one = await fileContent({
      paths: [join(folder, "tree")],
      crypto,
      chunking: "content-defined",
      chunkBytes: 8192,
    })
    const path = join(folder, `copy ${share}`)
    const target = folderTarget({ path, sync: false })
    const first = await target.open(versionOf(one))
    await storeAll(one, first, Math.ceil(one.table.count * share))
    if (share === 1) await first.finish()
    fs.writeFileSync(
      join(folder, "tree/a"),
      Buffer.concat([Buffer.from("new"), fs.readFileSync(join(folder, "tree/a"))]),
    )
    const two = await fileContent({ paths: [join(folder, "tree")], crypto, chunking: "content-defined", previous: one })
    const second = await target.open(versionOf(two))
    const stored = await storeAll(two, second)
    const needed = one.table.count - Math.ceil(one.table.count * share)
    assert.ok(stored <= needed + 12, `${stored} of ${two.table.count} were fetched, ${needed} were missing`)
    await second.finish()
    assert.deepEqual(picture(path), picture(join(folder, "tree")))
    for (const each of [first, second, one, two]) await each.close()
  }
  assert.deepEqual(fs.readdirSync(folder).toSorted(), ["copy 0.5", "copy 1", "tree"])
})

test("another process finds an older version's chunks wherever they have moved", async (t) => {
  const folder = trialFolder(t)
  fs.mkdirSync(join(folder, "tree"))
  fs.writeFileSync(join(folder, "tree/b"), randomBytes(600_000))
  const options = { chunking: "content-defined", chunkBytes: 8192 } as const
  await copy(options, join(folder, "tree"), join(folder, "copy/"))
  fs.renameSync(join(folder, "tree/b"), join(folder, "tree/z"))
  fs.writeFileSync(join(folder, "tree/a"), randomBytes(5_000))
  const next = await copy(options, join(folder, "tree"), join(folder, "copy/"), true)
  assert.ok(next.stored <= 12, `${next.stored}`)
  assert.deepEqual(picture(next.place), picture(join(folder, "tree")))
})

test("what was received and then changed here is not replaced by the next version", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "from")
  fs.writeFileSync(from, randomBytes(20_000))
  const one = await fileContent({ paths: [from], crypto, chunkBytes: 4096 })
  const target = folderTarget({ path: join(folder, "to"), sync: false })
  const first = await target.open(versionOf(one))
  await storeAll(one, first)
  await first.finish()
  fs.appendFileSync(join(folder, "to"), "my own words")
  fs.appendFileSync(from, "theirs")
  const two = await fileContent({ paths: [from], crypto, chunkBytes: 4096, previous: one })
  await assert.rejects(target.open(versionOf(two)), { code: "exists" })
  for (const each of [first, one, two]) await each.close()
})

function hostile(name: string, entries: readonly Entry[]): TargetVersion {
  const table = ChunkTable.build({
    version: 1,
    hash: crypto,
    manifestChunks: 1,
    chunks: [{ length: 100, hash: new Uint8Array(32) }],
  })
  return { table, manifest: { name, entries, pieces: [] }, crypto }
}

test("no manifest writes outside the target's folder", async (t) => {
  const folder = trialFolder(t)
  const inside = join(folder, "inside")
  fs.mkdirSync(inside)
  fs.writeFileSync(join(folder, "outside"), "safe")
  const file = (path: string): Entry => ({ type: "file", path, size: 0 })
  const link = (path: string, target: string): Entry => ({ type: "symlink", path, target })
  const versions: TargetVersion[] = [
    hostile("..", [file("")]),
    hostile("a/../../outside", [file("")]),
    hostile("/etc/x", [file("")]),
    hostile("t", [file("../outside")]),
    hostile("t", [file("/outside")]),
    hostile("t", [file("a//b")]),
    hostile("t", [file("a/./b")]),
    hostile("t", [file("a\0b")]),
    hostile("t", [file("")]),
    hostile("t", [file("b"), file("a")]),
    hostile("t", [file("a"), file("a")]),
    hostile("t", [file("a"), file("a/b")]),
    hostile("t", [link("a", ".."), file("a/outside")]),
    hostile("t", [link("a", "..")]),
    hostile("t", [link("a", "/etc")]),
    hostile("t", [link("a", "b/../../..")]),
    hostile("t", [file("\udcc3\udca9")]),
    hostile("t", [file("\ud800")]),
  ]
  for (const version of versions) {
    const path = `${inside}/`
    let finished: unknown
    try {
      const holdings = await folderTarget({ path }).open(version)
      finished = await holdings.finish()
      await holdings.close()
    } catch {
      // As it should be; what counts is what is on the disk.
    }
    if (finished !== undefined) assert.equal(version.manifest.entries[0]?.path, "", JSON.stringify(version.manifest))
    fs.rmSync(inside, { recursive: true })
    fs.mkdirSync(inside)
    assert.deepEqual(fs.readdirSync(folder).toSorted(), ["inside", "outside"])
    assert.equal(fs.readFileSync(join(folder, "outside"), "utf8"), "safe")
  }
})

test("a link that stands in a part is not followed", async (t) => {
  const folder = trialFolder(t)
  const outside = join(folder, "outside")
  fs.mkdirSync(outside)
  fs.writeFileSync(join(outside, "file"), "safe")
  fs.mkdirSync(join(folder, "tree/d"), { recursive: true })
  fs.writeFileSync(join(folder, "tree/d/file"), randomBytes(20_000))
  fs.writeFileSync(join(folder, "tree/e"), randomBytes(20_000))
  const content = await fileContent({ paths: [join(folder, "tree")], crypto, chunkBytes: 4096 })
  t.after(() => content.close())
  const path = join(folder, "copy")
  const first = await folderTarget({ path }).open(versionOf(content))
  await storeAll(content, first)
  await first.close()
  const part = join(folder, ".copy.rdv-part")
  fs.rmSync(join(part, "d"), { recursive: true })
  fs.symlinkSync(outside, join(part, "d"))
  fs.rmSync(join(part, "e"))
  fs.symlinkSync(join(outside, "file"), join(part, "e"))
  const second = await folderTarget({ path }).open(versionOf(content))
  await storeAll(content, second)
  await second.finish()
  await second.close()
  assert.deepEqual(picture(path), picture(join(folder, "tree")))
  assert.deepEqual(fs.readdirSync(outside), ["file"])
  assert.equal(fs.readFileSync(join(outside, "file"), "utf8"), "safe")
})

test("a run that died between the two renames of a replacement is mended", async (t) => {
  const folder = trialFolder(t)
  fs.mkdirSync(join(folder, "tree"))
  fs.writeFileSync(join(folder, "tree/file"), randomBytes(20_000))
  await copy({}, join(folder, "tree"), join(folder, "copy/"))
  fs.renameSync(join(folder, "copy/tree"), join(folder, "copy/.tree.rdv-old"))
  const again = await copy({}, join(folder, "tree"), join(folder, "copy/"))
  assert.equal(again.stored, 0)
  assert.deepEqual(fs.readdirSync(join(folder, "copy")), ["tree"])
})

test("a target that another process is replacing just now is not taken for one whose run died", async (t) => {
  const folder = trialFolder(t)
  fs.mkdirSync(join(folder, "tree"))
  fs.writeFileSync(join(folder, "tree/file"), "new")
  fs.mkdirSync(join(folder, "to/.tree.rdv-old"), { recursive: true })
  const lock = PartLock.take(join(folder, "to/.tree.rdv-lock"), join(folder, "to"))
  await assert.rejects(copy({}, join(folder, "tree"), join(folder, "to/")), { code: "in_use" })
  assert.deepEqual(fs.readdirSync(join(folder, "to")).toSorted(), [".tree.rdv-lock", ".tree.rdv-old"])
  lock.release()
})

test("zeros of a version are zeros, whatever a part of another one had there", async (t) => {
  const folder = trialFolder(t)
  const bytes = randomBytes(40 * 4096)
  fs.writeFileSync(join(folder, "one"), bytes)
  fs.writeFileSync(join(folder, "two"), Buffer.from(bytes).fill(0, 8 * 4096, 30 * 4096))
  const path = join(folder, "to")
  const one = await fileContent({ paths: [join(folder, "one")], crypto, chunkBytes: 4096 })
  t.after(() => one.close())
  const first = await folderTarget({ path }).open(versionOf(one))
  await storeAll(one, first)
  await first.close()
  fs.rmSync(join(folder, ".to.rdv-part.bin"))
  const { foundBytes } = await copy({}, join(folder, "two"), path)
  assert.equal(foundBytes, 18 * 4096)
  assert.ok(fs.readFileSync(path).equals(fs.readFileSync(join(folder, "two"))))
})

test("a part of what is whole meanwhile does not stay", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "from")
  fs.writeFileSync(from, randomBytes(50_000))
  const content = await fileContent({ paths: [from], crypto, chunkBytes: 4096 })
  t.after(() => content.close())
  const path = join(folder, "to")
  const first = await folderTarget({ path }).open(versionOf(content))
  await storeAll(content, first, 5)
  await first.close()
  fs.copyFileSync(from, path)
  await (await folderTarget({ path }).open(versionOf(content))).close()
  assert.deepEqual(fs.readdirSync(folder), ["from", "to"])
})

test("a look at what is there can be given up, and what is there stays", async (t) => {
  const folder = trialFolder(t)
  const from = join(folder, "from")
  fs.writeFileSync(from, randomBytes(30_000_000))
  const content = await fileContent({ paths: [from], crypto })
  t.after(() => content.close())
  const path = join(folder, "to")
  for (const prepare of [
    () => fs.copyFileSync(from, path),
    () => {
      fs.renameSync(path, join(folder, ".to.rdv-part"))
    },
  ]) {
    prepare()
    const before = fs.readdirSync(folder)
    const stop = new AbortController()
    const opening = folderTarget({ path, signal: stop.signal }).open(versionOf(content))
    stop.abort(new RdvError("cancelled", "enough"))
    await assert.rejects(opening, { code: "cancelled" })
    assert.deepEqual(fs.readdirSync(folder), before)
  }
})
