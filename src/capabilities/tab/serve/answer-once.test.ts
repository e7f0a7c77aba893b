import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { servedApp } from "../../../../test/kit/served-app.ts"
import type { TabApp } from "../app/app.ts"
import type { Blobs } from "../app/blobs.ts"
import type { Sql } from "../app/sql.ts"
import { keyedAnswerMs, keyedBodyBytes } from "./answer-once.ts"
import { storedBodyBytes } from "./replies.ts"
import type { Replies, StoredReply } from "./replies.ts"

const transactionSql = {} as Sql
const transactionBlobs = {} as Blobs

/** Replies in memory, one behind the other as the database's are. */
function memoryReplies(): Replies & { readonly kept: Map<string, StoredReply> } {
  const kept = new Map<string, StoredReply>()
  let last: Promise<unknown> = Promise.resolve()
  return {
    kept,
    once(key, run) {
      const turn = last.then(async () => {
        const known = kept.get(key)
        if (known !== undefined) return { reply: known, again: true }
        const reply = await run({ sql: transactionSql, blobs: transactionBlobs })
        kept.set(key, reply)
        return { reply, again: false }
      })
      last = turn.catch(() => undefined)
      return turn
    },
  }
}

function counting(answer: (count: number, request: Request) => Response | Promise<Response>) {
  let count = 0
  const app: TabApp = { fetch: (request) => answer(++count, request) }
  return { app, count: () => count }
}

const post = (key: string, more: RequestInit = {}): RequestInit => ({
  method: "POST",
  ...more,
  headers: { "idempotency-key": key, ...(more.headers as Record<string, string>) },
})

test("the second request with a key gets the first one's answer, with its status, fields and cookies", async () => {
  const { app, count } = counting(async (at, request) => {
    const headers = new Headers([
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
      ["x-at", String(at)],
    ])
    return new Response(await request.text(), { status: 201, headers })
  })
  using served = servedApp(app, { replies: memoryReplies() })
  const first = await served.fetch("/", post("k", { body: "content" }))
  const second = await served.fetch("/", post("k", { body: "content" }))
  assert.equal(count(), 1)
  for (const answer of [first, second]) {
    assert.deepEqual([answer.status, answer.headers.get("x-at"), await answer.text()], [201, "1", "content"])
    assert.deepEqual(answer.headers.getSetCookie(), ["a=1", "b=2"])
  }
  assert.deepEqual(
    [first, second].map(({ headers }) => headers.get("idempotency-replayed")),
    [null, "true"],
  )
})

test("two at once have one effect", async () => {
  const { app, count } = counting(async (at) => {
    await new Promise(setImmediate)
    return new Response(null, { status: 204, headers: { "x-at": String(at) } })
  })
  using served = servedApp(app, { replies: memoryReplies() })
  const answers = await Promise.all([served.fetch("/", post("k")), served.fetch("/", post("k"))])
  assert.equal(count(), 1)
  assert.deepEqual(
    answers.map(({ status, headers }) => [status, headers.get("x-at")]),
    [
      [204, "1"],
      [204, "1"],
    ],
  )
})

test("a failure is not kept, whether it is thrown or answered: the next try counts", async () => {
  const { app } = counting((at) => {
    if (at === 1) throw new Error("no")
    return new Response(`try ${at}`, { status: at === 2 ? 503 : 200 })
  })
  const replies = memoryReplies()
  using served = servedApp(app, { replies })
  const statuses: number[] = []
  for (let round = 0; round < 4; round++) statuses.push((await served.fetch("/", post("k"))).status)
  assert.deepEqual(statuses, [500, 503, 200, 200])
  assert.equal(replies.kept.size, 1)
})

test("a key is one visitor's, of one method, place, and login; safe methods need none", async () => {
  const { app, count } = counting((at) => new Response(String(at)))
  const replies = memoryReplies()
  using stranger = servedApp(app, { replies })
  using own = servedApp(app, { replies, visitor: { kind: "own" } })
  using peer = servedApp(app, { replies, visitor: { kind: "peer", peer: { name: "ada", key: "x" } } })
  await stranger.fetch("/", post("k"))
  await own.fetch("/", post("k"))
  await peer.fetch("/", post("k"))
  await stranger.fetch("/?b", post("k"))
  await stranger.fetch("/", post("k", { method: "PUT" }))
  await stranger.fetch("/", post("k", { headers: { authorization: "Bearer 1" } }))
  assert.equal(count(), 6)
  await stranger.fetch("/", post("k", { method: "GET" }))
  await stranger.fetch("/", post("k", { method: "GET" }))
  assert.equal(count(), 8)
  assert.ok([...replies.kept.keys()].every((key) => key.length === 43))
})

test("keys, bodies and answers that are too long are refused, and nothing is kept", async () => {
  const { app, count } = counting(() => new Response("x".repeat(storedBodyBytes + 1)))
  const replies = memoryReplies()
  using served = servedApp(app, { replies })
  assert.equal((await served.fetch("/", post("k".repeat(256)))).status, 400)
  assert.equal((await served.fetch("/", post("k", { body: "x".repeat(keyedBodyBytes + 1) }))).status, 413)
  assert.equal(count(), 0)
  const answer = await served.fetch("/", post("k"))
  assert.equal(answer.status, 500)
  assert.match(await answer.text(), /nothing was done\n$/)
  assert.equal(replies.kept.size, 0)
})

test("an answer without an end is ended, and keeps nobody else with its key waiting", async () => {
  const clock = new FakeClock()
  const begun = Promise.withResolvers<void>()
  let cancelled = 0
  const { app, count } = counting((at) => {
    if (at > 1) return new Response("short")
    return new Response(
      new ReadableStream(
        { pull: () => (begun.resolve(), new Promise(() => undefined)), cancel: () => void cancelled++ },
        // Asked when it is read.
        { highWaterMark: 0 },
      ),
    )
  })
  const replies = memoryReplies()
  using served = servedApp(app, { replies, clock })
  const endless = served.fetch("/", post("k"))
  await begun.promise
  clock.advance(keyedAnswerMs)
  const answer = await endless
  assert.deepEqual([answer.status, cancelled, replies.kept.size], [500, 1, 0])
  assert.match(await answer.text(), /not whole within 5000 ms: nothing was done/)
  assert.deepEqual([(await served.fetch("/", post("k"))).status, count()], [200, 2])
})

test("the application works with the data of the transaction", async () => {
  const seen: unknown[] = []
  using served = servedApp(
    {
      fetch: (_, env) => {
        seen.push(env.sql === transactionSql, env.blobs === transactionBlobs, typeof env.waitUntil)
        return new Response()
      },
    },
    { replies: memoryReplies() },
  )
  await served.fetch("/", post("k"))
  await served.fetch("/")
  assert.deepEqual(seen, [true, true, "function", false, false, "function"])
})
