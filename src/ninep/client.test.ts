import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { ninepScript, type NinepScript } from "../../test/kit/ninep-script.ts"
import { NinepClient, type ConnectOptions } from "./client.ts"
import { NinepError } from "./errno.ts"
import { readHeaderBytes, type Dialect } from "./message.ts"
import { LinkLostError, RemoteError } from "./remote-error.ts"

const file = { type: 0, version: 0, path: 7 }
const folder = { type: 0x80, version: 0, path: 8 }

async function connected(
  dialect: Dialect = "9P2000.L",
  options: Partial<ConnectOptions> = {},
  script: NinepScript = ninepScript(dialect),
): Promise<{ script: NinepScript; client: NinepClient }> {
  const [client] = await Promise.all([
    NinepClient.connect({ link: script.link, dialects: [dialect], ...options }),
    script.welcome(),
  ])
  return { script, client }
}

const errnoIs = (errno: string) => (error: unknown) => error instanceof NinepError && error.errno === errno

test("the client says its version, attaches, and knows what was agreed on", async () => {
  const script = ninepScript("9P2000.u")
  const connecting = NinepClient.connect({ link: script.link, msize: 9000, user: "glenda", aname: "tree", uid: 7 })
  const first = await script.next("Tversion")
  assert.deepEqual(first, { type: "Tversion", tag: 0xffff, msize: 9000, version: "9P2000.L" })
  script.answer({ type: "Rversion", tag: 0xffff, msize: 9000, version: "unknown" })
  await script.welcome("9P2000.u", 8192)
  const client = await connecting
  assert.equal(client.dialect, "9P2000.u")
  assert.equal(client.msize, 8192)
  assert.equal(client.root.isFolder, true)
  client.close()
})

test("the client takes a lesser dialect that the server offers", async () => {
  const script = ninepScript("9P2000")
  const [client] = await Promise.all([NinepClient.connect({ link: script.link }), script.welcome("9P2000")])
  assert.equal(client.dialect, "9P2000")
  client.close()
})

test("a server that shares no dialect is told so", async () => {
  const script = ninepScript("9P2000")
  const connecting = NinepClient.connect({ link: script.link, dialects: ["9P2000.u"] })
  await script.next("Tversion")
  script.answer({ type: "Rversion", tag: 0xffff, msize: 8192, version: "9P2000" })
  await assert.rejects(connecting, errnoIs("EPROTO"))
})

test("a server that wants larger messages than were offered is refused", async () => {
  const script = ninepScript("9P2000")
  const connecting = NinepClient.connect({ link: script.link, msize: 8192 })
  await script.next("Tversion")
  script.answer({ type: "Rversion", tag: 0xffff, msize: 8193, version: "9P2000" })
  await assert.rejects(connecting, errnoIs("EPROTO"))
})

test("an attach that is refused is an error of the server's", async () => {
  const script = ninepScript("9P2000.L")
  const connecting = NinepClient.connect({ link: script.link })
  await script.next("Tversion")
  script.answer({ type: "Rversion", tag: 0xffff, msize: 8192, version: "9P2000.L" })
  script.pair.b.onData = () => script.raw(new Uint8Array([11, 0, 0, 0, 7, 0, 0, 13, 0, 0, 0]))
  await assert.rejects(connecting, (error) => error instanceof RemoteError && error.errno === "EACCES")
})

test("a signal ends connecting", async () => {
  const script = ninepScript("9P2000.L")
  const abort = new AbortController()
  const connecting = NinepClient.connect({ link: script.link, signal: abort.signal })
  await script.next("Tversion")
  abort.abort(new Error("enough"))
  await assert.rejects(connecting, /enough/)
})

test("answers find their requests in any order", async () => {
  const { script, client } = await connected()
  const reads = [client.root.read(0, 10), client.root.read(10, 10), client.root.read(20, 10)]
  const requests = [await script.next("Tread"), await script.next("Tread"), await script.next("Tread")]
  for (const { tag, offset } of requests.toReversed())
    script.answer({ type: "Rread", tag, data: new Uint8Array([Number(offset)]) })
  assert.deepEqual(
    (await Promise.all(reads)).map((bytes) => bytes[0]),
    [0, 10, 20],
  )
  assert.equal(client.calls.underWay, 0)
  client.close()
})

test("requests of one turn leave in one write", async () => {
  const { script, client } = await connected()
  const before = script.link.writes
  const reads = Array.from({ length: 100 }, (_none, at) => client.root.read(at, 1))
  for (let left = 100; left > 0; left--) {
    const { tag } = await script.next("Tread")
    script.answer({ type: "Rread", tag, data: new Uint8Array(1) })
  }
  await Promise.all(reads)
  assert.equal(script.link.writes, before + 1)
  client.close()
})

