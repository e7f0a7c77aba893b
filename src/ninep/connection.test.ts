import assert from "node:assert/strict"
import { test } from "node:test"
import { answerOf, RawNinep } from "../../test/kit/raw-ninep.ts"
import { RamTree, sampleTree } from "../../test/kit/ram-tree.ts"
import { encode } from "./codec.ts"
import { errnos } from "./errno.ts"
import { NOFID, NOTAG } from "./message.ts"
import type { Dialect, Request } from "./message.ts"
import { NinepStep } from "./step.ts"

const text = (data: Uint8Array) => new TextDecoder().decode(data)
const bytes = (data: string) => new TextEncoder().encode(data)
const version = (name: string, msize = 65536): Request => ({ type: "Tversion", tag: NOTAG, msize, version: name })
const walk = (fid: number, newfid: number, ...wname: string[]): Request => ({
  type: "Twalk",
  tag: 9,
  fid,
  newfid,
  wname,
})
const read = (tag: number, fid: number, offset = 0, count = 1000): Request => ({
  type: "Tread",
  tag,
  fid,
  offset,
  count,
})
const write = (tag: number, fid: number, data: string, offset = 0): Request => ({
  type: "Twrite",
  tag,
  fid,
  offset,
  data: bytes(data),
})

test("Tversion chooses the dialect, and the smaller message size", () => {
  const talk = new RawNinep(new RamTree(), { silent: true })
  const ask = (name: string, msize: number) => {
    const { version: chosen, msize: agreed } = talk.expect("Rversion", version(name, msize))
    return [chosen, agreed]
  }
  assert.deepEqual(ask("9P2000.L", 8192), ["9P2000.L", 8192])
  assert.deepEqual(ask("9P2000.u", 4096), ["9P2000.u", 4096])
  assert.deepEqual(ask("9P2000", 2 ** 31), ["9P2000", 2 ** 20 + 24])
  assert.deepEqual(ask("9P2000.private", 8192), ["9P2000", 8192])
  assert.deepEqual(ask("9P1", 8192), ["unknown", 8192])
  assert.deepEqual(ask("", 8192), ["unknown", 8192])
})

test("a message size in which nothing fits is refused in the words of the dialect", () => {
  for (const dialect of ["9P2000", "9P2000.u", "9P2000.L"] as const) {
    const talk = new RawNinep(new RamTree(), { silent: true, dialect })
    const answer = talk.ask(version(dialect, 4095))
    if (dialect === "9P2000.L") assert.equal(answerOf("Rlerror", answer).ecode, errnos.EMSGSIZE.number)
    else assert.equal(answerOf("Rerror", answer).ename, errnos.EMSGSIZE.text)
    talk.send({ type: "Tclunk", tag: 1, fid: 1 })
    assert.match(talk.ended ?? "", /not Tversion/)
  }
})

test("a Tversion in the middle forgets all fids and requests, and closes handles as gone", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree)
  talk.open(1, "pipe", 0)
  talk.open(2, "hello", 0)
  talk.send(read(5, 1))
  assert.equal(talk.take().length, 0)
  assert.equal(tree.root.children.get("pipe")?.pipe.waitingReads, 1)
  talk.expect("Rversion", version("9P2000.u"))
  talk.dialect = "9P2000.u"
  assert.deepEqual(tree.counts, { opened: 2, closed: 0, gone: 2 })
  assert.equal(tree.root.children.get("pipe")?.pipe.waitingReads, 0)
  assert.deepEqual(talk.connection.status().fids, 0)
  assert.deepEqual(talk.connection.status().requests, 0)
  talk.expect("Rattach", { type: "Tattach", tag: 5, fid: 1, afid: NOFID, uname: "", aname: "", nUname: 0 })
})

