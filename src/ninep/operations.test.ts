import assert from "node:assert/strict"
import { test } from "node:test"
import { answerOf, RawNinep } from "../../test/kit/raw-ninep.ts"
import { RamTree, sampleTree } from "../../test/kit/ram-tree.ts"
import { entryType, linuxOpen, openMode, permissionBits, setattrBits } from "./bits.ts"
import { errnos } from "./errno.ts"
import type { ErrnoName } from "./errno.ts"
import { NOFID } from "./message.ts"
import type { FolderEntry, Request, Stat } from "./message.ts"
import { decodeStats } from "./stat-record.ts"
import type { Attributes } from "./tree.ts"

const walk = (fid: number, newfid: number, ...wname: string[]): Request => ({
  type: "Twalk",
  tag: 9,
  fid,
  newfid,
  wname,
})
const getattr = (fid: number): Request => ({ type: "Tgetattr", tag: 8, fid, requestMask: 0x7ff })
const attach = (fid: number, aname = "", afid = NOFID): Request => ({
  type: "Tattach",
  tag: 9,
  fid,
  afid,
  uname: "who",
  aname,
  nUname: 0xffff_ffff,
})
const is = (talk: RawNinep, message: Request, errno: ErrnoName) =>
  assert.equal(talk.errno(message), errnos[errno].number)
const untouched: Stat = {
  type: 0xffff,
  dev: 0xffff_ffff,
  qid: { type: 0xff, version: 0xffff_ffff, path: 2n ** 64n - 1n },
  mode: 0xffff_ffff,
  atime: 0xffff_ffff,
  mtime: 0xffff_ffff,
  length: 2n ** 64n - 1n,
  name: "",
  uid: "",
  gid: "",
  muid: "",
}

test("an attach tells the tree who comes and where to, and its fid must be new", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree)
  is(talk, attach(0), "EBADF")
  is(talk, attach(NOFID), "EBADF")
  is(talk, attach(1, "", 5), "EBADF")
  is(talk, attach(1, "forbidden"), "EACCES")
  talk.expect("Rattach", attach(1, "a/tree"))
  assert.deepEqual(tree.attached, [
    { user: { name: "glenda", uid: 1000 }, aname: "" },
    { user: { name: "who", uid: undefined }, aname: "a/tree" },
  ])
  const plain = new RawNinep(tree, { dialect: "9P2000" })
  assert.deepEqual(tree.attached.at(-1), { user: { name: "glenda", uid: undefined }, aname: "" })
  is(new RawNinep(tree), { type: "Tauth", tag: 9, afid: 5, uname: "", aname: "", nUname: 0 }, "ENOENT")
  const auth = plain.ask({ type: "Tauth", tag: 9, afid: 5, uname: "", aname: "" })
  assert.equal(answerOf("Rerror", auth).ename, "No such file or directory")
})

test("a walk goes as far as it can, and makes a fid only at the end", () => {
  const talk = new RawNinep(sampleTree())
  const names = (message: Request) => talk.expect("Rwalk", message).wqid.length
  assert.equal(names(walk(0, 1, "deep", "er", "est")), 3)
  assert.equal(talk.expect("Rgetattr", getattr(1)).size, 7)
  assert.equal(names(walk(0, 2, "deep", "er", "no", "way")), 2)
  is(talk, getattr(2), "EBADF")
  assert.equal(names(walk(0, 2, "deep", "er", "est", "more")), 3)
  is(talk, getattr(2), "EBADF")
  is(talk, walk(0, 2, "no", "way"), "ENOENT")
  is(talk, walk(1, 2, "more"), "ENOTDIR")
  is(talk, walk(7, 2), "EBADF")
  is(talk, walk(0, 1), "EBADF")
  is(talk, walk(0, NOFID), "EBADF")
  is(talk, walk(0, 2, "x".repeat(256)), "ENAMETOOLONG")
  assert.equal(names(walk(0, 2)), 0)
  assert.equal(names(walk(2, 2, "deep", "er")), 2)
  assert.equal(names(walk(2, 2, "..", "..", "..", "hello")), 4)
  assert.equal(talk.expect("Rgetattr", getattr(2)).size, 13)
  is(talk, walk(2, 2, "more"), "ENOTDIR")
  assert.equal(talk.expect("Rgetattr", getattr(2)).size, 13)
})

test("a walk takes sixteen names", () => {
  const tree = new RamTree()
  let folder = tree.root
  for (let depth = 0; depth < 16; depth++) folder = folder.add("d", "folder")
  const talk = new RawNinep(tree)
  assert.equal(talk.expect("Rwalk", walk(0, 1, ...Array<string>(16).fill("d"))).wqid.length, 16)
  assert.equal(talk.expect("Rgetattr", getattr(1)).qid.path, folder.qid.path)
})

