import assert from "node:assert/strict"
import { test } from "node:test"
import { answerOf, RawNinep } from "../../test/kit/raw-ninep.ts"
import { sampleTree } from "../../test/kit/ram-tree.ts"
import type { RamNode, RamTree } from "../../test/kit/ram-tree.ts"
import { errnos } from "./errno.ts"
import { NOFID } from "./message.ts"
import type { Request } from "./message.ts"

const read = (tag: number, fid: number): Request => ({ type: "Tread", tag, fid, offset: 0, count: 1000 })
const write = (tag: number, fid: number, data: string): Request => ({
  type: "Twrite",
  tag,
  fid,
  offset: 0,
  data: new TextEncoder().encode(data),
})
const flush = (tag: number, oldtag: number): Request => ({ type: "Tflush", tag, oldtag })
const clunk = (tag: number, fid: number): Request => ({ type: "Tclunk", tag, fid })

/** A pipe that is open as fid 1 for reading and as fid 2 for writing. */
function piped(): { talk: RawNinep; tree: RamTree; pipe: RamNode } {
  const tree = sampleTree()
  const pipe = tree.root.children.get("pipe")
  assert(pipe !== undefined)
  const talk = new RawNinep(tree)
  talk.open(1, "pipe", 0)
  talk.open(2, "pipe", 1)
  return { talk, tree, pipe }
}

/** What came, as `tag type`. */
const came = (talk: RawNinep): string[] => talk.take().map(({ tag, type }) => `${tag} ${type}`)

const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

/** A promise that the test resolves. */
function gate(): { wait: () => Promise<void>; open: () => void } {
  let open: () => void = () => undefined
  const promise = new Promise<void>((resolve) => (open = resolve))
  return { wait: () => promise, open: () => open() }
}

test("a flushed read takes no message, and its tag is free again", () => {
  const { talk, pipe } = piped()
  talk.send(read(5, 1))
  assert.deepEqual(came(talk), [])
  talk.send(flush(6, 5))
  assert.deepEqual(came(talk), ["6 Rflush"])
  assert.equal(pipe.pipe.waitingReads, 0)
  talk.send(write(7, 2, "message"))
  assert.deepEqual(came(talk), [])
  talk.send(read(5, 1))
  assert.deepEqual(came(talk), ["5 Rread", "7 Rwrite"])
})

test("a flushed write is withdrawn", () => {
  const { talk, pipe } = piped()
  talk.send(write(5, 2, "first"), write(6, 2, "second"))
  talk.send(flush(7, 5))
  assert.deepEqual(came(talk), ["7 Rflush"])
  assert.equal(pipe.pipe.waitingWrites, 1)
  talk.send(read(8, 1))
  const [data, written] = talk.take()
  assert.equal(new TextDecoder().decode(answerOf("Rread", data).data), "second")
  assert.equal(written?.tag, 6)
})

test("a flush of an unknown, of an answered, and of its own tag is answered at once", () => {
  const { talk } = piped()
  talk.send(flush(5, 77), flush(6, 6))
  assert.deepEqual(came(talk), ["5 Rflush", "6 Rflush"])
  talk.send(write(5, 2, "x"), read(6, 1), flush(7, 6), flush(8, 5))
  assert.deepEqual(came(talk), ["6 Rread", "5 Rwrite", "7 Rflush", "8 Rflush"])
})

test("who has what it asked for before it is withdrawn answers before Rflush", () => {
  const { talk, pipe } = piped()
  pipe.pipe.read = (request) => {
    request.onFlush = () => request.answer(new Uint8Array(1))
  }
  talk.send(read(5, 1), flush(6, 5))
  assert.deepEqual(came(talk), ["5 Rread", "6 Rflush"])
})

test("Rflush waits for a withdrawal that takes its time; several flushes are answered in order", async () => {
  const { talk, pipe } = piped()
  const withdrawal = gate()
  pipe.pipe.withdrawal = withdrawal.wait
  talk.send(read(5, 1))
  talk.send(flush(6, 5), flush(7, 5), flush(8, 6))
  assert.deepEqual(came(talk), [])
  assert.equal(talk.connection.status().requests, 4)
  withdrawal.open()
  await settled()
  assert.deepEqual(came(talk), ["6 Rflush", "7 Rflush", "8 Rflush"])
  assert.equal(talk.connection.status().requests, 0)
})

test("an answer that comes while its withdrawal is under way is sent, and the flushes follow it", async () => {
  const { talk, pipe } = piped()
  const withdrawal = gate()
  pipe.pipe.withdrawal = withdrawal.wait
  talk.send(read(5, 1), flush(6, 5), flush(7, 6))
  talk.send(write(9, 2, "late"))
  assert.deepEqual(came(talk), ["5 Rread", "6 Rflush", "7 Rflush", "9 Rwrite"])
  withdrawal.open()
  await settled()
  assert.deepEqual(came(talk), [])
})