test("what breaks the protocol ends the connection with one line in the log, behind the answers that were due", () => {
  const cases: [string, Uint8Array][] = [
    ["a size without a header", Uint8Array.of(6, 0, 0, 0, 120, 0, 0)],
    ["a size above the agreed one", Uint8Array.of(1, 0, 1, 0, 118, 0, 0)],
    ["a Tread of a wrong size", Uint8Array.of(22, 0, 0, 0, 116, 7, 0, ...Array(15).fill(0))],
    ["a Twrite that counts more than it has", Uint8Array.of(23, 0, 0, 0, 118, 7, 0, ...Array(12).fill(0), 1, 0, 0, 0)],
    ["a Tclunk of a wrong size", Uint8Array.of(8, 0, 0, 0, 120, 7, 0, 1)],
    ["a Tflush of a wrong size", Uint8Array.of(8, 0, 0, 0, 108, 7, 0, 1)],
    ["a text beyond the end", Uint8Array.of(17, 0, 0, 0, 110, 7, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0)],
    ["an answer as a request", Uint8Array.of(7, 0, 0, 0, 121, 7, 0)],
    ["NOTAG", Uint8Array.of(11, 0, 0, 0, 120, 255, 255, 0, 0, 0, 0)],
  ]
  for (const [what, broken] of cases) {
    const tree = sampleTree()
    const talk = new RawNinep(tree)
    talk.open(1, "hello", 0)
    talk.sendBytes(
      Buffer.concat([
        Buffer.from([23, 0, 0, 0, 116, 3, 0, 1, 0, 0, 0, ...Array(8).fill(0), 5, 0, 0, 0]),
        broken,
        broken,
      ]),
    )
    assert.equal(text(answerOf("Rread", talk.take()[0]).data), "hello", what)
    assert.notEqual(talk.ended, undefined, what)
    assert.equal(talk.logged.length, 1, what)
    assert.deepEqual(tree.counts, { opened: 1, closed: 0, gone: 1 }, what)
    talk.send(read(8, 1))
    assert.deepEqual(talk.take(), [], what)
  }
})

test("a tag that is in use ends the connection", () => {
  const talk = new RawNinep(sampleTree())
  talk.open(1, "pipe", 0)
  talk.send(read(5, 1), read(5, 1))
  assert.match(talk.ended ?? "", /tag 5 is in use/)
})

test("requests of unknown types and of other dialects are answered with an error, and the conversation goes on", () => {
  const talk = new RawNinep(sampleTree())
  talk.sendBytes(Uint8Array.of(7, 0, 0, 0, 200, 7, 0))
  assert.equal(answerOf("Rlerror", talk.take()[0]).ecode, errnos.EOPNOTSUPP.number)
  talk.sendBytes(Uint8Array.of(12, 0, 0, 0, 112, 7, 0, 0, 0, 0, 0, 0))
  assert.equal(answerOf("Rlerror", talk.take()[0]).ecode, errnos.EOPNOTSUPP.number)
  const plain = new RawNinep(sampleTree(), { dialect: "9P2000" })
  plain.sendBytes(Uint8Array.of(15, 0, 0, 0, 12, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0))
  assert.equal(answerOf("Rerror", plain.take()[0]).ename, errnos.EOPNOTSUPP.text)
  plain.expect("Rwalk", walk(0, 1, "hello"))
})

test("a name that is no text is refused, and the conversation goes on", () => {
  const talk = new RawNinep(sampleTree())
  for (const byte of [0, 0xff, 0x2f]) {
    talk.sendBytes(Uint8Array.of(20, 0, 0, 0, 110, 7, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, byte))
    assert.equal(answerOf("Rlerror", talk.take()[0]).ecode, errnos.EINVAL.number)
  }
  talk.expect("Rwalk", walk(0, 1, "hello"))
})

test("errors have numbers in 9P2000.L, texts in 9P2000, both in 9P2000.u", () => {
  const ask = (dialect: Dialect) => {
    const { tag: _tag, ...answer } = new RawNinep(sampleTree(), { dialect }).ask(walk(0, 1, "nobody"))
    return answer
  }
  assert.deepEqual(ask("9P2000"), { type: "Rerror", ename: "No such file or directory" })
  assert.deepEqual(ask("9P2000.u"), { type: "Rerror", ename: "No such file or directory", errno: 2 })
  assert.deepEqual(ask("9P2000.L"), { type: "Rlerror", ecode: 2 })
})

test("whatever the bytes are torn into, the answers are the same", () => {
  const messages: Request[] = [
    walk(0, 1, "hello"),
    { type: "Tlopen", tag: 3, fid: 1, flags: 0 },
    read(4, 1),
    { type: "Tgetattr", tag: 6, fid: 0, requestMask: 0x7ff },
    { type: "Tclunk", tag: 5, fid: 1 },
  ]
  const whole = new RawNinep(sampleTree())
  whole.send(...messages)
  const torn = new RawNinep(sampleTree())
  const bytewise = Buffer.concat(messages.map((message) => Buffer.from(encode(message, torn.dialect))))
  for (const byte of bytewise) torn.sendBytes(Uint8Array.of(byte))
  assert.deepEqual(torn.take(), whole.take())
})