test("long paths are walked by sixteen names at a time", async () => {
  const { script, client } = await connected()
  const names = Array.from({ length: 20 }, (_none, at) => `d${at}`)
  const walking = client.walk(`/${names.join("/")}/`)
  const first = await script.next("Twalk")
  assert.deepEqual(first.wname, names.slice(0, 16))
  script.answer({ type: "Rwalk", tag: first.tag, wqid: first.wname.map(() => folder) })
  const second = await script.next("Twalk")
  assert.deepEqual([second.fid, second.newfid, second.wname], [first.newfid, first.newfid, names.slice(16)])
  script.answer({ type: "Rwalk", tag: second.tag, wqid: [folder, folder, folder, file] })
  const found = await walking
  assert.equal(found.fid, first.newfid)
  assert.deepEqual(found.qid, file)
  client.close()
})

test("a short Rwalk is a missing name, and its fid is used again", async () => {
  const { script, client } = await connected()
  for (let turn = 0; turn < 2; turn++) {
    const walking = client.walk("/a/b/c")
    const { tag, newfid } = await script.next("Twalk")
    assert.equal(newfid, 1)
    script.answer({ type: "Rwalk", tag, wqid: [folder] })
    await assert.rejects(walking, (error) => errnoIs("ENOENT")(error) && (error as Error).message.includes("a/b"))
  }
  client.close()
})

test("errors of all dialects are the same errors here", async () => {
  const cases = [
    ["9P2000", { type: "Rerror", ename: "file does not exist" }, "ENOENT"],
    ["9P2000", { type: "Rerror", ename: "Permission denied" }, "EACCES"],
    ["9P2000", { type: "Rerror", ename: "the cat is on the keyboard" }, "EIO"],
    ["9P2000.u", { type: "Rerror", ename: "whatever", errno: 17 }, "EEXIST"],
    ["9P2000.u", { type: "Rerror", ename: "No such file or directory", errno: 0 }, "ENOENT"],
    ["9P2000.L", { type: "Rlerror", ecode: 32 }, "EPIPE"],
    ["9P2000.L", { type: "Rlerror", ecode: 4000 }, "EIO"],
  ] as const
  for (const [dialect, answer, errno] of cases) {
    const { script, client } = await connected(dialect)
    const reading = client.root.read(0)
    const { tag } = await script.next("Tread")
    script.answer({ ...answer, tag })
    await assert.rejects(reading, (error) => error instanceof RemoteError && error.errno === errno)
    client.close()
  }
})

test("an answer that comes before Rflush counts, and its tag is free only then", async () => {
  const { script, client } = await connected()
  const abort = new AbortController()
  const reading = client.root.read(0, 10, abort.signal)
  const { tag } = await script.next("Tread")
  abort.abort(new Error("no longer"))
  const flush = await script.next("Tflush")
  assert.equal(flush.oldtag, tag)
  script.answer({ type: "Rread", tag, data: new Uint8Array([1, 2]) })
  assert.deepEqual(await reading, new Uint8Array([1, 2]))
  const other = client.root.read(0, 10)
  const next = await script.next("Tread")
  assert.notEqual(next.tag, tag)
  script.answer({ type: "Rflush", tag: flush.tag })
  script.answer({ type: "Rread", tag: next.tag, data: new Uint8Array(0) })
  await other
  assert.equal(client.calls.underWay, 0)
  client.close()
})

test("a flushed request without an answer rejects with the signal's reason when Rflush comes", async () => {
  const { script, client } = await connected()
  const abort = new AbortController()
  const reading = client.root.read(0, 10, abort.signal)
  await script.next("Tread")
  abort.abort(new Error("no longer"))
  const flush = await script.next("Tflush")
  let isSettled = false
  reading.catch(() => (isSettled = true))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(isSettled, false)
  script.answer({ type: "Rflush", tag: flush.tag })
  await assert.rejects(reading, /no longer/)
  assert.equal(client.calls.underWay, 0)
  client.close()
})

test("a signal that has fired before sends nothing", async () => {
  const { script, client } = await connected()
  await assert.rejects(client.root.read(0, 1, AbortSignal.abort(new Error("early"))), /early/)
  await assert.rejects(client.walk("/a", AbortSignal.abort(new Error("early"))), /early/)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(script.unheard, 0)
  client.close()
})