test("a withdrawal that fails is logged, and the request is gone all the same", async () => {
  const { talk, pipe } = piped()
  pipe.pipe.read = (request) => {
    request.onFlush = () => {
      if (request.count > 500) throw new Error("cannot")
      return Promise.reject(new Error("cannot later"))
    }
  }
  talk.send(read(5, 1), flush(6, 5))
  assert.deepEqual(came(talk), ["6 Rflush"])
  talk.send({ type: "Tread", tag: 5, fid: 1, offset: 0, count: 5 }, flush(6, 5))
  await settled()
  assert.deepEqual(came(talk), ["6 Rflush"])
  assert.equal(talk.logged.length, 2)
})

test("answers after a withdrawal and second answers are dropped", () => {
  const { talk, pipe } = piped()
  let kept: (() => void) | undefined
  pipe.pipe.read = (request) => {
    kept = () => request.answer(new Uint8Array(3))
  }
  talk.send(read(5, 1), flush(6, 5))
  kept?.()
  assert.deepEqual(came(talk), ["6 Rflush"])
  talk.send(read(5, 1))
  kept?.()
  kept?.()
  assert.deepEqual(came(talk), ["5 Rread"])
})

test("Tclunk withdraws what waits on its fid, and only that, before the handle is closed", () => {
  const { talk, tree, pipe } = piped()
  talk.open(3, "pipe", 0)
  talk.send(read(5, 1), read(6, 3), read(7, 1))
  talk.send(clunk(8, 1))
  const answers = talk.take()
  assert.deepEqual(
    answers.map(({ tag, type }) => `${tag} ${type}`),
    ["5 Rlerror", "7 Rlerror", "8 Rclunk"],
  )
  assert.equal(answerOf("Rlerror", answers[0]).ecode, errnos.EINTR.number)
  assert.equal(pipe.pipe.waitingReads, 1)
  assert.deepEqual(tree.counts, { opened: 3, closed: 1, gone: 0 })
  assert.equal(talk.errno(clunk(8, 1)), errnos.EBADF.number)
})

test("Tclunk waits for withdrawals that take their time", async () => {
  const { talk, tree, pipe } = piped()
  const withdrawal = gate()
  pipe.pipe.withdrawal = withdrawal.wait
  talk.send(read(5, 1), clunk(8, 1))
  assert.deepEqual(came(talk), [])
  assert.equal(tree.counts.closed, 0)
  withdrawal.open()
  await settled()
  assert.deepEqual(came(talk), ["5 Rlerror", "8 Rclunk"])
  assert.equal(tree.counts.closed, 1)
})

test("a connection that is lost while a clunk waits closes the handle as gone", async () => {
  const { talk, tree, pipe } = piped()
  const withdrawal = gate()
  pipe.pipe.withdrawal = withdrawal.wait
  talk.send(read(5, 1), clunk(8, 1))
  talk.connection.closed()
  withdrawal.open()
  await settled()
  assert.deepEqual(tree.counts, { opened: 2, closed: 0, gone: 2 })
})

test("who answers within the withdrawal when a connection is lost or begins anew is not heard", () => {
  const { talk, tree, pipe } = piped()
  pipe.pipe.read = (request) => {
    request.onFlush = () => request.answer(new Uint8Array(1))
  }
  talk.send(read(5, 1), read(6, 1), { type: "Tversion", tag: 0xffff, msize: 8192, version: "9P2000.L" })
  assert.deepEqual(came(talk), ["65535 Rversion"])
  assert.equal(talk.connection.status().requests, 0)
  talk.expect("Rattach", { type: "Tattach", tag: 5, fid: 0, afid: NOFID, uname: "", aname: "", nUname: 0 })
  talk.open(1, "pipe", 0)
  talk.send(read(5, 1), read(6, 1))
  talk.connection.closed()
  assert.deepEqual(came(talk), [])
  assert.equal(talk.connection.status().requests, 0)
  assert.deepEqual(tree.counts, { opened: 3, closed: 0, gone: 3 })
})

test("a read of nothing waits for nothing", () => {
  const { talk, pipe } = piped()
  talk.send({ type: "Tread", tag: 5, fid: 1, offset: 0, count: 0 })
  assert.deepEqual(came(talk), ["5 Rread"])
  assert.equal(pipe.pipe.waitingReads, 0)
})

test("Tremove frees the fid also when the file cannot be removed", () => {
  const tree = sampleTree()
  const talk = new RawNinep(tree)
  talk.open(1, "deep", 0)
  assert.equal(talk.errno({ type: "Tremove", tag: 3, fid: 1 }), errnos.ENOTEMPTY.number)
  assert.equal(talk.errno(clunk(3, 1)), errnos.EBADF.number)
  talk.open(1, "hello", 0)
  talk.expect("Rremove", { type: "Tremove", tag: 3, fid: 1 })
  assert.deepEqual(tree.counts, { opened: 2, closed: 2, gone: 0 })
  assert.equal(tree.root.children.has("hello"), false)
})