test("one step's answers are one write, and an answer from elsewhere is written at once", () => {
  const tree = sampleTree()
  const reader = new RawNinep(tree)
  const writer = new RawNinep(tree)
  reader.open(1, "pipe", 0)
  writer.open(1, "pipe", 1)
  reader.writes.length = 0
  writer.writes.length = 0
  reader.send(read(5, 1), read(6, 1), { type: "Tgetattr", tag: 7, fid: 0, requestMask: 1 }, walk(0, 2, "hello"))
  assert.equal(reader.writes.length, 1)
  writer.send(write(5, 1, "one"), write(6, 1, "two"))
  assert.equal(writer.writes.length, 1)
  assert.equal(reader.writes.length, 3)
  const got = reader.take().filter(({ type }) => type === "Rread")
  assert.deepEqual(
    got.map((answer) => [answer.tag, text(answerOf("Rread", answer).data)]),
    [
      [5, "one"],
      [6, "two"],
    ],
  )
})

test("connections of one step get their answers in one write each, when the step is over", () => {
  const tree = sampleTree()
  const step = new NinepStep()
  const reader = new RawNinep(tree, { step })
  const writer = new RawNinep(tree, { step })
  reader.open(1, "pipe", 0)
  writer.open(1, "pipe", 1)
  reader.writes.length = 0
  reader.send(read(5, 1), read(6, 1))
  writer.send(write(5, 1, "one"), write(6, 1, "two"))
  assert.equal(reader.writes.length, 1)
  assert.equal(reader.take().length, 2)
})

test("a client that does not take its answers is not read any further until it has", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree, { limits: { waitingBytes: 2000 } })
  talk.open(1, "long", 0)
  talk.isTaking = false
  for (let tag = 10; tag < 20; tag++) talk.send(read(tag, 1, 0, 900))
  assert.equal(talk.connection.paused, true)
  assert.equal(talk.writes.length, 5, "four until it was open, and the output has the first answer")
  assert.equal(talk.connection.status().waitingBytes, 3 * 911)
  talk.isTaking = true
  talk.drain()
  assert.equal(talk.connection.paused, false)
  assert.deepEqual(
    talk.take().map(({ tag }) => tag),
    [10, 11, 12, 13, 14, 15, 16, 17, 18, 19],
  )
  assert.equal(talk.connection.status().waitingBytes, 0)
})

test("a client that has asked before and takes nothing of what comes is cut off at a limit", async () => {
  const tree = sampleTree()
  const reader = new RawNinep(tree, { limits: { mostWaitingBytes: 5000 } })
  const writer = new RawNinep(tree)
  reader.open(1, "pipe", 0)
  writer.open(1, "pipe", 1)
  for (let tag = 10; tag < 20; tag++) reader.send(read(tag, 1))
  reader.isTaking = false
  for (let tag = 10; tag < 20; tag++) writer.send(write(tag, 1, "x".repeat(1000)))
  await Promise.resolve()
  assert.match(reader.ended ?? "", /5000 bytes/)
  assert.deepEqual(tree.counts, { opened: 2, closed: 0, gone: 1 })
})

test("fids, requests and names have limits, with errors of their own", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree, { limits: { fids: 3, requests: 2, nameBytes: 8 } })
  talk.open(1, "pipe", 0)
  talk.open(2, "hello")
  assert.equal(talk.errno(walk(0, 3, "hello")), errnos.EMFILE.number)
  assert.equal(talk.errno(walk(0, 2, "hello")), errnos.EBADF.number)
  assert.equal(
    talk.errno({ type: "Tmkdir", tag: 3, dfid: 0, name: "ninebytes", mode: 0, gid: 0 }),
    errnos.ENAMETOOLONG.number,
  )
  assert.equal(
    talk.errno({ type: "Tmkdir", tag: 3, dfid: 0, name: "äöüäö", mode: 0, gid: 0 }),
    errnos.ENAMETOOLONG.number,
  )
  talk.send(read(5, 1), read(6, 1))
  assert.equal(talk.errno({ type: "Tgetattr", tag: 7, fid: 0, requestMask: 1 }), errnos.ENOBUFS.number)
  talk.expect("Rflush", { type: "Tflush", tag: 7, oldtag: 5 })
  talk.expect("Rgetattr", { type: "Tgetattr", tag: 7, fid: 0, requestMask: 1 })
})

