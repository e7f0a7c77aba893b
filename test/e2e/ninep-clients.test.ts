/** The 9P server before programs that nobody here wrote: diod's clients, and Wireshark's decoder. */

import assert from "node:assert/strict"
import { execFile, spawnSync } from "node:child_process"
import { test } from "node:test"
import { promisify } from "node:util"
import { NOFID } from "../../src/ninep/message.ts"
import type { Dialect, Request } from "../../src/ninep/message.ts"
import { captureNinep, NinepCapture, withoutTshark } from "../kit/ninep-capture.ts"
import { listenNinep } from "../kit/ninep-listener.ts"
import { sampleTree } from "../kit/ram-tree.ts"
import { RawNinep } from "../kit/raw-ninep.ts"

const environment = { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` }
const withoutDiod: string | false =
  spawnSync("diodls", ["--help"], { env: environment }).error === undefined
    ? false
    : "diod is not installed: no foreign 9P client looks at the server"

const run = promisify(execFile)

/** diod's clients want an attach name that is said, even an empty one. */
async function diod(command: "diodls" | "diodcat", port: number, ...args: string[]): Promise<string> {
  const { stdout } = await run(command, ["-a", "", "-s", `127.0.0.1:${port}`, ...args], {
    env: environment,
    timeout: 10_000,
    maxBuffer: 2 ** 22,
  })
  return stdout
}

test("diodls lists folders", { skip: withoutDiod }, async () => {
  await using listener = await listenNinep(sampleTree())
  const names = (await diod("diodls", listener.port, "/")).split("\n").filter((line) => line !== "")
  assert.deepEqual(new Set(names), new Set(["hello", "empty", "long", "pipe", "many", "deep"]))
  const many = await diod("diodls", listener.port, "many")
  assert.equal(many.match(/file-\d\d\d/g)?.length, 500)
  const long = await diod("diodls", listener.port, "-l", "/")
  assert.match(long, /^-rw-r--r--.* 320000 .* long$/m)
  assert.match(long, /^drwxr-xr-x.* deep$/m)
})

test("diodcat reads files, long ones and those in folders", { skip: withoutDiod }, async () => {
  const tree = sampleTree()
  await using listener = await listenNinep(tree)
  assert.equal(await diod("diodcat", listener.port, "hello", "deep/er/est"), "hello, world\nbottom\n")
  assert.equal(await diod("diodcat", listener.port, "-m", "4096", "long"), "0123456789abcde\n".repeat(20_000))
  assert.equal(await diod("diodcat", listener.port, "long"), "0123456789abcde\n".repeat(20_000))
  await assert.rejects(diod("diodcat", listener.port, "nobody"), /No such file or directory/)
  const { opened, closed, gone } = tree.counts
  assert.deepEqual([opened, closed + gone], [4, 4])
})

test("Wireshark decodes what diod's clients and the server say", { skip: withoutDiod || withoutTshark }, async () => {
  await using listener = await listenNinep(sampleTree())
  await using tap = await captureNinep(listener.port)
  await diod("diodls", tap.port, "-l", "/")
  await diod("diodcat", tap.port, "hello", "long")
  const { messages, malformed } = await tap.capture.decode()
  assert.deepEqual(malformed, [])
  for (const name of ["Rversion", "Rlerror", "Rattach", "Rwalk", "Rlopen", "Rgetattr", "Rreaddir", "Rread", "Rclunk"])
    assert(messages.includes(name), `no ${name}`)
})

test("Wireshark decodes every answer of every dialect", { skip: withoutTshark }, async () => {
  const capture = new NinepCapture()
  for (const dialect of ["9P2000", "9P2000.u", "9P2000.L"] as const) {
    const talk = new RawNinep(sampleTree(), { dialect, silent: true })
    const { request, answer } = capture.conversation()
    for (const message of conversation(dialect)) {
      const sent = talk.writes.length
      talk.send(message)
      request(talk.sent.at(-1) as Uint8Array)
      for (const bytes of talk.writes.slice(sent)) answer(bytes)
    }
    assert.equal(talk.ended, undefined)
  }
  const { messages, malformed } = await capture.decode()
  assert.deepEqual(malformed, [])
  const answers = new Set(messages.filter((name) => name.startsWith("R")))
  const wanted =
    "version error attach flush walk open create read write clunk remove stat wstat lerror statfs lopen lcreate getattr " +
    "setattr readdir fsync mkdir renameat rename unlinkat"
  assert.deepEqual(answers, new Set(wanted.split(" ").map((name) => `R${name}`)))
})

/** Each request that the dialect has, most of them so that they work. */
function conversation(dialect: Dialect): Request[] {
  const on = (fid: number) => ({ tag: 1, fid })
  const walk = (newfid: number, ...wname: string[]): Request => ({ type: "Twalk", ...on(0), newfid, wname })
  const begin: Request[] = [
    { type: "Tversion", tag: 0xffff, msize: 8192, version: dialect },
    { type: "Tauth", tag: 1, afid: 1, uname: "glenda", aname: "", nUname: 0 },
    { type: "Tattach", ...on(0), afid: NOFID, uname: "glenda", aname: "", nUname: 0 },
    walk(1, "hello"),
    walk(2, "deep", "er", "nobody"),
    walk(2, "nobody"),
    walk(2),
    walk(3, "many"),
  ]
  const io: Request[] = [
    { type: "Twrite", ...on(1), offset: 0, data: Uint8Array.of(1, 2, 3) },
    { type: "Tread", ...on(1), offset: 0, count: 100 },
    { type: "Tread", ...on(1), offset: 1000, count: 100 },
    { type: "Tread", ...on(3), offset: 0, count: 8000 },
    { type: "Tflush", tag: 1, oldtag: 9 },
  ]
  const end: Request[] = [
    { type: "Tclunk", ...on(1) },
    { type: "Tremove", ...on(2) },
    { type: "Tremove", ...on(2) },
  ]
  if (dialect !== "9P2000.L") {
    const stat = { type: 0xffff, dev: 0xffff_ffff, mode: 0xffff_ffff, atime: 0xffff_ffff, mtime: 7, uid: "", gid: "" }
    const qid = { type: 0xff, version: 0xffff_ffff, path: 2n ** 64n - 1n }
    const rest = { qid, length: 2n ** 64n - 1n, name: "", muid: "", extension: "", nUid: 0xffff_ffff }
    return [
      ...begin,
      { type: "Topen", ...on(1), mode: 2 },
      { type: "Topen", ...on(3), mode: 0 },
      { type: "Tcreate", ...on(2), name: "new", perm: 0o644, mode: 1, extension: "" },
      ...io,
      { type: "Tstat", ...on(1) },
      { type: "Twstat", ...on(1), stat: { ...stat, ...rest, nGid: 0xffff_ffff, nMuid: 0xffff_ffff } },
      ...end,
    ]
  }
  const times = { atimeSec: 1, atimeNsec: 2, mtimeSec: 3, mtimeNsec: 4 }
  return [
    ...begin,
    { type: "Tlopen", ...on(1), flags: 2 },
    { type: "Tlopen", ...on(3), flags: 0 },
    { type: "Tlcreate", ...on(2), name: "new", flags: 1, mode: 0o644, gid: 0 },
    ...io,
    { type: "Treaddir", ...on(3), offset: 0, count: 8000 },
    { type: "Tgetattr", ...on(1), requestMask: 0x7ff },
    { type: "Tsetattr", ...on(1), valid: 0x1ff, mode: 0o600, uid: 1, gid: 1, size: 2, ...times },
    { type: "Tstatfs", ...on(0) },
    { type: "Tfsync", ...on(1), datasync: 0 },
    { type: "Tmkdir", tag: 1, dfid: 0, name: "made", mode: 0o755, gid: 0 },
    { type: "Trenameat", tag: 1, olddirfid: 0, oldname: "made", newdirfid: 0, newname: "named" },
    { type: "Trename", ...on(1), dfid: 0, name: "hallo" },
    { type: "Tunlinkat", tag: 1, dirfid: 0, name: "named", flags: 0x200 },
    { type: "Txattrwalk", ...on(1), newfid: 7, name: "security.capability" },
    { type: "Tsymlink", ...on(0), name: "l", symtgt: "hello", gid: 0 },
    { type: "Tlink", tag: 1, dfid: 0, fid: 1, name: "l" },
    { type: "Tmknod", tag: 1, dfid: 0, name: "n", mode: 0, major: 0, minor: 0, gid: 0 },
    { type: "Treadlink", ...on(1) },
    { type: "Tlock", ...on(1), lockType: 1, flags: 0, start: 0, length: 0, procId: 1, clientId: "c" },
    { type: "Tgetlock", ...on(1), lockType: 1, start: 0, length: 0, procId: 1, clientId: "c" },
    ...end,
  ]
}
