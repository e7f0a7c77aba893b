import assert from "node:assert/strict"
import { test } from "node:test"
import { ChannelFiles } from "../../../../test/kit/channel-files.ts"
import { OpenFile, walkTo } from "../../../../test/kit/open-file.ts"
import { qidType } from "../../../ninep/tree.ts"
import type { Node } from "../../../ninep/tree.ts"
import type { Identify } from "./identity.ts"
import { roles } from "./role-name.ts"

const writeOnly = { read: false, write: true, truncate: false, append: false }

test("as with dchan: mkdir, touch, echo, cat", async () => {
  const files = await ChannelFiles.make()
  const folder = await files.root.makeFolder("data", 0o755)
  const { handle } = await folder.create("input", 0o644, writeOnly)
  await handle.close(false)
  const sent = (await files.open("/data/input", "w")).twrite("hello\n")
  assert.equal(await (await files.open("/data/input")).read(), "hello\n")
  assert.equal(sent.state, "ok")
})

test("a folder lists its channels, each with its folder of role files; the root has ctl and select", async () => {
  const files = await ChannelFiles.make()
  files.space.makeFolder("/data")
  files.space.create("/data/input")
  assert.deepEqual(await names(files.root), ["ctl", "select", "data"])
  assert.deepEqual(await names(await walkTo(files.root, "/data")), ["input", "input.d"])
  assert.deepEqual(await names(await walkTo(files.root, "/data/input.d")), [...roles])
  assert.deepEqual(await names(await walkTo(files.root, "/select")), ["clone"])
})

test("everything is a regular file or a folder, without a version, and with a number of its own", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/a")
  files.space.create("/b")
  const paths = ["/", "/ctl", "/select", "/select/clone", "/select/x", "/a", "/a.d", "/b", "/b.d", "/a.d/recv@1"]
  for (const channel of ["a", "b"]) for (const role of roles) paths.push(`/${channel}.d/${role}`)
  const qids = await Promise.all(paths.map(async (path) => (await walkTo(files.root, path)).qid))
  assert.equal(new Set(qids.map((qid) => qid.path)).size, paths.length)
  for (const { type, version } of qids) {
    assert.equal(version, 0)
    assert.ok(type === qidType.file || type === qidType.folder)
  }
  assert.deepEqual((await walkTo(files.root, "/a.d/recv@1")).qid, qids[9], "the same inode each time")
})

test("a channel that was removed and made again is another file", async () => {
  const files = await ChannelFiles.make()
  const first = files.space.create("/c").id
  const { qid } = await walkTo(files.root, "/c")
  const stale = await walkTo(files.root, "/c.d/send")
  await (await walkTo(files.root, "/c")).remove(false)
  assert.notEqual(files.space.create("/c").id, first)
  assert.notEqual((await walkTo(files.root, "/c")).qid.path, qid.path)
  await assert.rejects(async () => stale.open(writeOnly), { errno: "EIDRM" })
})

test("nothing is made in a folder that was removed, though another one of its name is there", async () => {
  const files = await ChannelFiles.make()
  files.space.makeFolder("/data", { uid: 1000 })
  const stale = await walkTo(files.root, "/data")
  files.space.remove("/data")
  files.space.makeFolder("/data", { uid: 7, permissions: 0o700 })
  await assert.rejects(async () => stale.create("input", 0o644, writeOnly), { errno: "ENOENT" })
  await assert.rejects(async () => stale.makeFolder("more", 0o755), { errno: "ENOENT" })
})

test("a user's name is as long as a name can be", async () => {
  const files = await ChannelFiles.make()
  const attach = (name: string) => files.tree.attach({ user: { name, uid: 1 }, aname: "" })
  await attach("n".repeat(255))
  await assert.rejects(attach("n".repeat(256)), { errno: "ENAMETOOLONG" })
})