test("a lost link rejects whatever waits, and whatever is asked afterwards", async () => {
  let told: Error | undefined
  const { script, client } = await connected("9P2000.L", { onClose: (error) => (told = error) })
  const abort = new AbortController()
  const waiting = [client.root.read(0, 1), client.root.read(0, 1, abort.signal), client.walk("/x")]
  const ended = waiting.map((promise) => assert.rejects(promise, LinkLostError))
  await script.next("Tread")
  abort.abort()
  script.pair.cut(new Error("pulled"))
  await Promise.all(ended)
  assert.equal(told?.message, "pulled")
  await assert.rejects(client.root.read(0, 1), LinkLostError)
  await assert.rejects(client.list("/"), LinkLostError)
})

test("closing rejects what waits, and is no error", async () => {
  let told: unknown = "nothing"
  const { client } = await connected("9P2000.L", { onClose: (error) => (told = error) })
  const ended = assert.rejects(client.root.read(0, 1), LinkLostError)
  client.close()
  client.close()
  await ended
  assert.equal(told, undefined)
})

test("a server that breaks the protocol is left", async () => {
  const breaks: readonly (readonly [string, (script: NinepScript, tag: number) => void])[] = [
    ["a size below 7", (script) => script.raw(new Uint8Array([6, 0, 0, 0, 117, 0, 0]))],
    ["a size above msize", (script) => script.raw(new Uint8Array([0, 0, 1, 0]))],
    ["an unasked answer", (script, tag) => script.answer({ type: "Rclunk", tag: tag + 1 })],
    ["another answer", (script, tag) => script.answer({ type: "Rclunk", tag })],
    ["a wrong count", (script, tag) => script.raw(new Uint8Array([12, 0, 0, 0, 117, tag, 0, 5, 0, 0, 0, 1]))],
  ]
  for (const [what, breakIt] of breaks) {
    let told: Error | undefined
    const { script, client } = await connected("9P2000.L", { onClose: (error) => (told = error) })
    const reading = assert.rejects(client.root.read(0, 100), NinepError, what)
    const { tag } = await script.next("Tread")
    breakIt(script, tag)
    await reading
    assert.equal(told?.name, "NinepProtocolError", what)
    await assert.rejects(client.root.read(0, 1), LinkLostError)
  }
})

test("more data than were asked for are refused", async () => {
  const { script, client } = await connected()
  const reading = client.root.read(0, 2)
  const { tag } = await script.next("Tread")
  script.answer({ type: "Rread", tag, data: new Uint8Array(3) })
  await assert.rejects(reading, errnoIs("EPROTO"))
  client.close()
})

test("tags and fids have limits", async () => {
  const { script, client } = await connected("9P2000.L", { mostCalls: 2, mostFids: 2 })
  const abort = new AbortController()
  const reads = [client.root.read(0, 1, abort.signal), client.root.read(0, 1)]
  await assert.rejects(client.root.read(0, 1), errnoIs("ENOBUFS"))
  const { tag } = await script.next("Tread")
  const second = await script.next("Tread")
  // A flush has a tag even then.
  abort.abort(new Error("over"))
  const flush = await script.next("Tflush")
  script.answer({ type: "Rflush", tag: flush.tag })
  assert.equal(flush.oldtag, tag)
  await assert.rejects(reads[0] as Promise<Uint8Array>, /over/)
  script.answer({ type: "Rread", tag: second.tag, data: new Uint8Array(1) })
  await reads[1]
  const walking = client.walk("/a")
  const walk = await script.next("Twalk")
  script.answer({ type: "Rwalk", tag: walk.tag, wqid: [file] })
  const found = await walking
  await assert.rejects(client.walk("/b"), errnoIs("EMFILE"))
  const leaving = found.clunk()
  assert.equal(found.clunk(), leaving)
  const clunk = await script.next("Tclunk")
  script.answer({ type: "Rclunk", tag: clunk.tag })
  await leaving
  const again = client.walk("/b")
  const other = await script.next("Twalk")
  assert.equal(other.newfid, found.fid)
  script.answer({ type: "Rwalk", tag: other.tag, wqid: [file] })
  await again
  client.close()
})

test("a message that is larger than agreed on is not sent", async () => {
  const { client } = await connected()
  const reply = { answered: () => undefined, failed: () => undefined }
  assert.throws(() => client.calls.write(0, 0, new Uint8Array(9000), reply), errnoIs("EMSGSIZE"))
  client.close()
})

