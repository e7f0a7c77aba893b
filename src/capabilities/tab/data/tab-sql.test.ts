import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { TestContext } from "node:test"
import fc from "fast-check"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { silentLog } from "../../../base/log.ts"
import type { SqlTransaction } from "../app/sql.ts"
import { openNodeEngine } from "../node/sqlite-engine.ts"
import type { SqliteEngine } from "./engine.ts"
import { openSql } from "./tab-sql.ts"
import type { TabSql } from "./tab-sql.ts"

describe("the application's database", () => {
  test("a promise of a write resolves after the commit, and never before", async (t) => {
    const { sql, engine } = await place(t)
    let isCommitted = false
    const exec = engine.exec.bind(engine)
    engine.exec = (text) => {
      exec(text)
      if (text === "COMMIT") isCommitted = true
    }
    await Promise.all(
      [1, 2, 3].map(async (id) => {
        await sql.run("INSERT INTO things VALUES (?, 'x')", id)
        assert.equal(isCommitted, true)
      }),
    )
  })

  test("when the commit fails, everybody in it hears so, and the next ones are done", async (t) => {
    const { sql, engine } = await place(t)
    const exec = engine.exec.bind(engine)
    let fails = true
    engine.exec = (text) => {
      if (text !== "COMMIT" || !fails) return exec(text)
      fails = false
      throw Object.assign(new Error("database or disk is full"), { errcode: 13 })
    }
    const results = await Promise.allSettled([insert(sql, 1), insert(sql, 2), sql.get("SELECT count(*) FROM things")])
    assert.deepEqual(results.map(codeOf), ["limit", "limit", "limit"])
    assert.deepEqual(await ids(sql), [])
    await insert(sql, 3)
    assert.deepEqual(await ids(sql), [3])
  })

  test("a statement that rolls back by itself takes nobody else along", async (t) => {
    const { sql } = await place(t)
    await insert(sql, 1)
    const results = await Promise.allSettled([
      insert(sql, 2),
      sql.transaction((within) => within.run("INSERT INTO things VALUES (3, 'x')")),
      sql.script("INSERT INTO things VALUES (4, 'x'); INSERT INTO things VALUES (5, 'x')"),
      sql.run("INSERT OR ROLLBACK INTO things VALUES (1, 'again')"),
      insert(sql, 6),
    ])
    assert.deepEqual(results.map(codeOf), ["", "", "", "exists", ""])
    assert.deepEqual(await ids(sql), [1, 2, 3, 4, 5, 6])
  })

  test("a constraint that waits for the commit fails only who broke it", async (t) => {
    const { sql } = await place(t)
    await sql.script("CREATE TABLE parts (thing INTEGER REFERENCES things DEFERRABLE INITIALLY DEFERRED)")
    const results = await Promise.allSettled([
      insert(sql, 1),
      sql.run("INSERT INTO parts VALUES (99)"),
      insert(sql, 2),
      sql.transaction((within) => {
        within.run("INSERT INTO parts VALUES (7)")
        within.run("INSERT INTO things VALUES (7, 'later')")
      }),
    ])
    assert.deepEqual(results.map(codeOf), ["", "exists", "", ""])
    assert.deepEqual(await ids(sql), [1, 2, 7])
  })

  test("a read behind a write sees it, and one without goes at once", async (t) => {
    const { sql } = await place(t)
    void insert(sql, 1)
    assert.deepEqual(await ids(sql), [1])
    const before = sql.stats()["commits"]
    assert.deepEqual(await ids(sql), [1])
    assert.equal(sql.stats()["commits"], before)
  })

  test("what throws in a transaction takes it back, and is what rejects", async (t) => {
    const { sql } = await place(t)
    const mine = new TypeError("mine")
    for (const work of [
      (within: SqlTransaction) => {
        within.run("INSERT INTO things VALUES (1, 'x')")
        throw mine
      },
      async (within: SqlTransaction) => {
        within.run("INSERT INTO things VALUES (1, 'x')")
        await Promise.resolve()
        throw mine
      },
    ]) {
      await assert.rejects(sql.transaction(work), (error) => error === mine)
      assert.deepEqual(await ids(sql), [])
    }
  })

  test("a statement that fails within a transaction can be caught, and the rest counts", async (t) => {
    const { sql } = await place(t)
    await sql.transaction((within) => {
      within.run("INSERT INTO things VALUES (1, 'x')")
      assert.throws(() => within.run("INSERT INTO things VALUES (1, 'y')"), { code: "exists" })
      within.run("INSERT INTO things VALUES (2, 'y')")
    })
    assert.deepEqual(await ids(sql), [1, 2])
  })

  test("a transaction that SQLite has taken back fails, however its work ends", async (t) => {
    const { sql } = await place(t)
    await insert(sql, 1)
    const work = sql.transaction((within) => {
      within.run("INSERT INTO things VALUES (2, 'x')")
      assert.throws(() => within.run("INSERT OR ROLLBACK INTO things VALUES (1, 'y')"), { code: "exists" })
      assert.throws(() => within.run("INSERT INTO things VALUES (3, 'stands alone?')"), { code: "exists" })
    })
    await assert.rejects(work, { code: "exists" })
    assert.deepEqual(await ids(sql), [1])
  })

  test("a transaction's statements are of no use after its end", async (t) => {
    const { sql } = await place(t)
    let kept: SqlTransaction | undefined
    await sql.transaction((within) => {
      kept = within
    })
    assert.throws(() => kept?.run("INSERT INTO things VALUES (1, 'late')"), { code: "closed" })
    await assert.rejects(
      sql.transaction((within) => {
        kept = within
        throw new Error("no")
      }),
    )
    assert.throws(() => kept?.all("SELECT 1"), { code: "closed" })
    assert.deepEqual(await ids(sql), [])
  })

  test("one that awaits too long is taken back after 5 s, and the others go on", async (t) => {
    const { sql, clock } = await place(t)
    let kept: SqlTransaction | undefined
    const stuck = sql.transaction(async (within) => {
      kept = within
      within.run("INSERT INTO things VALUES (1, 'x')")
      await new Promise(() => undefined)
    })
    const behind = insert(sql, 2)
    await turns(3)
    clock.advance(4999)
    assert.equal(sql.stats()["waiting"], 1)
    clock.advance(1)
    await assert.rejects(stuck, { code: "timeout" })
    await behind
    assert.throws(() => kept?.run("INSERT INTO things VALUES (3, 'x')"), { code: "timeout" })
    assert.deepEqual(await ids(sql), [2])
    assert.equal(clock.pending, 0)
  })

  test("whoever asks the database itself within a transaction hears of it after 5 s", async (t) => {
    const { sql, clock } = await place(t)
    const stuck = sql.transaction(async () => {
      await insert(sql, 1)
    })
    await turns(3)
    clock.advance(5000)
    await assert.rejects(stuck, { code: "timeout" })
    assert.deepEqual(await ids(sql), [1])
  })

  test("a lease has the connection alone, commits once, and takes back what it must", async (t) => {
    const { sql } = await place(t)
    const lease = await sql.exclusive()
    const behind = insert(sql, 9)
    lease.engine.run("INSERT INTO things VALUES (?, ?)", [1, "by a driver"])
    assert.equal(lease.engine.isInTransaction, true)
    assert.throws(() => lease.engine.exec("COMMIT"), { code: "usage" })
    await lease.commit()
    await lease.commit()
    lease.rollback()
    assert.throws(() => lease.engine.run("DELETE FROM things", []), { code: "closed" })
    await behind
    const second = await sql.exclusive()
    second.engine.run("DELETE FROM things", [])
    second.rollback()
    assert.throws(() => second.engine.all("SELECT 1", []), { code: "closed" })
    assert.deepEqual(await ids(sql), [1, 9])
  })

  test("a lease that idles is taken away, one that works is not", async (t) => {
    const { sql, clock } = await place(t)
    const lease = await sql.exclusive()
    for (let id = 1; id <= 4; id++) {
      lease.engine.run("INSERT INTO things VALUES (?, 'x')", [id])
      clock.advance(3000)
    }
    await lease.commit()
    const idle = await sql.exclusive()
    idle.engine.run("DELETE FROM things", [])
    clock.advance(5000)
    assert.throws(() => idle.engine.all("SELECT 1", []), { code: "timeout" })
    await assert.rejects(idle.commit(), { code: "timeout" })
    assert.deepEqual(await ids(sql), [1, 2, 3, 4])
  })

  test("what waits is bounded", async (t) => {
    const { sql } = await place(t)
    const lease = await sql.exclusive()
    const large = new Uint8Array(30 * 1024 * 1024)
    const taken = [sql.run("SELECT ?", large), sql.run("SELECT ?", large)]
    await assert.rejects(sql.run("SELECT ?", large), { code: "limit" })
    for (let count = 2; count < 10_000; count++) taken.push(sql.run("SELECT 1"))
    await assert.rejects(sql.run("SELECT 1"), { code: "limit" })
    lease.rollback()
    await Promise.all(taken)
  })

  test("closing waits for what was asked for before, and refuses what comes after", async (t) => {
    const { sql, engine } = await place(t)
    const before = insert(sql, 1)
    const closed = sql.close()
    await assert.rejects(insert(sql, 2), { code: "closed" })
    await assert.rejects(sql.exclusive(), { code: "closed" })
    await before
    await closed
    await sql.close()
    assert.throws(() => engine.all("SELECT 1", []))
  })

  test("values that SQLite has no type for are refused with their place", async (t) => {
    const { sql } = await place(t)
    await assert.rejects(sql.run("SELECT ?, ?", 1, undefined as never), /Value 2 of a statement is undefined/)
    await assert.rejects(sql.run("SELECT ?", new Date(0) as never), { code: "usage" })
    await assert.rejects(sql.run("SELECT ?", true as never), { code: "usage" })
  })

  test("a database that a newer release has written is left alone", async (t) => {
    const { sql, engine } = await place(t)
    await sql.run("UPDATE _rdv_facts SET value = 99 WHERE name = 'tables'")
    assert.throws(() => openSql(engine, { clock: new FakeClock(), log: silentLog }), { code: "version" })
  })

  test("whatever comes together, each stands or falls alone", async () => {
    const kinds = fc.constantFrom("insert", "twice", "transaction", "throws", "awaits", "script", "rollback", "read")
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(kinds, fc.nat(5)), { maxLength: 25 }), async (plan) => {
        const engine = openNodeEngine(":memory:")
        const sql = openSql(engine, { clock: new FakeClock(), log: silentLog })
        await sql.script("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)")
        await insert(sql, 0)
        const wanted = new Set([0])
        const asked = plan.map(async ([kind, pause], at) => {
          for (let turn = 0; turn < pause; turn++) await new Promise((resolve) => setImmediate(resolve))
          const isDone = await ask(sql, kind, (at + 1) * 10).then(
            () => true,
            () => false,
          )
          assert.equal(isDone, !["twice", "throws", "rollback"].includes(kind), kind)
          if (!isDone || kind === "read") return
          wanted.add((at + 1) * 10)
          if (kind !== "insert") wanted.add((at + 1) * 10 + 1)
        })
        await Promise.all(asked)
        const rows = await ids(sql)
        assert.deepEqual(new Set(rows), wanted)
        await sql.close()
      }),
      { numRuns: 60 },
    )
  })
})

