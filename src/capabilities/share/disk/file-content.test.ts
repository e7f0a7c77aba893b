import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { PassThrough } from "node:stream"
import { test } from "node:test"
import { isDeepStrictEqual } from "node:util"
import { RdvError } from "../../../base/error.ts"
import { trialCrypto as crypto, trialFolder } from "../../../../test/kit/share-disk.ts"
import type { Content } from "../content/content.ts"
import { fileContent } from "./file-content.ts"
import { stdinContent } from "./stdin-content.ts"

/** All bytes that a content gives, in the order of its files. */
async function unpacked(content: Content): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for (const { chunk, length, identity } of content.manifest.pieces) {
    if (chunk === "zeros") parts.push(Buffer.alloc(length))
    else {
      const sealed = await content.read(chunk)
      assert.ok(content.table.matches(chunk, sealed))
      parts.push(await crypto.open(sealed, identity))
    }
  }
  return Buffer.concat(parts)
}

test("a file gives back its bytes, chunk by chunk, whichever way it is cut", async (t) => {
  const file = join(trialFolder(t), "big.bin")
  const bytes = Buffer.concat([randomBytes(700_001), Buffer.alloc(400_000), randomBytes(300_000)])
  fs.writeFileSync(file, bytes)
  for (const chunking of ["fixed", "content-defined"] as const) {
    for (const cacheBytes of [0, 200_000]) {
      const content = await fileContent({ paths: [file], crypto, chunking, cacheBytes })
      assert.equal(content.manifest.name, "big.bin")
      assert.ok(content.have.isFull)
      assert.ok((await unpacked(content)).equals(bytes))
      await content.close()
    }
  }
})

test("a chunk is read into memory of the caller, and nothing else is kept of it", async (t) => {
  const file = join(trialFolder(t), "some.bin")
  fs.writeFileSync(file, randomBytes(300_000))
  const content = await fileContent({ paths: [file], crypto, chunkBytes: 65_536, cacheBytes: 0 })
  t.after(() => content.close())
  const chunk = content.table.manifestChunks
  const into = new Uint8Array(content.table.lengthOf(chunk))
  assert.equal(await content.read(chunk, into), into)
  assert.deepEqual(into, new Uint8Array(await content.read(chunk)))
})

test("the same bytes at several places have one chunk", async (t) => {
  const folder = trialFolder(t)
  const block = randomBytes(65_536)
  fs.writeFileSync(join(folder, "a"), Buffer.concat([block, block, block]))
  fs.writeFileSync(join(folder, "b"), block)
  const content = await fileContent({ paths: [folder], crypto, chunkBytes: 65_536 })
  t.after(() => content.close())
  assert.equal(content.manifest.pieces.length, 4)
  assert.equal(content.table.count - content.table.manifestChunks, 1)
})

test("several paths become entries of one folder, and two of the same name are refused", async (t) => {
  const folder = trialFolder(t)
  fs.mkdirSync(join(folder, "x/sub"), { recursive: true })
  fs.writeFileSync(join(folder, "x/sub/one"), "1")
  fs.writeFileSync(join(folder, "two"), "22")
  const content = await fileContent({ paths: [join(folder, "two"), join(folder, "x")], name: "both", crypto })
  t.after(() => content.close())
  assert.equal(content.manifest.name, "both")
  assert.deepEqual(
    content.manifest.entries.map(({ path }) => path),
    ["two", "x", "x/sub", "x/sub/one"],
  )
  assert.equal((await unpacked(content)).toString(), "221")
  fs.mkdirSync(join(folder, "y"))
  fs.writeFileSync(join(folder, "y/two"), "")
  const twice = fileContent({ paths: [join(folder, "two"), join(folder, "y/two")], crypto })
  await assert.rejects(twice, { code: "usage", message: /two/ })
})