test("an open fid is not walked to another place; only Linux may walk from it", () => {
  const linux = new RawNinep(sampleTree())
  linux.open(1, "deep", 0)
  is(linux, walk(1, 1, "er"), "EBUSY")
  linux.expect("Rwalk", walk(1, 2, "er"))
  is(linux, { type: "Tlopen", tag: 3, fid: 1, flags: 0 }, "EBUSY")
  const plan9 = new RawNinep(sampleTree(), { dialect: "9P2000" })
  plan9.open(1, "deep", 0)
  assert.equal(plan9.ask(walk(1, 2, "er")).type, "Rerror")
})

test("files are opened for what was asked, and for nothing else", () => {
  const talk = new RawNinep(sampleTree())
  const lopen = (fid: number, flags: number): Request => ({ type: "Tlopen", tag: 3, fid, flags })
  const read = (fid: number): Request => ({ type: "Tread", tag: 3, fid, offset: 0, count: 10 })
  const write = (fid: number): Request => ({ type: "Twrite", tag: 3, fid, offset: 0, data: Uint8Array.of(65) })
  talk.open(1, "hello")
  is(talk, read(1), "EBADF")
  is(talk, write(1), "EBADF")
  talk.expect("Rlopen", lopen(1, linuxOpen.RDONLY))
  talk.expect("Rread", read(1))
  is(talk, write(1), "EBADF")
  talk.open(2, "hello", linuxOpen.WRONLY | linuxOpen.APPEND)
  is(talk, read(2), "EBADF")
  talk.expect("Rwrite", write(2))
  assert.equal(talk.expect("Rgetattr", getattr(2)).size, 14)
  talk.open(3, "deep")
  is(talk, lopen(3, linuxOpen.WRONLY), "EISDIR")
  is(talk, lopen(3, linuxOpen.ACCESS), "EINVAL")
  talk.expect("Rlopen", lopen(3, linuxOpen.DIRECTORY))
  is(talk, read(3), "EISDIR")
  talk.open(4, "hello")
  is(talk, lopen(4, linuxOpen.DIRECTORY), "ENOTDIR")
  talk.expect("Rlopen", lopen(4, linuxOpen.RDWR | linuxOpen.TRUNC))
  talk.expect("Rwrite", write(4))
  assert.equal(talk.expect("Rread", read(4)).data.length, 1)
})

test("Tlcreate makes and opens; what somebody else has just made is opened, but not with O_EXCL", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree)
  const create = (fid: number, name: string, flags: number): Request => ({
    type: "Tlcreate",
    tag: 3,
    fid,
    name,
    // What a Linux with 64 bits sends besides.
    flags: flags | 0o100000,
    mode: 0o100640,
    gid: 0,
  })
  talk.open(1, "deep")
  talk.open(2, "deep")
  talk.open(3, "deep")
  talk.open(4, "hello")
  talk.expect("Rlcreate", create(1, "new", linuxOpen.CREAT | linuxOpen.WRONLY))
  const { mode, nlink, blksize, qid } = talk.expect("Rgetattr", getattr(1))
  assert.deepEqual([mode, nlink, qid.type, qid.version], [0o100640, 1, 0, 0])
  assert(Number(blksize) >= 65536)
  talk.expect("Rlcreate", create(2, "new", linuxOpen.CREAT | linuxOpen.RDONLY))
  is(talk, create(3, "new", linuxOpen.CREAT | linuxOpen.EXCL), "EEXIST")
  is(talk, create(3, "..", linuxOpen.CREAT), "EINVAL")
  is(talk, create(3, "", linuxOpen.CREAT), "EINVAL")
  is(talk, create(4, "x", linuxOpen.CREAT), "ENOTDIR")
  assert.equal(talk.expect("Rgetattr", getattr(3)).mode, 0o040755)
})

