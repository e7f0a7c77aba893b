/** The 9P client against a server that nobody here wrote. */

import assert from "node:assert/strict"
import { mkdir, readFile, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { describe, test, type TestContext } from "node:test"
import { NinepClient } from "../../src/ninep/client.ts"
import { NinepError } from "../../src/ninep/errno.ts"
import { socketBytes } from "../kit/byte-links.ts"
import { diodMissing, startDiod } from "../kit/diod.ts"

const errnoIs = (errno: string) => (error: unknown) => error instanceof NinepError && error.errno === errno

async function connected(t: TestContext, msize?: number): Promise<{ client: NinepClient; folder: string }> {
  const diod = await startDiod()
  t.after(() => diod.stop())
  const client = await NinepClient.connect({
    link: socketBytes(diod.socket),
    aname: diod.folder,
    uid: process.getuid?.() ?? 0,
    ...(msize === undefined ? {} : { msize }),
  })
  return { client, folder: diod.folder }
}

describe("the client and diod", { skip: diodMissing, timeout: 30_000 }, () => {
  test("agree on 9P2000.L, whichever dialect is asked for first", async (t) => {
    const diod = await startDiod()
    t.after(() => diod.stop())
    const client = await NinepClient.connect({
      link: socketBytes(diod.socket),
      dialects: ["9P2000", "9P2000.u", "9P2000.L"],
      aname: diod.folder,
      uid: process.getuid?.() ?? 0,
    })
    assert.equal(client.dialect, "9P2000.L")
    assert.ok(client.root.isFolder)
    client.close()
  })

  test("make, write, read, describe, change, list and remove files", async (t) => {
    const { client, folder } = await connected(t)
    await client.mkdir("/a", 0o750)
    const file = await client.create("/a/über", 0o640, { read: true, write: true })
    assert.equal(await file.write(0, Buffer.from("hello")), 5)
    assert.equal(await file.write(5, Buffer.from(" there")), 6)
    await file.sync()
    assert.equal(Buffer.from(await file.read(6, 100)).toString(), "there")
    assert.equal((await file.read(11, 100)).length, 0)
    assert.equal(await readFile(join(folder, "a", "über"), "utf8"), "hello there")
    await file.change({ permissions: 0o600, length: 5, modified: 1_000_000_000 })
    const told = await file.attributes()
    const real = await stat(join(folder, "a", "über"))
    assert.deepEqual(
      [told.length, told.permissions, told.modified, told.isFolder, told.uid],
      [5, 0o600, 1_000_000_000, false, real.uid],
    )
    await file.clunk()
    assert.deepEqual(
      (await client.list("/a")).map(({ name }) => name),
      ["über"],
    )
    assert.equal((await client.stat("/a")).isFolder, true)
    await assert.rejects(client.remove("/a"), errnoIs("ENOTEMPTY"))
    await client.rename("/a/über", "unter")
    await client.remove("/a/unter")
    await client.remove("/a")
    assert.deepEqual(await client.list("/"), [])
    client.close()
  })

  test("have the same errors", async (t) => {
    const { client, folder } = await connected(t)
    await writeFile(join(folder, "file"), "x")
    await assert.rejects(client.walk("/none"), errnoIs("ENOENT"))
    await assert.rejects(client.walk("/none/deeper"), errnoIs("ENOENT"))
    await assert.rejects(client.mkdir("/file"), errnoIs("EEXIST"))
    await assert.rejects(client.create("/file/x", 0o600, { write: true }), errnoIs("ENOTDIR"))
    await assert.rejects(client.open("/", { write: true, read: true }).then((file) => file.write(0, Buffer.from("x"))))
    const long = "x".repeat(300)
    await assert.rejects(client.create(`/${long}`, 0o600, { write: true }), errnoIs("ENAMETOOLONG"))
    await assert.rejects(client.calls.ask({ type: "Tread", tag: 0, fid: 4711, offset: 0, count: 1 }), NinepError)
    client.close()
  })

  test("list a folder of a thousand files in many answers", async (t) => {
    const { client, folder } = await connected(t, 4096)
    assert.ok(client.msize <= 4096)
    const names = Array.from({ length: 1000 }, (_none, at) => `file-${at}`)
    await mkdir(join(folder, "many"))
    await Promise.all(names.map((name) => writeFile(join(folder, "many", name), "")))
    const found = await client.list("/many")
    assert.deepEqual(found.map(({ name }) => name).toSorted(), names.toSorted())
    client.close()
  })

  test("walk a path of forty folders", async (t) => {
    const { client, folder } = await connected(t)
    const path = Array.from({ length: 40 }, (_none, at) => `d${at}`).join("/")
    await mkdir(join(folder, path), { recursive: true })
    assert.equal((await client.stat(path)).isFolder, true)
    await assert.rejects(client.stat(`${path}/x`), errnoIs("ENOENT"))
    assert.equal(client.calls.underWay, 0)
    client.close()
  })

  test("move three megabytes in many requests at once", async (t) => {
    const { client } = await connected(t)
    const bytes = new Uint8Array(3_000_000)
    for (let at = 0; at < bytes.length; at++) bytes[at] = (at * 31) >> 3
    const file = await client.create("/big", 0o600, { read: true, write: true })
    const step = 10_000
    const offsets = Array.from({ length: bytes.length / step }, (_none, at) => at * step)
    await Promise.all(offsets.map((at) => file.write(at, bytes.subarray(at, at + step))))
    const parts = await Promise.all(offsets.map((at) => file.read(at, step)))
    assert.ok(Buffer.from(bytes).equals(Buffer.concat(parts)))
    assert.ok(Buffer.from(bytes).equals(await file.readAll(bytes.length)))
    await assert.rejects(file.readAll(bytes.length - 1), errnoIs("EMSGSIZE"))
    await file.writeAll(bytes, 1)
    assert.equal((await file.attributes()).length, bytes.length + 1)
    client.close()
  })

  test("speak .L's further messages", async (t) => {
    const { client, folder } = await connected(t)
    await writeFile(join(folder, "file"), "x")
    const { calls, root } = client
    const dfid = root.fid
    await calls.ask({ type: "Tsymlink", tag: 0, fid: dfid, name: "link", symtgt: "file", gid: 0 })
    const link = await client.walk("/link")
    assert.equal((await calls.ask({ type: "Treadlink", tag: 0, fid: link.fid })).target, "file")
    const file = await client.walk("/file")
    await calls.ask({ type: "Tlink", tag: 0, dfid, fid: file.fid, name: "hard" })
    assert.equal((await stat(join(folder, "hard"))).nlink, 2)
    await calls.ask({ type: "Trename", tag: 0, fid: file.fid, dfid, name: "newer" })
    // This server has neither of the two: Tremove and Trename do their work.
    const none = { type: "Rlerror", tag: 0, ecode: 95 }
    const tunlinkat = { type: "Tunlinkat", tag: 0, dirfid: dfid, name: "hard", flags: 0 } as const
    assert.deepEqual(await calls.call(tunlinkat), none)
    const trenameat = { olddirfid: dfid, oldname: "hard", newdirfid: dfid, newname: "new" }
    assert.deepEqual(await calls.call({ type: "Trenameat", tag: 0, ...trenameat }), none)
    await client.remove("/hard")
    const names = (await client.list("/")).map(({ name }) => name).toSorted()
    assert.deepEqual(names, ["link", "newer"])
    const space = await calls.ask({ type: "Tstatfs", tag: 0, fid: dfid })
    assert.ok(space.bsize > 0 && space.namelen >= 255)
    const opened = await client.open("/newer", { read: true, write: true })
    const lock = { fid: opened.fid, lockType: 1, start: 0, length: 0, procId: 1, clientId: "test" }
    assert.equal((await calls.ask({ type: "Tlock", tag: 0, flags: 0, ...lock })).status, 0)
    assert.equal((await calls.ask({ type: "Tgetlock", tag: 0, ...lock })).clientId, "test")
    client.close()
  })
})
