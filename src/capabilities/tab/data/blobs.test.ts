import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { silentLog } from "../../../base/log.ts"
import type { Blobs } from "../app/blobs.ts"
import { openNodeEngine } from "../node/sqlite-engine.ts"
import { openBlobs, rowBytes } from "./blobs.ts"
import type { SqliteEngine } from "./engine.ts"
import { openSql } from "./tab-sql.ts"
import type { TabSql } from "./tab-sql.ts"

describe("blobs", () => {
  test("the id is the hash of the bytes, in whatever pieces they came", async (t) => {
    const { blobs } = await place(t)
    for (const length of [0, 1, rowBytes - 1, rowBytes, rowBytes + 1, 3 * rowBytes]) {
      const bytes = new Uint8Array(randomBytes(length))
      const id = createHash("sha256").update(bytes).digest("base64url")
      const facts = { id, bytes: length, type: "text/plain" }
      assert.deepEqual({ ...(await blobs.put(streamOf(bytes, 70_001), { type: "text/plain" })) }, facts)
      assert.deepEqual({ ...(await blobs.put(bytes)) }, facts)
      assert.deepEqual({ ...(await blobs.stat(id)) }, facts)
      assert.deepEqual(await read(blobs, id), bytes)
    }
  })

  test("the same bytes are kept once, with the type that somebody knew", async (t) => {
    const { blobs, engine } = await place(t)
    const bytes = new Uint8Array(300_000).fill(7)
    const [first, second] = await Promise.all([blobs.put(bytes), blobs.put(bytes, { type: "image/png" })])
    assert.equal(first.id, second.id)
    assert.equal((await blobs.stat(first.id))?.type, "image/png")
    assert.deepEqual(rows(engine), { blobs: 1, rows: 2 })
  })

  test("a range begins and ends where it was asked for", async (t) => {
    const { blobs } = await place(t)
    const bytes = new Uint8Array(randomBytes(600_000))
    const { id } = await blobs.put(bytes)
    for (const [from, to] of [
      [0, 1],
      [rowBytes - 1, rowBytes + 1],
      [100, 599_999],
      [599_999, 9_999_999],
      [600_000, undefined],
      [5, 5],
    ] as const) {
      const range = to === undefined ? { from } : { from, to }
      assert.deepEqual(await read(blobs, id, range), bytes.slice(from, to))
    }
    await assert.rejects(blobs.get(id, { from: -1 }), { code: "usage" })
    assert.equal(await blobs.get("nothing"), undefined)
  })

  test("an upload that breaks off, is too long or has no bytes leaves nothing", async (t) => {
    const { blobs, engine } = await place(t)
    let isCancelled = false
    const broken = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(new Uint8Array(500_000))
      },
      pull(controller) {
        controller.error(new Error("the visitor went away"))
      },
    })
    await assert.rejects(blobs.put(broken), /the visitor went away/)
    const endless = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(new Uint8Array(100_000)),
      cancel: () => {
        isCancelled = true
      },
    })
    await assert.rejects(blobs.put(endless, { limitBytes: 1_000_000 }), { code: "too_large" })
    assert.equal(isCancelled, true)
    await assert.rejects(blobs.put(new Uint8Array(11), { limitBytes: 10 }), { code: "too_large" })
    await assert.rejects(blobs.put(ReadableStream.from(["text"]) as never), { code: "usage" })
    assert.deepEqual(rows(engine), { blobs: 0, rows: 0 })
  })

  test("full storage is said, leaves nothing of the upload, and keeps what was there", async (t) => {
    const { blobs, engine } = await place(t)
    const kept = await blobs.put(new Uint8Array(400_000).fill(1))
    const size = engine.all("PRAGMA page_count", [])[0]?.["page_count"] as number
    engine.exec(`PRAGMA max_page_count = ${size + 150}`)
    await assert.rejects(blobs.put(new Uint8Array(3_000_000).fill(2)), { code: "limit" })
    assert.deepEqual(rows(engine), { blobs: 1, rows: 2 })
    assert.equal((await read(blobs, kept.id))?.length, 400_000)
    assert.equal((await blobs.put(new Uint8Array(300_000).fill(3))).bytes, 300_000)
  })

  test("what a crash left of an upload is gone after the next start", async (t) => {
    const { engine, sql, clock } = await place(t)
    engine.exec("INSERT INTO _rdv_blobs (id, bytes, type, made) VALUES (NULL, 0, 'a/b', 0)")
    for (let number = 0; number < 100; number++) {
      engine.run("INSERT INTO _rdv_blob_rows (content, number, bytes) VALUES (1, ?, x'00')", [number])
    }
    const blobs = await openBlobs(sql, { clock, log: silentLog })
    // Behind it in the order of statements.
    while (rows(engine).rows > 0 || rows(engine).blobs > 0) await blobs.stat("x").then(turn)
  })

  test("one that is deleted while it is read says so, and is gone at once for others", async (t) => {
    const { blobs, engine } = await place(t)
    const { id } = await blobs.put(new Uint8Array(600_000))
    const reader = (await blobs.get(id))?.getReader()
    assert.equal((await reader?.read())?.value?.length, rowBytes)
    assert.equal(await blobs.delete(id), true)
    assert.equal(await blobs.delete(id), false)
    assert.equal(await blobs.stat(id), undefined)
    await assert.rejects(async () => await reader?.read(), { code: "removed" })
    assert.deepEqual(rows(engine), { blobs: 0, rows: 0 })
  })

  test("a reader that wants nothing makes nothing be read", async (t) => {
    const { blobs, engine } = await place(t)
    const { id } = await blobs.put(new Uint8Array(2_000_000))
    let asked = 0
    const all = engine.all.bind(engine)
    engine.all = (...args) => {
      if (args[0].includes("_rdv_blob_rows")) asked++
      return all(...args)
    }
    const stream = await blobs.get(id)
    await turn()
    assert.equal(asked, 0)
    const reader = stream?.getReader()
    await reader?.read()
    await turn()
    assert.equal(asked, 1)
    await reader?.cancel()
  })
})

async function place(t: TestContext): Promise<{ sql: TabSql; blobs: Blobs; engine: SqliteEngine; clock: FakeClock }> {
  const engine = openNodeEngine(":memory:")
  t.after(() => engine.close())
  const clock = new FakeClock()
  const sql = openSql(engine, { clock, log: silentLog })
  return { sql, engine, clock, blobs: await openBlobs(sql, { clock, log: silentLog }) }
}

function rows(engine: SqliteEngine): { blobs: number; rows: number } {
  const count = (table: string) => engine.all(`SELECT count(*) AS count FROM ${table}`, [])[0]?.["count"] as number
  return { blobs: count("_rdv_blobs"), rows: count("_rdv_blob_rows") }
}

async function read(blobs: Blobs, id: string, range?: { from: number; to?: number }): Promise<Uint8Array | undefined> {
  const stream = await blobs.get(id, range)
  return stream === undefined ? undefined : new Uint8Array(await new Response(stream).arrayBuffer())
}

function streamOf(bytes: Uint8Array, length: number): ReadableStream<Uint8Array> {
  let at = 0
  return new ReadableStream({
    pull(controller) {
      if (at >= bytes.length) controller.close()
      else controller.enqueue(bytes.subarray(at, at + length))
      at += length
    },
  })
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