test("Tcreate makes files and folders, and no special files", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree, { dialect: "9P2000.u" })
  const create = (fid: number, name: string, perm: number, mode: number): Request => ({
    type: "Tcreate",
    tag: 3,
    fid,
    name,
    perm,
    mode,
    extension: "",
  })
  for (const fid of [1, 2, 3]) talk.open(fid, "deep")
  talk.expect("Rcreate", create(1, "file", 0o644, openMode.OWRITE))
  talk.expect("Rwrite", { type: "Twrite", tag: 3, fid: 1, offset: 0, data: Uint8Array.of(1, 2) })
  assert.equal(talk.expect("Rstat", { type: "Tstat", tag: 3, fid: 1 }).stat.length, 2)
  const made = talk.expect("Rcreate", create(2, "folder", permissionBits.DMDIR | 0o700, openMode.OREAD))
  assert.equal(made.qid.type, 0x80)
  assert.equal(talk.expect("Rread", { type: "Tread", tag: 3, fid: 2, offset: 0, count: 99 }).data.length, 0)
  is(talk, create(3, "file", 0o644, openMode.OWRITE), "EEXIST")
  is(talk, create(3, "x", permissionBits.DMDIR, openMode.OWRITE), "EISDIR")
  is(talk, create(3, "x", permissionBits.DMSYMLINK, openMode.OREAD), "EPERM")
  is(talk, create(3, "x", permissionBits.DMNAMEDPIPE, openMode.OREAD), "EPERM")
  is(talk, create(3, "x", 0, openMode.ORCLOSE), "EOPNOTSUPP")
})

/** Treaddir until it is empty. */
function list(talk: RawNinep, fid: number, count: number): FolderEntry[] {
  const all: FolderEntry[] = []
  for (;;) {
    const offset = all.at(-1)?.offset ?? 0
    const { entries } = talk.expect("Rreaddir", { type: "Treaddir", tag: 3, fid, offset, count })
    if (entries.length === 0) return all
    all.push(...entries)
  }
}

test("Treaddir lists everything once, with . and .., whatever is made and removed meanwhile", () => {
  const tree = sampleTree()
  const many = tree.root.children.get("many")
  assert(many !== undefined)
  const talk = new RawNinep(tree)
  talk.open(1, "many", linuxOpen.DIRECTORY)
  const entries = list(talk, 1, 1000)
  assert.equal(entries.length, 502)
  assert.equal(new Set(entries.map(({ name }) => name)).size, 502)
  assert.deepEqual(
    entries.slice(0, 3).map(({ name, type, qid }) => [name, type, qid.path]),
    [
      [".", entryType.DIRECTORY, many.qid.path],
      ["..", entryType.DIRECTORY, tree.root.qid.path],
      ["file-000", entryType.REGULAR, many.children.get("file-000")?.qid.path],
    ],
  )
  const { entries: first } = talk.expect("Rreaddir", { type: "Treaddir", tag: 3, fid: 1, offset: 0, count: 100 })
  for (const name of ["file-000", "file-001", "file-250"]) many.children.delete(name)
  many.add("new")
  const offset = first.at(-1)?.offset ?? 0
  const { entries: second } = talk.expect("Rreaddir", { type: "Treaddir", tag: 3, fid: 1, offset, count: 100 })
  assert.deepEqual(
    [...first, ...second].map(({ name }) => name),
    [".", "..", "file-000", "file-001", "file-002", "file-003"],
  )
  assert.equal(list(talk, 1, 5000).length, 500)
  is(talk, { type: "Treaddir", tag: 3, fid: 1, offset: 0, count: 10 }, "EINVAL")
  is(talk, { type: "Treaddir", tag: 3, fid: 0, offset: 0, count: 1000 }, "EBADF")
})

test("a folder that is read in 9P2000 gives whole stat records, and goes on only where it stopped", async () => {
  for (const dialect of ["9P2000", "9P2000.u"] as const) {
    const tree = sampleTree()
    const talk = new RawNinep(tree, { dialect })
    talk.open(1, "many", openMode.OREAD)
    const read = (offset: number, count: number): Request => ({ type: "Tread", tag: 3, fid: 1, offset, count })
    const stats: Stat[] = []
    for (let offset = 0; ;) {
      const { data } = talk.expect("Rread", read(offset, 1000))
      if (data.length === 0) break
      stats.push(...decodeStats(data, dialect))
      offset += data.length
    }
    assert.equal(stats.length, 500)
    assert.equal(stats[7]?.name, "file-007")
    assert.equal(stats[7]?.mode, 0o644)
    talk.expect("Rread", read(0, 1000))
    assert.equal(talk.ask(read(17, 1000)).type, "Rerror")
    assert.equal(talk.ask(read(0, 20)).type, "Rerror")
  }
})