/** Everything but reads and writes waits until the test lets it go on. */
function slow(): { talk: RawNinep; tree: RamTree; go: () => Promise<void> } {
  let waiting: (() => void)[] = []
  let isSlow = false
  const tree = sampleTree({
    pause: () => (isSlow ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve()),
  })
  const talk = new RawNinep(tree, { silent: true })
  talk.send({ type: "Tversion", tag: 0xffff, msize: 65536, version: "9P2000.L" })
  talk.send({ type: "Tattach", tag: 1, fid: 0, afid: NOFID, uname: "", aname: "", nUname: 0 })
  const go = async () => {
    await settled()
    const ready = waiting
    waiting = []
    for (const resolve of ready) resolve()
    await settled()
  }
  return {
    talk,
    tree,
    async go() {
      isSlow = true
      await go()
    },
  }
}

test("requests on a fid that is being made or opened wait their turn", async () => {
  const { talk, tree, go } = slow()
  await go()
  assert.deepEqual(came(talk), ["65535 Rversion", "1 Rattach"])
  talk.send({ type: "Twalk", tag: 2, fid: 0, newfid: 1, wname: ["hello"] })
  talk.send({ type: "Tlopen", tag: 3, fid: 1, flags: 0 }, read(4, 1), clunk(5, 1))
  talk.send({ type: "Twalk", tag: 6, fid: 0, newfid: 1, wname: [] })
  assert.deepEqual(came(talk), ["6 Rlerror"], "the number is taken")
  await go()
  assert.deepEqual(came(talk), ["2 Rwalk"])
  await go()
  assert.deepEqual(came(talk), ["3 Rlopen", "4 Rread"])
  await go()
  assert.deepEqual(came(talk), ["5 Rclunk"])
  assert.deepEqual(tree.counts, { opened: 1, closed: 1, gone: 0 })
  assert.equal(talk.connection.status().fids, 1)
})

test("what waited for a fid that could not be made is told that there is none", async () => {
  const { talk, go } = slow()
  await go()
  talk.take()
  talk.send({ type: "Twalk", tag: 2, fid: 0, newfid: 1, wname: ["nobody"] }, read(4, 1), clunk(5, 1))
  await go()
  const answers = talk.take()
  assert.deepEqual(
    answers.map((answer) => [answer.tag, answerOf("Rlerror", answer).ecode]),
    [
      [2, errnos.ENOENT.number],
      [4, errnos.EBADF.number],
      [5, errnos.EBADF.number],
    ],
  )
  assert.equal(talk.connection.status().fids, 1)
})

test("a flushed walk makes no fid, a flushed open leaks no handle, a flushed message does not happen", async () => {
  const { talk, tree, go } = slow()
  await go()
  talk.take()
  talk.send({ type: "Twalk", tag: 2, fid: 0, newfid: 1, wname: ["hello"] }, read(3, 1), flush(4, 2))
  assert.deepEqual(came(talk), ["4 Rflush", "3 Rlerror"])
  assert.equal(talk.connection.status().fids, 1)
  talk.send({ type: "Twalk", tag: 2, fid: 0, newfid: 1, wname: ["hello"] })
  await go()
  assert.deepEqual(came(talk), ["2 Rwalk"])
  talk.send({ type: "Tlopen", tag: 2, fid: 1, flags: 0 }, read(3, 1), flush(4, 3), flush(5, 2))
  assert.deepEqual(came(talk), ["4 Rflush", "5 Rflush"])
  await go()
  assert.deepEqual(came(talk), [])
  assert.deepEqual(tree.counts, { opened: 1, closed: 0, gone: 1 })
  talk.send({ type: "Tlopen", tag: 2, fid: 1, flags: 0 })
  await go()
  assert.deepEqual(came(talk), ["2 Rlopen"])
})

test("a file that is opened while its connection is lost is closed as gone", async () => {
  const { talk, tree, go } = slow()
  await go()
  talk.send({ type: "Twalk", tag: 2, fid: 0, newfid: 1, wname: ["hello"] })
  await go()
  talk.send({ type: "Tlopen", tag: 2, fid: 1, flags: 0 })
  talk.connection.closed()
  await go()
  assert.deepEqual(tree.counts, { opened: 1, closed: 0, gone: 1 })
})

test("bytes that wait for a busy fid have a limit", async () => {
  const tree = sampleTree({ pause: () => new Promise(() => undefined) })
  const talk = new RawNinep(tree, { silent: true, limits: { queuedBytes: 300 } })
  talk.send({ type: "Tversion", tag: 0xffff, msize: 65536, version: "9P2000.L" })
  talk.send({ type: "Tattach", tag: 1, fid: 0, afid: NOFID, uname: "", aname: "", nUname: 0 })
  talk.send(write(2, 0, "x".repeat(200)), write(3, 0, "y".repeat(200)), flush(4, 2), write(2, 0, "z".repeat(200)))
  assert.deepEqual(came(talk), ["65535 Rversion", "3 Rlerror", "4 Rflush"])
})