test("names ending in .d, reserved names and taken names cannot be made", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  const errnoOf = async (name: string) => {
    try {
      await files.root.create(name, 0o666, writeOnly)
      return "none"
    } catch (error) {
      return (error as { errno: string }).errno
    }
  }
  assert.deepEqual(await Promise.all(["x.d", "ctl", "select", "c", "c.d", "new"].map(errnoOf)), [
    "EINVAL",
    "EEXIST",
    "EEXIST",
    "EEXIST",
    "EEXIST",
    "none",
  ])
  await assert.rejects(async () => files.root.makeFolder("y.d", 0o755), { errno: "EINVAL" })
  await assert.rejects(async () => (await walkTo(files.root, "/c.d")).create("x", 0o666, writeOnly), { errno: "EPERM" })
})

test("rm and rmdir take what they are for, and role files stay", async () => {
  const files = await ChannelFiles.make()
  files.space.makeFolder("/data")
  files.space.create("/data/input")
  const remove = async (path: string, folder?: boolean) => (await walkTo(files.root, path)).remove(folder)
  await assert.rejects(remove("/data", true), { errno: "ENOTEMPTY" })
  await assert.rejects(remove("/data", false), { errno: "EISDIR" })
  await assert.rejects(remove("/data/input", true), { errno: "ENOTDIR" })
  await assert.rejects(remove("/data/input.d", true), { errno: "EPERM" })
  await assert.rejects(remove("/data/input.d/send", false), { errno: "EPERM" })
  await assert.rejects(remove("/ctl"), { errno: "EPERM" })
  await assert.rejects(remove("/"), { errno: "EBUSY" })
  await remove("/data/input")
  await remove("/data", true)
  assert.deepEqual(await names(files.root), ["ctl", "select"])
})

test("rm while a write and a read wait tells both", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/a")
  files.space.create("/b")
  const waiting = [(await files.open("/a")).tread(0, 10), (await files.open("/b", "w")).twrite("x")]
  for (const path of ["/a", "/b"]) await (await walkTo(files.root, path)).remove()
  assert.deepEqual(
    waiting.map(({ state }) => state),
    ["EIDRM", "EIDRM"],
  )
})

test("touch, truncate and chmod pass; mv does not; chown is for admins", async () => {
  const files = await ChannelFiles.make({ identify: identities })
  const root = await files.tree.attach({ user: { name: "ann", uid: 1000 }, aname: "" })
  await root.makeFolder("data", 0o755)
  const { node } = await (await walkTo(root, "/data")).create("c", 0o644, writeOnly)
  await node.change({ length: 0, modified: 5, accessed: 5 })
  await node.change({ permissions: 0o600 })
  await node.change({ uid: 1000, gid: 1000 })
  await assert.rejects(async () => node.change({ name: "d" }), { errno: "EPERM" })
  await assert.rejects(async () => node.change({ uid: 0 }), { errno: "EPERM" })
  assert.equal((await node.attributes()).permissions, 0o600)
  const admin = await files.tree.attach({ user: { name: "root", uid: 0 }, aname: "" })
  await (await walkTo(admin, "/data/c")).change({ uid: 7 })
  const { uid, user } = await node.attributes()
  assert.deepEqual([uid, user], [7, "7"])
  await assert.rejects(async () => (await walkTo(admin, "/data/c.d/send")).change({ permissions: 0 }), {
    errno: "EPERM",
  })
})