test("what no handler should throw is EIO for the client and a line in the log", () => {
  const tree = sampleTree()
  tree.root.add("broken", "broken")
  const talk = new RawNinep(tree)
  talk.open(1, "broken", 0)
  assert.equal(talk.errno(read(3, 1)), errnos.EIO.number)
  assert.equal(talk.errno({ type: "Tgetattr", tag: 3, fid: 1, requestMask: 1 }), errnos.EIO.number)
  talk.open(2, "broken")
  assert.equal(talk.errno({ type: "Tlopen", tag: 3, fid: 2, flags: 1 }), errnos.EIO.number)
  assert.equal(talk.logged.length, 3)
  assert.equal(talk.ended, undefined)
})

test("Tread tells whether it asks for as much as it can, and never gets more than fits", () => {
  const asked: [number, boolean][] = []
  const tree = sampleTree()
  const pipe = tree.root.children.get("pipe")
  assert(pipe !== undefined)
  pipe.pipe.read = (request) => {
    asked.push([request.count, request.full])
    request.answer(new Uint8Array(request.count))
  }
  const talk = new RawNinep(tree, { msize: 4096 })
  talk.open(1, "pipe", 0)
  for (const count of [100, 4096 - 25, 4096 - 24, 4096 - 11, 100_000]) talk.expect("Rread", read(3, 1, 0, count))
  assert.deepEqual(asked, [
    [100, false],
    [4071, false],
    [4072, true],
    [4085, true],
    [4085, true],
  ])
})

test("a place from which nobody could count on is refused before a handle hears of it", () => {
  const talk = new RawNinep(sampleTree())
  talk.ask(walk(0, 1, "hello"))
  talk.ask({ type: "Tlopen", tag: 1, fid: 1, flags: 0 })
  for (const offset of [2n ** 53n, 2n ** 64n - 1n]) {
    const answer = talk.ask({ type: "Tread", tag: 1, fid: 1, offset, count: 10 })
    assert.equal(answerOf("Rlerror", answer).ecode, errnos.EINVAL.number)
  }
  assert.equal(answerOf("Rread", talk.ask(read(1, 1, 2 ** 40))).data.length, 0)
})

test("an answer of more bytes than were asked for is the handler's failure, not the client's", () => {
  const tree = sampleTree()
  const pipe = tree.root.children.get("pipe")
  assert(pipe !== undefined)
  pipe.pipe.read = (request) => request.answer(new Uint8Array(request.count + 1))
  const talk = new RawNinep(tree)
  talk.open(1, "pipe", 0)
  assert.equal(talk.errno(read(3, 1)), errnos.EIO.number)
})

test("large answers arrive whole, and many in one step in order", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree, { msize: 2 ** 20 })
  talk.open(1, "long", 0)
  talk.send(read(3, 1, 0, 320_000), read(4, 1, 16, 16), read(5, 1, 0, 200_000), read(6, 1, 319_984, 100))
  const got = talk.take().map((answer) => answerOf("Rread", answer).data)
  assert.deepEqual(
    got.map((data) => data.length),
    [320_000, 16, 200_000, 16],
  )
  assert.equal(text(got[0] as Uint8Array), "0123456789abcde\n".repeat(20_000))
  assert.equal(talk.connection.status().requests, 0)
})

test("a lost connection withdraws its requests and closes each handle once, as gone", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree)
  talk.open(1, "pipe", 0)
  talk.open(2, "pipe", 1)
  talk.open(3, "hello", 0)
  talk.expect("Rclunk", { type: "Tclunk", tag: 3, fid: 3 })
  talk.send(read(5, 1))
  talk.connection.closed()
  talk.connection.closed()
  assert.deepEqual(tree.counts, { opened: 3, closed: 1, gone: 2 })
  assert.equal(tree.root.children.get("pipe")?.pipe.waitingReads, 0)
  assert.equal(talk.ended, undefined)
  assert.deepEqual(talk.take(), [])
})
