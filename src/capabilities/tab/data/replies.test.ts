import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { silentLog } from "../../../base/log.ts"
import { openNodeEngine } from "../node/sqlite-engine.ts"
import type { Replies, ReplyData, StoredReply } from "../serve/replies.ts"
import { blobsIn } from "./blobs.ts"
import type { SqliteEngine } from "./engine.ts"
import { openReplies } from "./replies.ts"
import type { OpenRepliesOptions } from "./replies.ts"
import { openSql } from "./tab-sql.ts"
import type { DriverSql, TabSql } from "./tab-sql.ts"

describe("answers that are kept", () => {
  test("the effect happens once, and the answer is the same, after a restart too", async (t) => {
    const { sql, engine, replies, clock } = await place(t)
    const run = async ({ sql: within }: ReplyData) => {
      const { lastId } = await within.run("INSERT INTO things VALUES (NULL, 'x')")
      return reply(201, `${lastId}`, ["content-type", "text/plain", "set-cookie", "a=1", "set-cookie", "b=2"])
    }
    const first = await replies.once("key", run)
    assert.equal(first.again, false)
    const second = await replies.once("key", run)
    assert.deepEqual(second, { reply: first.reply, again: true })
    const reopened = openReplies(sql, { clock, blobs: (scoped) => blobsIn(scoped, clock) })
    assert.deepEqual(await reopened.once("key", run), second)
    assert.equal(count(engine), 1)
  })

  test("a driver's transaction within is taken back by itself, or is there with all", async (t) => {
    const { engine, replies } = await place(t)
    const run = async ({ sql }: ReplyData) => {
      const driver = sql as DriverSql
      const lost = await driver.exclusive()
      const waiting = driver.exactRun("INSERT INTO things VALUES (NULL, 'beside')", [])
      lost.engine.exactRun("INSERT INTO things VALUES (NULL, 'lost')", [])
      lost.rollback()
      await waiting
      const kept = await driver.exclusive()
      kept.engine.exactRun("INSERT INTO things VALUES (NULL, 'kept')", [])
      await kept.commit()
      const { rows } = await driver.exactAll("SELECT name FROM things ORDER BY id", [])
      return reply(200, rows.flat().join())
    }
    assert.equal(text((await replies.once("key", run)).reply), "beside,kept")
    assert.equal(count(engine), 2)
    const failing = replies.once("other", async (data) => {
      await run(data)
      throw new Error("all is lost")
    })
    await assert.rejects(failing, /all is lost/)
    assert.equal(count(engine), 2)
  })

  test("what has happened is answered, also when older answers cannot be thrown away", async (t) => {
    const { replies, engine } = await place(t, { most: 1 })
    engine.exec("CREATE TRIGGER keeps BEFORE DELETE ON _rdv_replies BEGIN SELECT raise(ABORT, 'full'); END")
    const run = async ({ sql }: ReplyData) => {
      await sql.run("INSERT INTO things VALUES (NULL, 'x')")
      return reply(200, "done")
    }
    for (const key of ["one", "two", "three"]) assert.equal((await replies.once(key, run)).again, false)
    assert.equal(count(engine), 3)
  })

  test("a second request with the key waits for the first, others do not", async (t) => {
    const { replies, engine } = await place(t)
    const gate = Promise.withResolvers<void>()
    let runs = 0
    const run = async (data: ReplyData) => {
      runs++
      await gate.promise
      await data.sql.run("INSERT INTO things VALUES (NULL, 'x')")
      return reply(200, "done")
    }
    const both = [replies.once("key", run), replies.once("key", run), replies.once("key", run)]
    const other = await replies.once("other", async () => reply(200, "other"))
    assert.equal(text(other.reply), "other")
    gate.resolve()
    const answers = await Promise.all(both)
    assert.deepEqual(
      answers.map(({ again }) => again),
      [false, true, true],
    )
    assert.equal(runs, 1)
    assert.equal(count(engine), 1)
  })

  test("what fails is taken back, not kept, and can be tried again", async (t) => {
    const { replies, engine } = await place(t)
    const mine = new Error("mine")
    const failing = replies.once("key", async ({ sql, blobs }) => {
      await sql.run("INSERT INTO things VALUES (NULL, 'x')")
      await blobs.put(new Uint8Array(300_000))
      throw mine
    })
    const waiting = replies.once("key", async ({ sql }) => {
      await sql.run("INSERT INTO things VALUES (NULL, 'y')")
      return reply(200, "second")
    })
    await assert.rejects(failing, (error) => error === mine)
    assert.deepEqual(text((await waiting).reply), "second")
    assert.equal(count(engine), 1)
    assert.equal(engine.all("SELECT * FROM _rdv_blob_rows", []).length, 0)
  })

  test("everything that the handler does is one transaction: scripts, transactions and blobs too", async (t) => {
    const { replies, engine } = await place(t)
    await replies.once("key", async ({ sql, blobs }) => {
      await sql.script("CREATE TABLE others (x); INSERT INTO others VALUES (1)")
      await Promise.all([
        sql.transaction(async (within) => {
          within.run("INSERT INTO things VALUES (1, 'x')")
          await turn()
          within.run("INSERT INTO things VALUES (2, 'x')")
        }),
        sql
          .transaction((within) => {
            within.run("INSERT INTO things VALUES (3, 'x')")
            throw new Error("only this one")
          })
          .catch(() => undefined),
        sql.run("INSERT INTO things VALUES (4, 'x')"),
      ])
      await assert.rejects(sql.run("COMMIT"), { code: "usage" })
      const { id } = await blobs.put(new Uint8Array(10))
      assert.equal(engine.isInTransaction, true)
      return reply(200, id)
    })
    assert.equal(engine.isInTransaction, false)
    assert.deepEqual(
      engine.all("SELECT id FROM things", []).map(({ id }) => id),
      [1, 2, 4],
    )
  })

  test("after its end the handler's data is the ordinary one", async (t) => {
    const { replies, engine } = await place(t)
    let data: ReplyData | undefined
    await replies.once("key", async (given) => {
      data = given
      return reply(204, "")
    })
    await data?.sql.run("INSERT INTO things VALUES (1, 'later')")
    await data?.sql.transaction((within) => within.run("INSERT INTO things VALUES (2, 'later')"))
    assert.equal(count(engine), 2)
  })

  test("a handler that keeps the database waiting is ended, and nothing of it stays", async (t) => {
    const { replies, engine, clock, sql } = await place(t)
    const gate = Promise.withResolvers<void>()
    const slow = replies.once("key", async (data) => {
      await data.sql.run("INSERT INTO things VALUES (1, 'x')")
      await gate.promise
      return reply(200, "late")
    })
    const other = sql.run("INSERT INTO things VALUES (2, 'other')")
    for (let turns = 0; turns < 5; turns++) await turn()
    clock.advance(5000)
    await other
    gate.resolve()
    await assert.rejects(slow, { code: "timeout" })
    assert.equal(count(engine), 1)
  })

  test("answers are kept for a day, and no more than so many and so much", async (t) => {
    const { replies, engine, clock } = await place(t, { most: 100, mostBytes: 1_000_000 })
    const ask = (key: string, body = "x") => replies.once(key, async () => reply(200, body))
    await ask("first")
    clock.advance(23 * 3_600_000)
    assert.equal((await ask("first")).again, true)
    clock.advance(3_600_000)
    assert.equal((await ask("first")).again, false)
    for (let key = 0; key < 300; key++) await ask(`key ${key}`)
    const kept = engine.all("SELECT count(*) AS count FROM _rdv_replies", [])[0]?.["count"] as number
    assert.ok(kept <= 101, `${kept}`)
    assert.equal((await ask("key 299")).again, true)
    assert.equal((await ask("key 0")).again, false)
    for (let key = 0; key < 30; key++) await ask(`large ${key}`, "y".repeat(200_000))
    const bytes = engine.all("SELECT sum(length(body)) AS bytes FROM _rdv_replies", [])[0]?.["bytes"] as number
    assert.ok(bytes <= 1_200_000, `${bytes}`)
    assert.equal((await ask("large 29")).again, true)
  })
})

async function place(
  t: TestContext,
  options: Partial<OpenRepliesOptions> = {},
): Promise<{ sql: TabSql; replies: Replies; engine: SqliteEngine; clock: FakeClock }> {
  const engine = openNodeEngine(":memory:")
  t.after(() => engine.close())
  const clock = new FakeClock()
  const sql = openSql(engine, { clock, log: silentLog })
  await sql.script("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)")
  const replies = openReplies(sql, { clock, blobs: (scoped) => blobsIn(scoped, clock), ...options })
  return { sql, engine, clock, replies }
}

function count(engine: SqliteEngine): number {
  return engine.all("SELECT count(*) AS count FROM things", [])[0]?.["count"] as number
}

function reply(status: number, body: string, headers: readonly string[] = []): StoredReply {
  return { status, headers, body: new TextEncoder().encode(body) }
}

function text({ body }: StoredReply): string {
  return new TextDecoder().decode(body)
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
