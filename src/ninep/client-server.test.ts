/** Client and server of ours with each other, in all dialects, over links that cut the bytes at odd places. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { bytePair, type BytePair } from "../../test/kit/byte-links.ts"
import { RamTree } from "../../test/kit/ram-tree.ts"
import { silentLog } from "../base/log.ts"
import { NinepClient, type ConnectOptions } from "./client.ts"
import { NinepConnection } from "./connection.ts"
import { NinepError } from "./errno.ts"
import type { Dialect } from "./message.ts"
import { LinkLostError } from "./remote-error.ts"

const dialects: readonly Dialect[] = ["9P2000", "9P2000.u", "9P2000.L"]
const errnoIs = (errno: string) => (error: unknown) => error instanceof NinepError && error.errno === errno
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()

interface Joined {
  readonly client: NinepClient
  readonly tree: RamTree
  readonly pair: BytePair
  readonly connection: NinepConnection
}

async function joined(dialect: Dialect, options: Partial<ConnectOptions> = {}): Promise<Joined> {
  const pair = bytePair({ splitBytes: 1013 })
  const tree = new RamTree()
  const connection = new NinepConnection({ tree, output: pair.b, log: silentLog })
  connection.onEnd = () => pair.b.close()
  pair.b.onData = (bytes) => connection.receive(bytes)
  pair.b.onDrain = () => connection.drained()
  pair.b.onClose = () => connection.closed()
  const client = await NinepClient.connect({ link: pair.a, dialects: [dialect], user: "glenda", ...options })
  return { client, tree, pair, connection }
}

for (const dialect of dialects) {
  test(`${dialect}: files and folders are made, written, read, described, changed, listed, removed`, async () => {
    const { client, tree } = await joined(dialect, { uid: 1000, aname: "x" })
    assert.equal(client.dialect, dialect)
    const uid = dialect === "9P2000" ? undefined : 1000
    assert.deepEqual(tree.attached[0], { user: { name: "glenda", uid }, aname: "x" })
    await client.mkdir("/a", 0o700)
    const file = await client.create("/a/ü", 0o640, { read: true, write: true })
    await file.writeAll(Buffer.from("hello there"))
    assert.equal(text(await file.read(6)), "there")
    await file.change({ length: 5, permissions: 0o600 })
    const told = await file.attributes()
    assert.deepEqual([told.length, told.permissions, told.isFolder], [5, 0o600, false])
    await file.sync()
    await file.clunk()
    const again = await client.open("/a/ü", { write: true, truncate: true })
    assert.equal((await again.attributes()).length, 0)
    await again.clunk()
    assert.deepEqual(
      (await client.list("/a")).map(({ name, qid }) => [name, qid.type]),
      [["ü", 0]],
    )
    assert.equal((await client.stat("/a")).isFolder, true)
    await client.rename("/a/ü", "ö")
    await assert.rejects(client.rename("/a/ü", "x"), errnoIs("ENOENT"))
    await client.remove("/a/ö")
    await client.remove("/a")
    assert.deepEqual(await client.list("/"), [])
    assert.equal(client.calls.underWay, 0)
    assert.equal(tree.counts.opened, tree.counts.closed)
    client.close()
  })

  test(`${dialect}: errors are the server's`, async () => {
    const { client, tree } = await joined(dialect)
    tree.root.add("file")
    tree.root.add("full", "folder").add("x")
    await assert.rejects(client.walk("/none"), errnoIs("ENOENT"))
    await assert.rejects(client.create("/file", 0o600, { write: true }), errnoIs("EEXIST"))
    await assert.rejects(client.remove("/full"), errnoIs("ENOTEMPTY"))
    await assert.rejects(client.attach({ aname: "forbidden" }), errnoIs("EACCES"))
    client.close()
  })

  test(`${dialect}: a folder of three thousand files is listed in many answers`, async () => {
    const { client, tree } = await joined(dialect, { msize: 4096 })
    const names = Array.from({ length: 3000 }, (_none, at) => `file-${at}`)
    for (const name of names) tree.root.add(name)
    assert.deepEqual(
      (await client.list("/")).map(({ name }) => name),
      names,
    )
    client.close()
  })

  test(`${dialect}: a waiting read is withdrawn and takes nothing`, async () => {
    const { client, tree } = await joined(dialect)
    const { pipe } = tree.root.add("pipe", "pipe")
    const [reader, writer] = [await client.open("/pipe", { read: true }), await client.open("/pipe", { write: true })]
    const abort = new AbortController()
    const reading = reader.read(0, 100, abort.signal)
    await client.stat("/")
    assert.equal(pipe.waitingReads, 1)
    abort.abort(new Error("no longer"))
    await assert.rejects(reading, /no longer/)
    assert.equal(pipe.waitingReads, 0)
    const writing = writer.write(0, Buffer.from("kept"))
    assert.equal(text(await reader.read(0, 100)), "kept")
    assert.equal(await writing, 4)
    client.close()
  })

  test(`${dialect}: a flush that crosses the answer loses nothing`, async () => {
    const { client, tree } = await joined(dialect)
    tree.root.add("pipe", "pipe")
    const [reader, writer] = [await client.open("/pipe", { read: true }), await client.open("/pipe", { write: true })]
    const read: string[] = []
    let written = 0
    for (let turn = 0; turn < 200; turn++) {
      const abort = new AbortController()
      const reading = reader.read(0, 100, abort.signal)
      const writing = writer.write(0, Buffer.from(`m${turn}`))
      for (let ticks = turn % 12; ticks > 0; ticks--) await Promise.resolve()
      abort.abort(new Error("no longer"))
      try {
        read.push(text(await reading))
      } catch {
        read.push(text(await reader.read(0, 100)))
      }
      written += await writing
    }
    assert.deepEqual(
      read,
      Array.from({ length: 200 }, (_none, turn) => `m${turn}`),
    )
    assert.equal(written, read.join("").length)
    client.close()
  })
}

test("many requests of many files are under way at once", async () => {
  const { client, tree } = await joined("9P2000.L")
  const content = "0123456789abcdef".repeat(4096)
  for (let at = 0; at < 20; at++) tree.root.add(`f${at}`, "file", `${at} ${content}`)
  const read = await Promise.all(
    Array.from({ length: 20 }, async (_none, at) => {
      const file = await client.open(`/f${at}`, { read: true })
      const whole = await file.readAll(100_000)
      await file.clunk()
      return text(whole)
    }),
  )
  for (const [at, whole] of read.entries()) assert.equal(whole, `${at} ${content}`)
  client.close()
})

test("a lost link tells the server that its files are gone, and the client that nobody knows", async () => {
  const { client, tree, pair } = await joined("9P2000.L")
  tree.root.add("pipe", "pipe")
  const reader = await client.open("/pipe", { read: true })
  const lost = assert.rejects(reader.read(0), LinkLostError)
  await client.stat("/")
  pair.cut()
  await lost
  await assert.rejects(reader.clunk(), LinkLostError)
  assert.deepEqual(tree.counts, { opened: 1, closed: 0, gone: 1 })
})
