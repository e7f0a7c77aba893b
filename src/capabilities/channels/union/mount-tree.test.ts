import assert from "node:assert/strict"
import { afterEach, describe, it } from "node:test"
import { CutUpstream } from "../../../../test/kit/cut-upstream.ts"
import { RamTree, sampleTree } from "../../../../test/kit/ram-tree.ts"
import type { RamNode } from "../../../../test/kit/ram-tree.ts"
import { serveTree } from "../../../../test/kit/served-tree.ts"
import type { ServedTree } from "../../../../test/kit/served-tree.ts"
import { systemClock } from "../../../base/clock.ts"
import type { Clock } from "../../../base/clock.ts"
import { silentLog } from "../../../base/log.ts"
import { SeededRandom } from "../../../base/random.ts"
import type { Dialect } from "../../../ninep/message.ts"
import type { Tree } from "../../../ninep/tree.ts"
import { Space } from "../core/space.ts"
import { ChannelTree } from "../files/channel-tree.ts"
import { identifyAnyone } from "../files/identity.ts"
import type { Identify } from "../files/identity.ts"
import { MountTree } from "./mount-tree.ts"
import { RemoteSession } from "./remote-session.ts"

const dialects: readonly Dialect[] = ["9P2000", "9P2000.u", "9P2000.L"]
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const bytes = (from: string) => new Uint8Array(Buffer.from(from))

/** Nothing but timers keeps this process. */
const clock: Clock = {
  ...systemClock,
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
}

interface Joined extends ServedTree {
  readonly upstream: CutUpstream
  readonly session: RemoteSession
}

interface JoinOptions {
  readonly prefix?: readonly string[]
  readonly dialect?: Dialect
  readonly identify?: Identify
  readonly patienceMs?: number
  readonly aname?: string
}

/** The other tree is bound into the base. */
async function join(base: Tree, other: Tree, options: JoinOptions = {}): Promise<Joined> {
  const { prefix = ["team-b"], dialect = "9P2000.L", identify = identifyAnyone, patienceMs = 2_000 } = options
  const upstream = new CutUpstream(() => other)
  const session = new RemoteSession({ upstream, clock, log: silentLog, patienceMs })
  const tree = new MountTree(base, [{ prefix, session }], identify)
  const served = await serveTree(tree, { dialects: [dialect], user: "ann", uid: 7, aname: options.aname ?? "" })
  atEnd.push(() => {
    served.client.close()
    session.drop()
  })
  return { ...served, upstream, session }
}

const atEnd: (() => void)[] = []

function channels(): { space: Space; tree: ChannelTree } {
  const space = new Space({ clock: systemClock, random: new SeededRandom(1) })
  return { space, tree: new ChannelTree({ space }) }
}