test("what is no file is left out and said; links out of the folder are", async (t) => {
  const folder = trialFolder(t)
  fs.mkdirSync(join(folder, "in"))
  fs.symlinkSync("in", join(folder, "good"))
  fs.symlinkSync("../in", join(folder, "in/back"))
  fs.symlinkSync("../outside", join(folder, "out"))
  fs.symlinkSync("/etc/passwd", join(folder, "absolute"))
  const socket = createServer()
  socket.listen(join(folder, "pipe"))
  await once(socket, "listening")
  t.after(() => socket.close())
  const content = await fileContent({ paths: [folder], crypto })
  t.after(() => content.close())
  const links = content.manifest.entries.filter((entry) => entry.type === "symlink")
  assert.deepEqual(
    links.map(({ path, target }) => [path, target]),
    [
      ["good", "in"],
      ["in/back", "../in"],
    ],
  )
  assert.deepEqual(new Set(content.remarks.map((remark) => remark.split(":")[0])), new Set(["absolute", "out", "pipe"]))
  await assert.rejects(fileContent({ paths: [join(folder, "pipe")], crypto }), { code: "usage" })
  await assert.rejects(fileContent({ paths: [join(folder, "gone")], crypto }), { code: "not_found", message: /gone/ })
})

test("a file that changes while it is read is named", async (t) => {
  const folder = trialFolder(t)
  fs.writeFileSync(join(folder, "quiet"), "quiet")
  const file = join(folder, "restless")
  fs.writeFileSync(file, randomBytes(3_000_000))
  const change = { written: () => fs.appendFileSync(file, "more"), cut: () => fs.truncateSync(file, 5) }
  for (const act of [change.written, change.cut]) {
    const content = fileContent({ paths: [folder], crypto, onProgress: (bytes) => bytes === 0 && act() })
    await assert.rejects(content, { code: "corrupt", message: /changed while it was read: .*restless/ })
  }
})

test("a chunk whose file has changed since is refused and gone, the others stay", async (t) => {
  const file = join(trialFolder(t), "f")
  fs.writeFileSync(file, randomBytes(4 * 65_536))
  const content = await fileContent({ paths: [file], crypto, chunkBytes: 65_536, cacheBytes: 0 })
  t.after(() => content.close())
  const fd = fs.openSync(file, "r+")
  fs.writeSync(fd, "changed", 65_536 + 17)
  fs.closeSync(fd)
  const first = content.table.manifestChunks
  await assert.rejects(async () => content.read(first + 1), { code: "corrupt" })
  assert.equal(content.have.has(first + 1), false)
  assert.ok(content.table.matches(first + 2, await content.read(first + 2)))
  fs.truncateSync(file, 10)
  await assert.rejects(async () => content.read(first + 3), { code: "corrupt" })
  assert.equal(content.have.count, content.table.count - 2)
})

test("20 GB of a hole take seconds and no chunk; data in it is found", { timeout: 30_000 }, async (t) => {
  const file = join(trialFolder(t), "disk.img")
  const fd = fs.openSync(file, "w")
  fs.ftruncateSync(fd, 20e9)
  const data = randomBytes(3 * 1_048_576)
  fs.writeSync(fd, data, 0, data.length, 12_345_678_901)
  fs.closeSync(fd)
  const begun = performance.now()
  for (const chunking of ["fixed", "content-defined"] as const) {
    const content = await fileContent({ paths: [file], crypto, chunking })
    let at = 0
    const dataAt: [number, number][] = []
    for (const { chunk, length } of content.manifest.pieces) {
      if (chunk !== "zeros") dataAt.push([at, at + length])
      at += length
    }
    assert.equal(at, 20e9)
    assert.ok(content.table.sealedBytes < 6e6)
    assert.ok((dataAt[0]?.[0] ?? Infinity) <= 12_345_678_901)
    assert.ok((dataAt.at(-1)?.[1] ?? 0) >= 12_345_678_901 + data.length)
    await content.close()
  }
  t.diagnostic(`${Math.round(performance.now() - begun)} ms for both ways of cutting`)
})