async function ask(sql: TabSql, kind: string, id: number): Promise<unknown> {
  const both = (within: SqlTransaction) => {
    within.run("INSERT INTO things VALUES (?, 'x')", id)
    within.run("INSERT INTO things VALUES (?, 'y')", id + 1)
  }
  switch (kind) {
    case "insert":
      return await insert(sql, id)
    case "twice":
      return await insert(sql, 0)
    case "transaction":
      return await sql.transaction(both)
    case "throws":
      return await sql.transaction((within) => {
        both(within)
        throw new Error("no")
      })
    case "awaits":
      return await sql.transaction(async (within) => {
        within.run("INSERT INTO things VALUES (?, 'x')", id)
        await new Promise((resolve) => setImmediate(resolve))
        within.run("INSERT INTO things VALUES (?, 'x')", id + 1)
      })
    case "script":
      return await sql.script(`INSERT INTO things VALUES (${id}, 'x'); INSERT INTO things VALUES (${id + 1}, 'x')`)
    case "rollback":
      return await sql.run("INSERT OR ROLLBACK INTO things VALUES (0, 'x')")
    default:
      return await ids(sql)
  }
}

async function place(t: TestContext): Promise<{ sql: TabSql; engine: SqliteEngine; clock: FakeClock }> {
  const engine = openNodeEngine(":memory:")
  t.after(() => engine.close())
  const clock = new FakeClock()
  const sql = openSql(engine, { clock, log: silentLog })
  await sql.script("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT)")
  return { sql, engine, clock }
}

function insert(sql: TabSql, id: number): Promise<unknown> {
  return sql.run("INSERT INTO things VALUES (?, 'x')", id)
}

async function ids(sql: TabSql): Promise<number[]> {
  return (await sql.all<{ id: number }>("SELECT id FROM things ORDER BY id")).map(({ id }) => id)
}

function codeOf(result: PromiseSettledResult<unknown>): string {
  return result.status === "fulfilled" ? "" : (result.reason as { code: string }).code
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}