test("a folder is read as well when its files answer later, and without those that are gone by then", async () => {
  let isSlow = false
  const tree = sampleTree({
    pause: () => (isSlow ? new Promise((resolve) => setImmediate(resolve)) : Promise.resolve()),
  })
  const talk = new RawNinep(tree, { dialect: "9P2000", silent: true })
  const settled = () => new Promise<void>((resolve) => setTimeout(resolve, 0))
  const messages: Request[] = [
    { type: "Tversion", tag: 0xffff, msize: 65536, version: "9P2000" },
    { type: "Tattach", tag: 3, fid: 0, afid: NOFID, uname: "", aname: "" },
    walk(0, 1),
    { type: "Topen", tag: 3, fid: 1, mode: 0 },
  ]
  for (const message of messages) {
    talk.send(message)
    await settled()
  }
  talk.take()
  isSlow = true
  const hello = tree.root.children.get("hello")
  assert(hello !== undefined)
  hello.isRemoved = true
  talk.send({ type: "Tread", tag: 3, fid: 1, offset: 0, count: 8000 })
  while (talk.connection.status().requests > 0) await settled()
  const { data } = answerOf("Rread", talk.take()[0])
  assert.deepEqual(
    decodeStats(data, "9P2000").map(({ name }) => name),
    ["empty", "long", "pipe", "many", "deep"],
  )
})

test("attributes come in the words of each dialect", () => {
  const tree = sampleTree()
  const linux = new RawNinep(tree)
  linux.open(1, "long")
  const { tag: _tag, ...attributes } = linux.expect("Rgetattr", getattr(1))
  assert.deepEqual(
    { size: attributes.size, blocks: attributes.blocks, mode: attributes.mode, mtime: attributes.mtimeSec },
    { size: 320_000, blocks: 625, mode: 0o100644, mtime: 1_700_000_000 },
  )
  assert.equal(attributes.mtimeNsec, 500_000_000)
  assert.equal(attributes.valid, 0x7ff)
  assert.equal(linux.expect("Rgetattr", getattr(0)).mode, 0o040755)
  const { fsType, namelen } = linux.expect("Rstatfs", { type: "Tstatfs", tag: 3, fid: 0 })
  assert.deepEqual([fsType, namelen], [0x65735546, 255])
  const unix = new RawNinep(tree, { dialect: "9P2000.u" })
  const { stat } = unix.expect("Rstat", { type: "Tstat", tag: 3, fid: 0 })
  assert.deepEqual([stat.name, stat.mode, stat.length, stat.nUid], ["/", (permissionBits.DMDIR | 0o755) >>> 0, 0, 0])
})

test("Tsetattr passes on what is valid, with times of the client or of the server", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree)
  talk.open(1, "hello")
  const changes = tree.root.children.get("hello")?.changes
  assert(changes !== undefined)
  const setattr = (valid: number): Request => ({
    type: "Tsetattr",
    tag: 3,
    fid: 1,
    valid,
    mode: 0o100600,
    uid: 5,
    gid: 6,
    size: 3,
    atimeSec: 100,
    atimeNsec: 500_000_000,
    mtimeSec: 200,
    mtimeNsec: 0,
  })
  const { MODE, UID, GID, SIZE, ATIME, MTIME, CTIME, ATIME_SET, MTIME_SET } = setattrBits
  talk.expect("Rsetattr", setattr(MODE | CTIME))
  talk.expect("Rsetattr", setattr(SIZE | MTIME | CTIME))
  talk.expect("Rsetattr", setattr(UID | GID | ATIME | ATIME_SET | MTIME | MTIME_SET))
  talk.expect("Rsetattr", setattr(CTIME))
  const { modified, ...size } = changes[1] ?? {}
  assert(Math.abs((modified ?? 0) - Date.now() / 1000) < 60)
  assert.deepEqual(
    [changes[0], size, changes[2]],
    [{ permissions: 0o600 }, { length: 3 }, { uid: 5, gid: 6, accessed: 100.5, modified: 200 }],
  )
  assert.equal(changes.length, 3)
})

test("Twstat changes what is set, and means fsync when nothing is", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree, { dialect: "9P2000.u" })
  talk.open(1, "hello", openMode.OWRITE)
  const hello = tree.root.children.get("hello")
  assert(hello !== undefined)
  const unix = { extension: "", nUid: 0xffff_ffff, nGid: 0xffff_ffff, nMuid: 0xffff_ffff }
  const wstat = (stat: Partial<Stat>): Request => ({
    type: "Twstat",
    tag: 3,
    fid: 1,
    stat: { ...untouched, ...unix, ...stat },
  })
  talk.expect("Rwstat", wstat({}))
  assert.deepEqual([hello.syncs, hello.changes], [1, []])
  talk.expect("Rwstat", wstat({ length: 0 }))
  talk.expect("Rwstat", wstat({ mode: 0o600, mtime: 9, nGid: 7, name: "hallo" }))
  assert.deepEqual(hello.changes, [{ length: 0 }, { permissions: 0o600, modified: 9, gid: 7, name: "hallo" }])
  assert(tree.root.children.has("hallo"))
  is(talk, wstat({ mode: permissionBits.DMDIR }), "EPERM")
  is(talk, wstat({ uid: "me" }), "EPERM")
  is(talk, wstat({ name: ".." }), "EINVAL")
  talk.expect("Rwstat", wstat({ uid: "me", nUid: 8 }))
  assert.deepEqual(hello.changes.at(-1), { uid: 8 })
  // Linux names who mounted it when it renames.
  talk.expect("Rwstat", wstat({ name: "hello", muid: "nobody" }))
  assert.deepEqual(hello.changes.at(-1), { name: "hello" })
})