async function until(look: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 3_000
  while (!look()) {
    if (performance.now() > end) throw new Error(`Not within 3 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

describe("a tree with another one bound into it", () => {
  afterEach(() => {
    for (const end of atEnd.splice(0)) end()
  })

  for (const dialect of dialects) {
    it(`is one tree for its clients, over ${dialect}`, async () => {
      const [base, other] = [sampleTree(), sampleTree()]
      const joined = await join(base, other, { dialect })
      const { client } = joined
      const names = async (path: string) => (await client.list(path)).map(({ name }) => name).sort()
      assert.deepEqual(await names("/"), ["deep", "empty", "hello", "long", "many", "pipe", "team-b"])
      assert.deepEqual(await names("/team-b"), ["deep", "empty", "hello", "long", "many", "pipe"])
      assert.equal((await names("/team-b/many")).length, 500)
      const file = await client.open("/team-b/deep/er/est", { read: true })
      assert.equal(text(await file.readAll(100)), "bottom\n")
      await file.clunk()
      await (await client.create("/team-b/deep/new", 0o640, { write: true })).clunk()
      await client.mkdir("/team-b/made")
      assert.ok((other.root.children.get("deep") as RamNode).children.has("new"))
      assert.equal(base.root.children.has("made"), false)
      assert.equal((await client.stat("/team-b/deep/new")).permissions, 0o640)
      await client.change("/team-b/deep/new", { permissions: 0o600 })
      assert.equal((await client.stat("/team-b/deep/new")).permissions, 0o600)
      await client.remove("/team-b/deep/new")
      await assert.rejects(client.open("/team-b/deep/new", { read: true }), { errno: "ENOENT" })
      await assert.rejects(client.mkdir("/team-b"), { errno: "EEXIST" })
      const up = await (await client.walk("/team-b/deep")).walk(["..", "..", "hello"])
      assert.equal(up.qid.path, (await client.stat("/hello")).qid.path)
      assert.notEqual((await client.stat("/team-b/hello")).qid.path, (await client.stat("/hello")).qid.path)
    })
  }

  it("passes the user's name on, and attaches each user once", async () => {
    const other = sampleTree()
    const joined = await join(sampleTree(), other)
    const bob = await joined.client.attach({ user: "bob", uid: 8 })
    for (let round = 0; round < 3; round++) {
      await joined.client.stat("/team-b/hello")
      await (await bob.walk(["team-b", "hello"])).clunk()
    }
    assert.deepEqual(
      other.attached.map(({ user }) => [user.name, user.uid]),
      [
        ["ann", 7],
        ["bob", 8],
      ],
    )
  })

  it("shows folders that only lead to a binding", async () => {
    const joined = await join(new RamTree(), sampleTree(), { prefix: ["org", "team", "b"] })
    assert.deepEqual(
      (await joined.client.list("/")).map(({ name }) => name),
      ["org"],
    )
    assert.deepEqual(
      (await joined.client.list("/org/team")).map(({ name }) => name),
      ["b"],
    )
    assert.equal((await joined.client.stat("/org/team/b/hello")).length, 13)
    await assert.rejects(joined.client.create("/org/x", 0o600, {}), { errno: "EACCES" })
  })

  it("holds nothing up behind a blocked call, and withdraws it upstream", async () => {
    const other = sampleTree()
    const joined = await join(sampleTree(), other)
    const { client } = joined
    const pipe = (other.root.children.get("pipe") as RamNode).pipe
    const file = await client.open("/team-b/pipe", { read: true })
    const signal = new AbortController()
    const reading = file.read(0, 10, signal.signal)
    await until(() => pipe.waitingReads === 1, "the read waits")
    assert.equal((await client.stat("/team-b/hello")).length, 13)
    signal.abort(new Error("enough"))
    await assert.rejects(reading, /enough/)
    assert.equal(pipe.waitingReads, 0)
    const writer = await client.open("/team-b/pipe", { write: true })
    const writing = writer.write(0, bytes("hi"))
    assert.equal(text(await file.read(0, 10)), "hi")
    assert.equal(await writing, 2)
  })

  it("lets blocked calls wait while the other server is away, and tells others in time", async () => {
    const other = sampleTree()
    const joined = await join(sampleTree(), other, { patienceMs: 50 })
    const { client, upstream, session } = joined
    const pipe = (other.root.children.get("pipe") as RamNode).pipe
    const file = await client.open("/team-b/pipe", { read: true })
    const reading = file.read(0, 10)
    await until(() => pipe.waitingReads === 1, "the read waits")
    upstream.isAway = true
    upstream.cut()
    await until(() => session.status().state === "away", "it is away")
    const root = await client.walk("/team-b")
    await assert.rejects(root.walk(["hello"]), { errno: "ETIMEDOUT" })
    assert.equal((await client.stat("/hello")).length, 13)
    assert.ok((await client.list("/")).some(({ name }) => name === "team-b"))
    upstream.isAway = false
    await until(() => pipe.waitingReads === 1, "the read waits again")
    await (await client.open("/team-b/pipe", { write: true })).write(0, bytes("hi"))
    assert.equal(text(await reading), "hi")
  })

  it("gives a message back that its client was lost with", async () => {
    const other = channels()
    other.space.create("/jobs")
    const [first, second] = [await join(channels().tree, other.tree), await join(channels().tree, other.tree)]
    const writer = await second.client.open("/team-b/jobs.d/send", { write: true })
    let isSent = false
    const sending = writer.write(0, bytes("job")).then(() => (isSent = true))
    const lost = await first.client.open("/team-b/jobs.d/recv", { read: true })
    assert.equal(text(await lost.read(0)), "job")
    first.lose()
    const reader = await second.client.open("/team-b/jobs.d/recv", { read: true })
    assert.equal(text(await reader.read(0)), "job")
    assert.equal(isSent, false)
    await reader.clunk()
    await sending
  })

  it("keeps the boundaries of messages that fill a request", async () => {
    const other = channels()
    other.space.create("/jobs", {}, { size: 4 })
    const upstream = new CutUpstream(() => other.tree)
    const session = new RemoteSession({ upstream, clock, log: silentLog })
    const tree = new MountTree(channels().tree, [{ prefix: ["b"], session }], identifyAnyone)
    const { client } = await serveTree(tree, { msize: 8_192 })
    const most = 8_192 - 24
    const writer = await client.open("/b/jobs.d/send", { write: true })
    await writer.write(0, new Uint8Array(most).fill(1))
    await writer.write(most, bytes("next"))
    const reader = await client.open("/b/jobs.d/recv", { read: true })
    let at = 0
    for (let part = await reader.read(at, most); part.length > 0; part = await reader.read(at, most)) at += part.length
    assert.equal(at, most)
    assert.equal(text(await reader.read(at, most)), "next")
    atEnd.push(() => session.drop())
    client.close()
  })

  it("asks the identity what its rules say of the channel behind the binding", async () => {
    const other = channels()
    other.space.create("/jobs", {}, { size: 4 })
    const identify: Identify = async (request) => ({
      ...(await identifyAnyone(request)),
      mayReceive: (path) => path === "/team-b/jobs",
      maySend: () => false,
    })
    const joined = await join(channels().tree, other.tree, { identify })
    await (await joined.client.open("/team-b/jobs.d/recv", { read: true })).clunk()
    await assert.rejects(joined.client.open("/team-b/jobs.d/send", { write: true }), { errno: "EACCES" })
    await assert.rejects(joined.client.create("/team-b/more", 0o600, { write: true }), { errno: "EACCES" })
    await assert.rejects(joined.client.remove("/team-b/jobs"), { errno: "EACCES" })
  })

  it("takes both rights for settings and selects, and that of receivers for an acknowledgement", async () => {
    const other = channels()
    other.space.create("/jobs")
    const as = async (rights: string) =>
      join(channels().tree, other.tree, {
        identify: async (request) => ({
          ...(await identifyAnyone(request)),
          mayReceive: () => rights.includes("r"),
          maySend: () => rights.includes("w"),
        }),
      })
    const [sends, receives] = [await as("w"), await as("r")]
    for (const path of ["/team-b/jobs.d/ctl", "/team-b/ctl", "/team-b/select/x", "/team-b/jobs.d/ack"])
      await assert.rejects(sends.client.open(path, { write: true }), { errno: "EACCES" }, path)
    await (await receives.client.open("/team-b/jobs.d/ack", { write: true })).clunk()
    await assert.rejects(receives.client.open("/team-b/jobs.d/ctl", { write: true }), { errno: "EACCES" })
  })

  it("does not let a root with .. in its path out of what the rules name", async () => {
    const joined = join(channels().tree, sampleTree(), { aname: "/team-b/deep/.." })
    await assert.rejects(joined, { errno: "ENOENT" })
  })

  it("keeps a user whose root lies in the bound tree below it", async () => {
    const joined = await join(channels().tree, sampleTree(), { aname: "/team-b/deep" })
    assert.deepEqual(
      (await joined.client.list("/")).map(({ name }) => name),
      ["er"],
    )
    const root = await joined.client.root.walk(["er", "..", "..", ".."])
    assert.equal(root.qid.path, joined.client.root.qid.path)
  })

  it("ends at its own depth when a tree is bound into itself", async () => {
    const upstream = new CutUpstream(() => own)
    const sessions: RemoteSession[] = []
    const make = (): Tree => {
      const session = new RemoteSession({ upstream, clock, log: silentLog })
      sessions.push(session)
      return new MountTree(sampleTree(), [{ prefix: ["self"], session }], identifyAnyone)
    }
    const own: Tree = { attach: (request) => make().attach(request) }
    const { client } = await serveTree(make())
    assert.equal((await client.stat("/self/self/self/hello")).length, 13)
    await assert.rejects(client.stat(Array.from({ length: 60 }, () => "self").join("/")))
    client.close()
    for (const session of sessions) session.drop()
  })
})