test("permission bits hold: read is receive, write is send, a folder's write makes and removes", async () => {
  const files = await ChannelFiles.make({ identify: identities })
  const attach = async (name: string, uid: number) => files.tree.attach({ user: { name, uid }, aname: "" })
  const [ann, bob, root] = [await attach("ann", 1000), await attach("bob", 1001), await attach("root", 0)]
  await ann.makeFolder("data", 0o755)
  const { node } = await (await walkTo(ann, "/data")).create("c", 0o640, writeOnly)
  const opens = async (from: Node, path: string, how: "r" | "w") => {
    try {
      await (await OpenFile.open(from, path, how)).close()
      return true
    } catch (error) {
      assert.match((error as { errno: string }).errno, /EACCES|EPERM/)
      return false
    }
  }
  const can = async (from: Node) =>
    Promise.all([
      opens(from, "/data/c", "r"),
      opens(from, "/data/c", "w"),
      opens(from, "/data/c.d/recv", "r"),
      opens(from, "/data/c.d/put", "w"),
      opens(from, "/data/c.d/ack", "w"),
      opens(from, "/data/c.d/ctl", "w"),
    ])
  assert.deepEqual(await can(ann), [true, true, true, true, true, true])
  assert.deepEqual(await can(bob), [false, false, false, false, false, false])
  await node.change({ permissions: 0o644 })
  assert.deepEqual(await can(bob), [true, false, true, false, true, false])
  await node.change({ permissions: 0o622 })
  assert.deepEqual(await can(bob), [false, true, false, true, false, false])
  assert.deepEqual(await can(root), [true, true, true, true, true, true])
  await assert.rejects(async () => (await walkTo(bob, "/data")).create("d", 0o666, writeOnly), { errno: "EACCES" })
  await assert.rejects(async () => (await walkTo(bob, "/data/c")).remove(), { errno: "EACCES" })
  await assert.rejects(async () => (await walkTo(bob, "/data/c")).change({ permissions: 0o777 }), { errno: "EPERM" })
  await assert.rejects(async () => (await OpenFile.open(bob, "/ctl", "w")).write("/data/c 5"), /EPERM/)
  await (await walkTo(ann, "/data")).change({ permissions: 0o700 })
  await assert.rejects(walkTo(bob, "/data/c"), { errno: "EACCES" })
})

test("an identity sees the space from its prefix on, and no further than it may", async () => {
  const files = await ChannelFiles.make({ identify: identities })
  files.space.makeFolder("/team")
  files.space.create("/team/in")
  files.space.create("/other")
  const root = await files.tree.attach({ user: { name: "guest", uid: 5 }, aname: "/team" })
  assert.deepEqual(await names(root), ["ctl", "select", "in", "in.d"])
  assert.equal((await root.parent()).qid.path, root.qid.path)
  const ctl = await OpenFile.open(root, "/ctl", "r")
  assert.match(await ctl.read(), /^\/in\t0\t0\t0\t0\.00\t0\.00\n$/)
  await OpenFile.open(root, "/in", "r")
  await assert.rejects(OpenFile.open(root, "/in", "w"), { errno: "EACCES" })
  await assert.rejects(async () => files.tree.attach({ user: { name: "guest", uid: 5 }, aname: "/nowhere" }), {
    errno: "ENOENT",
  })
})

test("role files show what their channel allows", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c", { permissions: 0o640 })
  const modes = await Promise.all(
    roles.map(async (role) => (await (await walkTo(files.root, `/c.d/${role}`)).attributes()).permissions.toString(8)),
  )
  assert.deepEqual(modes, ["200", "440", "440", "200", "440", "440", "440", "220", "644", "444"])
})

test("a role file opens in its direction alone", async () => {
  const files = await ChannelFiles.make()
  files.space.create("/c")
  for (const role of ["send", "put", "ack"]) await assert.rejects(files.open(`/c.d/${role}`, "r"), { errno: "EACCES" })
  for (const role of ["recv", "next", "peek", "tail", "take", "stat"]) {
    await assert.rejects(files.open(`/c.d/${role}`, "w"), { errno: "EACCES" })
  }
  await (await files.open("/c.d/ctl", "rw")).close()
})

async function names(node: Node): Promise<string[]> {
  const handle = await node.open({ read: true, write: false, truncate: false, append: false })
  return ((await handle.list?.()) ?? []).map(({ name }) => name)
}

/** root is an admin, guest may only receive, and the attach name is where one begins. */
const identities: Identify = ({ user, aname }) => ({
  name: user.name,
  uid: user.uid ?? 65_534,
  gid: user.uid ?? 65_534,
  groups: [],
  admin: user.name === "root" || user.name === "guest",
  prefix: aname === "" ? "/" : aname,
  mayReceive: () => true,
  maySend: () => user.name !== "guest",
})
