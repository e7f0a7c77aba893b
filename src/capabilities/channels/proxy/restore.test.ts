/** What a client sees of files whose server has forgotten them, beyond their paths: streams, choices, folders, renames. */

import assert from "node:assert/strict"
import { afterEach, describe, it } from "node:test"
import { bytePair } from "../../../../test/kit/byte-links.ts"
import { CutUpstream } from "../../../../test/kit/cut-upstream.ts"
import type { CutKind } from "../../../../test/kit/cut-upstream.ts"
import { RamTree, sampleTree } from "../../../../test/kit/ram-tree.ts"
import type { RamNode } from "../../../../test/kit/ram-tree.ts"
import { systemClock } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import { silentLog } from "../../../base/log.ts"
import { SeededRandom } from "../../../base/random.ts"
import { NinepClient } from "../../../ninep/client.ts"
import { messageType } from "../../../ninep/message.ts"
import type { Dialect, Rreaddir } from "../../../ninep/message.ts"
import type { Tree } from "../../../ninep/tree.ts"
import { Space } from "../core/space.ts"
import { ChannelTree } from "../files/channel-tree.ts"
import { Conversation } from "./conversation.ts"
import { defaultProxyLimits } from "./limits.ts"

const hastyClock: Clock = {
  ...systemClock,
  after: (delayMs, callback) => systemClock.after(delayMs / 100, callback),
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const bytes = (from: string) => new Uint8Array(Buffer.from(from))
const dialects: readonly Dialect[] = ["9P2000", "9P2000.u", "9P2000.L"]

interface Rig {
  readonly client: NinepClient
  readonly upstream: CutUpstream
  /** The server is lost, and back at once. */
  readonly lose: () => Promise<void>
}

const atEnd: (() => void)[] = []

async function rig(
  tree: () => Tree,
  dialect: Dialect = "9P2000.L",
  cuts: { at: number; kind: CutKind }[] = [],
): Promise<Rig> {
  const upstream = new CutUpstream(tree, cuts)
  const pair = bytePair()
  const conversation = new Conversation({
    client: pair.b,
    upstream,
    limits: defaultProxyLimits,
    clock: hastyClock,
    log: silentLog,
    onEnd: () => undefined,
  })
  const client = await NinepClient.connect({ link: pair.a, dialects: [dialect] })
  atEnd.push(() => client.close())
  const lose = async () => {
    const { losses } = conversation.status()
    upstream.cut()
    await until(() => conversation.status().losses > losses && conversation.status().state === "live", "it is back")
  }
  return { client, upstream, lose }
}

async function until(look: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 3_000
  while (!look()) {
    if (performance.now() > end) throw new Error(`Not within 3 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Each connection meets a server that was started anew, with a buffered channel of the same name. */
function killed(): { tree: () => Tree; spaces: Space[] } {
  const spaces: Space[] = []
  const tree = () => {
    const space = new Space({ clock: systemClock, random: new SeededRandom(1), defaults: { size: 8 } })
    space.create("/c")
    spaces.push(space)
    return new ChannelTree({ space })
  }
  return { tree, spaces }
}

async function send(client: NinepClient, ...messages: string[]): Promise<void> {
  const writer = await client.open("/c.d/send", { write: true })
  for (const message of messages) await writer.write(0, bytes(message))
  await writer.clunk()
}

describe("after the loss of a server", () => {
  afterEach(() => {
    for (const end of atEnd.splice(0)) end()
  })

  for (const dialect of dialects) {
    it(`a message that was read ends where it ended, and the next one follows, over ${dialect}`, async () => {
      const { client, lose } = await rig(killed().tree, dialect)
      await send(client, "first")
      const reader = await client.open("/c.d/recv", { read: true })
      assert.equal(text(await reader.read(0)), "first")
      await lose()
      const ending = reader.read(5)
      assert.equal((await ending).length, 0)
      const next = reader.read(5)
      await send(client, "second")
      assert.equal(text(await next), "second")
      assert.equal((await reader.read(11)).length, 0)
    })
  }

  it("a message that was read in part is told to be broken, once", async () => {
    const { client, lose } = await rig(killed().tree)
    await send(client, "0123456789")
    const reader = await client.open("/c.d/recv", { read: true })
    assert.equal(text(await reader.read(0, 4)), "0123")
    await lose()
    await assert.rejects(reader.read(4, 4), { errno: "EIO" })
    const next = reader.read(4, 20)
    await send(client, "whole")
    assert.equal(text(await next), "whole")
  })

  it("a file that gives one message does not give another one", async () => {
    const { client, lose } = await rig(killed().tree)
    await send(client, "only")
    const reader = await client.open("/c.d/next", { read: true })
    assert.equal(text(await reader.read(0)), "only")
    assert.equal((await reader.read(4)).length, 0)
    await lose()
    await send(client, "another")
    for (let round = 0; round < 3; round++) assert.equal((await reader.read(4)).length, 0)
    const fresh = await client.open("/c.d/next", { read: true })
    assert.equal(text(await fresh.read(0)), "another")
  })

  it("a select chooses from the cases that were written before, and only once", async () => {
    const { client, lose } = await rig(killed().tree)
    const select = await client.open("/select/clone", { read: true, write: true })
    await select.write(0, bytes("/c?\n"))
    await lose()
    const choosing = select.read(0)
    await lose()
    await send(client, "chosen")
    assert.equal(text(await choosing), "/c?\tchosen")
    await lose()
    for (let round = 0; round < 2; round++) assert.equal((await select.read(10)).length, 0)
    await select.write(0, bytes("/c?\ndefault\n"))
    assert.equal(text(await select.read(10)), "default\n")
  })

  it("what was put into a message before is part of it, unless it was committed", async () => {
    const { client, lose, upstream } = await rig(killed().tree)
    const put = await client.open("/c.d/put", { write: true })
    await put.write(0, bytes("committed"))
    await put.sync()
    await put.write(9, bytes("one, "))
    await lose()
    upstream.isAway = true
    upstream.cut()
    const writing = put.write(14, bytes("two"))
    upstream.isAway = false
    await writing
    await put.clunk()
    const reader = await client.open("/c.d/recv", { read: true })
    assert.equal(text(await reader.read(0)), "one, two")
  })

  for (const dialect of dialects) {
    it(`a folder is listed on from where it was, over ${dialect}`, async () => {
      const tree = sampleTree()
      const { client, lose } = await rig(() => tree, dialect)
      const folder = await client.open("/many", { read: true })
      const names = new Set<string>()
      const part = { type: "Treaddir", tag: 0, fid: folder.fid, count: 4_096 } as const
      let offset: number | bigint = 0
      for (let round = 0; ; round++) {
        if (dialect === "9P2000.L") {
          const { entries }: Rreaddir = await client.calls.ask({ ...part, offset })
          if (entries.length === 0) break
          for (const { name } of entries) names.add(name)
          offset = entries.at(-1)?.offset ?? offset
        } else {
          const data = await folder.read(Number(offset), 4_096)
          if (data.length === 0) break
          for (const [name] of text(data).matchAll(/file-\d{3}/g)) names.add(name)
          offset = Number(offset) + data.length
        }
        if (round % 3 === 1) await lose()
      }
      assert.equal([...names].filter((name) => name.startsWith("file-")).length, 500)
    })
  }

  for (const kind of ["before", "unanswered"] as const) {
    it(`a rename without an answer is a rename, when the server was lost ${kind}`, async () => {
      const tree = new RamTree()
      const folder = tree.root.add("old", "folder")
      folder.add("file", "file", "content")
      const { client, upstream } = await rig(() => tree, "9P2000.u")
      const inside = await client.open("/old/file", { read: true })
      const file = await client.walk("/old")
      upstream.cutNext(kind)
      await file.change({ name: "new" })
      assert.deepEqual([...tree.root.children.keys()], ["new"])
      assert.equal(text(await inside.read(0, 100)), "content")
      upstream.cut()
      assert.equal(text(await inside.read(3, 100)), "tent")
      assert.equal((await file.attributes()).isFolder, true)
    })

    it(`a removal without an answer is a removal, when the server was lost ${kind}`, async () => {
      const tree = sampleTree()
      const { client, upstream } = await rig(() => tree)
      const file = await client.walk("/hello")
      upstream.cutNext(kind)
      await file.remove()
      assert.equal(tree.root.children.has("hello"), false)
      await assert.rejects(client.stat("/hello"), { errno: "ENOENT" })
    })

    it(`a folder without an answer is made once, when the server was lost ${kind}`, async () => {
      const tree = new RamTree()
      const { client, upstream } = await rig(() => tree)
      const mkdir = { type: "Tmkdir", tag: 0, dfid: client.root.fid, name: "made", mode: 0o755, gid: 0 } as const
      upstream.cutNext(kind)
      const { qid } = await client.calls.ask(mkdir)
      assert.equal(qid.path, (tree.root.children.get("made") as RamNode).qid.path)
      await assert.rejects(client.calls.ask(mkdir), { errno: "EEXIST" })
    })
  }

  it("a client that begins anew has nothing of before", async () => {
    const tree = sampleTree()
    const { client, upstream, lose } = await rig(() => tree)
    await client.open("/hello", { read: true })
    await lose()
    const version = await client.calls.ask({ type: "Tversion", tag: 0xffff, msize: 8_192, version: "9P2000.L" })
    assert.equal(version.msize, 8_192)
    const root = await client.attach()
    assert.equal(text(await (await opened(root.walk(["hello"]))).read(0, 5)), "hello")
    upstream.types.length = 0
    await lose()
    // The root, and the file that was opened since.
    assert.deepEqual(
      upstream.types.filter((type) => type === messageType.Tattach || type === messageType.Tlopen),
      [messageType.Tattach, messageType.Tlopen],
    )
  })

  it("paths of more than sixteen names are walked", async () => {
    const tree = new RamTree()
    let node = tree.root
    const names = Array.from({ length: 40 }, (_, at) => `deep-${at}`)
    for (const name of names) node = node.add(name, "folder")
    node.add("file", "file", "bottom")
    const { client, lose } = await rig(() => tree)
    const file = await client.open(`/${names.join("/")}/file`, { read: true })
    await lose()
    assert.equal(text(await file.read(0, 100)), "bottom")
  })
})

async function opened(walking: ReturnType<NinepClient["root"]["walk"]>): ReturnType<NinepClient["root"]["walk"]> {
  const file = await walking
  await file.open({ read: true })
  return file
}