test("an insert into a large file leaves most content-defined chunks as they were", async (t) => {
  const file = join(trialFolder(t), "f")
  const bytes = randomBytes(16 * 1_048_576)
  fs.writeFileSync(file, bytes)
  const saving = async (chunking: "fixed" | "content-defined") => {
    fs.writeFileSync(file, bytes)
    const one = await fileContent({ paths: [file], crypto, chunking })
    fs.writeFileSync(
      file,
      Buffer.concat([bytes.subarray(0, 5_000_000), Buffer.from("inserted"), bytes.subarray(5_000_000)]),
    )
    const two = await fileContent({ paths: [file], crypto, chunking, previous: one })
    let fresh = 0
    for (let chunk = two.table.manifestChunks; chunk < two.table.count; chunk++) {
      if (one.table.indexOf(two.table.hashOf(chunk)) === undefined) fresh += two.table.lengthOf(chunk)
    }
    assert.equal(two.table.version, 2)
    await one.close()
    await two.close()
    return fresh / bytes.length
  }
  const [fixed, defined] = [await saving("fixed"), await saving("content-defined")]
  t.diagnostic(
    `to be sent again: ${(fixed * 100).toFixed(1)} % of fixed, ${(defined * 100).toFixed(1)} % of content-defined chunks`,
  )
  assert.ok(fixed > 0.6)
  assert.ok(defined < 0.03)
})

test("files that have not changed since the version before are not read again", async (t) => {
  const folder = trialFolder(t)
  const past = new Date(Date.now() - 60_000)
  for (let index = 0; index < 30; index++) {
    const file = join(folder, `file ${index}`)
    fs.writeFileSync(file, randomBytes(50_000 + index * 1_001))
    fs.utimesSync(file, past, past)
  }
  for (const chunking of ["fixed", "content-defined"] as const) {
    const one = await fileContent({ paths: [folder], crypto, chunking, chunkBytes: 16_384 })
    // Written behind its time's back: who reads it again sees it.
    const quiet = join(folder, "file 29")
    const fd = fs.openSync(quiet, "r+")
    fs.writeSync(fd, "x".repeat(79_029 - 9), 0)
    fs.closeSync(fd)
    fs.utimesSync(quiet, past, past)
    const same = await fileContent({ paths: [folder], crypto, chunking, chunkBytes: 16_384, previous: one })
    assert.ok(isDeepStrictEqual(same.manifest.pieces, one.manifest.pieces))
    fs.writeFileSync(quiet, randomBytes(79_029))
    fs.utimesSync(quiet, past, past)
    await one.close()
    await same.close()
    const begun = await fileContent({ paths: [folder], crypto, chunking, chunkBytes: 16_384 })
    const grown = join(folder, "file 3")
    fs.appendFileSync(grown, randomBytes(16_384))
    fs.utimesSync(grown, past, past)
    const next = await fileContent({ paths: [folder], crypto, chunking, chunkBytes: 16_384, previous: begun })
    const whole = Buffer.concat(next.scan.files.map(({ path }) => fs.readFileSync(path)))
    assert.ok((await unpacked(next)).equals(whole))
    await begun.close()
    await next.close()
  }
})

test("standard input is shared from a file that nobody else can open", async (t) => {
  const folder = trialFolder(t)
  const bytes = randomBytes(300_000)
  async function* stream() {
    for (let at = 0; at < bytes.length; at += 7_777) yield bytes.subarray(at, at + 7_777)
  }
  const content = await stdinContent(stream(), { name: "input", crypto, folder, cacheBytes: 0 })
  assert.deepEqual(fs.readdirSync(folder), [])
  assert.deepEqual(
    content.manifest.entries,
    [{ type: "file", path: "", size: bytes.length }].map((entry) => ({ ...entry })),
  )
  assert.ok((await unpacked(content)).equals(bytes))
  await content.close()
  await assert.rejects(async () => content.read(content.table.count - 1), { code: "closed" })
  async function* nothing(): AsyncGenerator<Uint8Array> {}
  const empty = await stdinContent(nothing(), { name: "input", crypto, folder })
  assert.equal(empty.totalBytes, 0)
  await empty.close()
})

test("an input that stands still can be stopped", { timeout: 5_000 }, async () => {
  const stop = new AbortController()
  const input = new PassThrough()
  input.write("begin")
  const content = stdinContent(input, {
    name: "x",
    crypto,
    signal: stop.signal,
    onSpooled: () => setImmediate(() => stop.abort(new RdvError("cancelled", "enough"))),
  })
  await assert.rejects(content, { code: "cancelled" })
  assert.equal(input.destroyed, true)
})