test("a raw call gives error answers as they are", async () => {
  const { script, client } = await connected()
  const calling = client.calls.call({ type: "Treadlink", tag: 99, fid: 3 })
  const { tag, fid } = await script.next("Treadlink")
  assert.equal(fid, 3)
  script.answer({ type: "Rlerror", tag, ecode: 4000 })
  assert.deepEqual(await calling, { type: "Rlerror", tag, ecode: 4000 })
  client.close()
})

test("an encoded request is forwarded with a tag of its own, and answered by bytes", async () => {
  const { script, client } = await connected()
  const request = new Uint8Array([0, 0, 23, 0, 0, 0, 116, 77, 1, 5, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0])
  const answered = new Promise<number[]>((resolve, reject) => {
    client.calls.forward(request, 2, 25, {
      answered: (bytes, start, end) => resolve(Array.from(bytes.subarray(start + readHeaderBytes, end))),
      failed: reject,
    })
  })
  const { tag, fid, offset, count } = await script.next("Tread")
  assert.deepEqual([fid, offset, count], [5, 9, 4])
  assert.notEqual(tag, 333)
  script.answer({ type: "Rread", tag, data: new Uint8Array([1, 2, 3]) })
  assert.deepEqual(await answered, [1, 2, 3])
  client.close()
})

test("a link that takes nothing bounds what is kept for it, and goes on later", async () => {
  const script = ninepScript("9P2000.L", { bufferBytes: 1000 })
  const { client } = await connected("9P2000.L", {}, script)
  script.pair.b.pause()
  const bytes = new Uint8Array(8000)
  const writes = Array.from({ length: 2000 }, () => client.root.write(0, bytes))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(client.calls.full, true)
  let refused: unknown
  const reply = { answered: () => undefined, failed: () => undefined }
  for (let left = 2000; left > 0 && refused === undefined; left--) {
    try {
      client.calls.write(0, 0, bytes, reply)
    } catch (error) {
      refused = error
    }
  }
  assert.ok(errnoIs("ENOBUFS")(refused), "4 MiB are too many")
  script.pair.b.resume()
  const settled = Promise.allSettled(writes)
  for (let heard = 0; heard < 2000; heard++) {
    const { tag, data } = await script.next("Twrite")
    script.answer({ type: "Rwrite", tag, count: data.length })
  }
  for (; script.unheard > 0;) {
    const { tag, data } = await script.next("Twrite")
    script.answer({ type: "Rwrite", tag, count: data.length })
    await new Promise((resolve) => setImmediate(resolve))
  }
  for (const result of await settled) assert.equal(result.status, "fulfilled")
  client.close()
})

test("bytes may be cut anywhere", async () => {
  const script = ninepScript("9P2000", { splitBytes: 3 })
  const { client } = await connected("9P2000", {}, script)
  const writing = client.root.write(5, new Uint8Array(100).fill(4))
  const { tag, data, offset } = await script.next("Twrite")
  assert.deepEqual([data.length, offset], [100, 5])
  script.answer({ type: "Rwrite", tag, count: 100 })
  assert.equal(await writing, 100)
  client.close()
})

test("whatever a server says, each request settles once and nothing is thrown elsewhere", async () => {
  const tag = fc.integer({ min: 0, max: 6 })
  const type = fc.constantFrom(7, 13, 41, 107, 109, 111, 117, 119, 121, 125, 200)
  const message = fc.record({
    type,
    tag,
    body: fc.uint8Array({ maxLength: 30 }),
    size: fc.integer({ min: -1, max: 1 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(message, { maxLength: 8 }), fc.constantFrom("9P2000", "9P2000.u", "9P2000.L"), run),
    { numRuns: 80 },
  )

  async function run(said: readonly { type: number; tag: number; body: Uint8Array; size: number }[], dialect: Dialect) {
    const { script, client } = await connected(dialect)
    script.pair.b.onData = () => undefined
    const abort = new AbortController()
    let settled = 0
    const waiting = [
      client.root.read(0, 20),
      client.root.write(0, new Uint8Array(3), abort.signal),
      client.walk("/a/b"),
      client.open("/", { read: true }),
      client.stat("/"),
    ].map((promise) => promise.then(() => settled++).catch(() => settled++))
    abort.abort()
    for (const { type, tag, body, size } of said) {
      const bytes = new Uint8Array([0, 0, 0, 0, type, tag, 0, ...body])
      // Now and then the size is wrong.
      new DataView(bytes.buffer).setUint32(0, bytes.length + (tag === 6 ? size : 0), true)
      script.raw(bytes)
      await new Promise((resolve) => setImmediate(resolve))
    }
    script.pair.cut()
    await Promise.all(waiting)
    assert.equal(settled, 5)
  }
})