test("Linux's requests for names: make, unlink, rename within a folder", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree)
  const unlink = (name: string, flags: number): Request => ({ type: "Tunlinkat", tag: 3, dirfid: 0, name, flags })
  const rename = (olddirfid: number, oldname: string, newdirfid: number, newname: string): Request => ({
    type: "Trenameat",
    tag: 3,
    olddirfid,
    oldname,
    newdirfid,
    newname,
  })
  talk.expect("Rmkdir", { type: "Tmkdir", tag: 3, dfid: 0, name: "made", mode: 0o40700, gid: 0 })
  assert.equal(tree.root.children.get("made")?.permissions, 0o700)
  is(talk, unlink("made", 0), "EISDIR")
  is(talk, unlink("nobody", 0), "ENOENT")
  is(talk, unlink("deep", 0x200), "ENOTEMPTY")
  talk.expect("Runlinkat", unlink("made", 0x200))
  talk.expect("Rrenameat", rename(0, "hello", 0, "hallo"))
  talk.open(1, "deep")
  is(talk, rename(0, "hallo", 1, "hallo"), "EPERM")
  is(talk, rename(0, "nobody", 0, "hallo"), "ENOENT")
  talk.open(2, "hallo")
  talk.expect("Rrename", { type: "Trename", tag: 3, fid: 2, dfid: 0, name: "hello" })
  is(talk, { type: "Trename", tag: 3, fid: 2, dfid: 1, name: "hello" }, "EPERM")
  assert(tree.root.children.has("hello"))
})

test("what is not offered is refused at once", () => {
  const talk = new RawNinep(sampleTree())
  talk.open(1, "hello", linuxOpen.RDWR)
  is(talk, { type: "Txattrwalk", tag: 3, fid: 1, newfid: 2, name: "security.capability" }, "EOPNOTSUPP")
  is(talk, { type: "Txattrcreate", tag: 3, fid: 1, name: "user.x", attrSize: 1, flags: 0 }, "EOPNOTSUPP")
  const range = { start: 0, length: 0, procId: 1, clientId: "c" }
  is(talk, { type: "Tlock", tag: 3, fid: 1, lockType: 1, flags: 0, ...range }, "EOPNOTSUPP")
  is(talk, { type: "Tgetlock", tag: 3, fid: 1, lockType: 1, ...range }, "EOPNOTSUPP")
  is(talk, { type: "Tsymlink", tag: 3, fid: 0, name: "l", symtgt: "hello", gid: 0 }, "EPERM")
  is(talk, { type: "Tlink", tag: 3, dfid: 0, fid: 1, name: "l" }, "EPERM")
  is(talk, { type: "Tmknod", tag: 3, dfid: 0, name: "n", mode: 0o10644, major: 0, minor: 0, gid: 0 }, "EPERM")
  is(talk, { type: "Treadlink", tag: 3, fid: 1 }, "EINVAL")
  talk.expect("Rfsync", { type: "Tfsync", tag: 3, fid: 1, datasync: 0 })
  is(talk, { type: "Tfsync", tag: 3, fid: 0 }, "EBADF")
  assert.equal(talk.connection.status().fids, 2)
})

test("an answer that does not fit into the agreed size is an error, and nothing of it has happened", () => {
  const tree = sampleTree()
  const hello = tree.root.children.get("hello")
  assert(hello !== undefined)
  const talk = new RawNinep(tree, { dialect: "9P2000.u", msize: 4096 })
  talk.open(1, "hello")
  const attributes = hello.attributes() as Attributes
  hello.attributes = () => ({ ...attributes, user: "u".repeat(5000) })
  is(talk, { type: "Tstat", tag: 3, fid: 1 }, "EMSGSIZE")
  hello.attributes = () => ({ ...attributes, user: "u".repeat(70_000) })
  is(talk, { type: "Tstat", tag: 3, fid: 1 }, "ENAMETOOLONG")
})
