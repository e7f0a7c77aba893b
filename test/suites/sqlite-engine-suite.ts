/**
 * What every engine under a tab's server promises, with what the data layer makes of it. The same tests run in Node and in
 * browsers' workers, so they use nothing but the language; a place opens the engine there.
 */

import { systemClock } from "../../src/base/clock.ts"
import { RdvError } from "../../src/base/error.ts"
import { silentLog } from "../../src/base/log.ts"
import { openBlobs } from "../../src/capabilities/tab/data/blobs.ts"
import type { SqliteEngine } from "../../src/capabilities/tab/data/engine.ts"
import { raiseEpoch } from "../../src/capabilities/tab/data/epoch.ts"
import { sqlError } from "../../src/capabilities/tab/data/sql-error.ts"
import { openSql } from "../../src/capabilities/tab/data/tab-sql.ts"

export interface EnginePlace {
  /** The place's one database, as it is. */
  open(): Promise<SqliteEngine>
  /** Another one, in memory. */
  memory(): Promise<SqliteEngine>
  /** A database that other software has made, with a log and pages of 16 KiB: a table `things` with one `name`, `foreign`. */
  foreign(): Promise<Uint8Array>
}

export interface EngineTest {
  readonly name: string
  run(place: EnginePlace): Promise<void>
}

/** A test that has an engine with nothing of other tests in it. */
function engineTest(
  name: string,
  body: (engine: SqliteEngine, place: EnginePlace) => void | Promise<void>,
): EngineTest {
  return {
    name,
    async run(place) {
      const engine = await place.open()
      try {
        clear(engine)
        await body(engine, place)
      } finally {
        engine.close()
      }
    },
  }
}

export const engineTests: readonly EngineTest[] = [
  engineTest("values come back as they went in", (engine) => {
    engine.exec("CREATE TABLE things (value)")
    const long = "ä€😀\"'?;--".repeat(5000)
    const bytes = Uint8Array.from({ length: 300_000 }, (_, at) => at % 251)
    const values = [null, 0, -1, 1.5, -1e300, 2 ** 53 - 1, -(2 ** 53) + 1, 2 ** 31, "", "a\0b", long, bytes]
    for (const value of [...values, new Uint8Array(0), bytes.subarray(3, 7)]) {
      engine.run("DELETE FROM things", [])
      engine.run("INSERT INTO things VALUES (?)", [value])
      const [row] = engine.all("SELECT value FROM things", [])
      equal(row?.["value"], value)
    }
  }),

  engineTest("whole numbers are integers to SQLite, others are real", (engine) => {
    const [row] = engine.all("SELECT typeof(?) AS whole, ? / 2 AS half, typeof(?) AS broken, typeof(?) AS huge", [
      5,
      5,
      1.5,
      2 ** 60,
    ])
    equal({ ...row }, { whole: "integer", half: 2, broken: "real", huge: "real" })
  }),

  engineTest("an integer that no number holds is refused, not rounded", (engine) => {
    fails("limit", () => engine.all("SELECT 9007199254740993 AS value", []))
    fails("limit", () => engine.all("SELECT -9007199254740993 AS value", []))
    equal(engine.all("SELECT 9007199254740991 AS value", [])[0]?.["value"], 2 ** 53 - 1)
  }),

  engineTest(
    "exact values keep integers of 64 bits and tell them from reals, and columns may have one name",
    (engine) => {
      engine.exec("CREATE TABLE things (whole INTEGER, broken REAL, made DATETIME, value)")
      const most = 2n ** 63n - 1n
      const { changes, lastId } = engine.exactRun("INSERT INTO things VALUES (?, ?, ?, ?)", [most, 3, "2026-11-21", 3n])
      equal([changes, lastId], [1, 1n])
      const { columns, rows } = engine.exactAll("SELECT *, whole, typeof(?), typeof(?), 2, 1 FROM things", [3, 3n])
      equal(
        columns.map(({ name }) => name),
        ["whole", "broken", "made", "value", "whole", "typeof(?)", "typeof(?)", "2", "1"],
      )
      equal(
        columns.slice(0, 5).map(({ declared }) => declared),
        ["INTEGER", "REAL", "DATETIME", "", "INTEGER"],
      )
      equal(rows, [[most, 3, "2026-11-21", 3n, most, "real", "integer", 2n, 1n]])
      equal(engine.exactAll("SELECT whole FROM things WHERE 0", []).columns.length, 1)
      equal(engine.exactAll("SELECT ?, ?, ?", [null, new Uint8Array([1, 2]), "a"]).rows, [
        [null, new Uint8Array([1, 2]), "a"],
      ])
      // Statements are shared with the other way.
      equal(engine.all("SELECT value FROM things", [])[0]?.["value"], 3)
      fails("exists", () => {
        engine.exec("CREATE UNIQUE INDEX one ON things (value)")
        engine.exactRun("INSERT INTO things VALUES (?, ?, ?, ?)", [1n, 3, "2026-11-21", 3n])
      })
      fails("limit", () => engine.exactAll("SELECT zeroblob(50000000) UNION ALL SELECT zeroblob(50000001)", []))
    },
  ),

  engineTest("what SQLite refuses has its code and its words", (engine) => {
    engine.exec("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, age CHECK (age > 0))")
    engine.run("INSERT INTO people (name, age) VALUES (?, ?)", ["anna", 7])
    equal(
      fails("exists", () => engine.run("INSERT INTO people (name) VALUES ('anna')", [])).includes("people.name"),
      true,
    )
    fails("exists", () => engine.run("INSERT INTO people (name) VALUES (NULL)", []))
    fails("exists", () => engine.run("INSERT INTO people (name, age) VALUES ('bert', -1)", []))
    equal(fails("usage", () => engine.run("INSRT INTO people VALUES (1)", [])).includes('near "INSRT"'), true)
    equal(fails("usage", () => engine.all("SELECT * FROM nobody", [])).includes("nobody"), true)
    fails("usage", () => engine.run("", []))
    fails("usage", () => engine.all("SELECT ?", []))
    fails("usage", () => engine.all("SELECT ?, '?', \"id\", [id], /* ? */ ? FROM people -- ?", [1, 2, 3]))
    fails("usage", () => engine.run("DELETE FROM people; DELETE FROM people", []))
    equal(engine.all("SELECT ?, '?', \"id\", [id], /* ? */ ? FROM people -- ?", [1, 2]).length, 1)
    equal(engine.all("SELECT ?1, ?1;  -- an end\n;", [1]).length, 1)
  }),

  engineTest("a statement counts its changes, and answers what it returns", (engine) => {
    engine.exec("CREATE TABLE things (id INTEGER PRIMARY KEY, value)")
    equal(engine.run("INSERT INTO things (value) VALUES (1), (2), (3)", []), { changes: 3, lastId: 3 })
    equal(engine.run("UPDATE things SET value = 0 WHERE id > 1", []).changes, 2)
    const rows = engine.all("INSERT INTO things (value) VALUES (?), (?) RETURNING id, value", [8, 9])
    equal(plain(rows), [
      { id: 4, value: 8 },
      { id: 5, value: 9 },
    ])
    equal(engine.all("SELECT id FROM things ORDER BY id", [], 2).length, 2)
    // One that was left early holds nothing up.
    equal(engine.run("DELETE FROM things", []).changes, 5)
  }),

  engineTest("a statement that was prepared before sees the columns of now", (engine) => {
    engine.exec("CREATE TABLE things (id INTEGER PRIMARY KEY); INSERT INTO things VALUES (1)")
    equal(plain(engine.all("SELECT * FROM things", [])), [{ id: 1 }])
    engine.exec("ALTER TABLE things ADD COLUMN name TEXT DEFAULT 'x'")
    equal(plain(engine.all("SELECT * FROM things", [])), [{ id: 1, name: "x" }])
    engine.exec("ALTER TABLE things RENAME COLUMN name TO title")
    equal(plain(engine.all("SELECT * FROM things", [])), [{ id: 1, title: "x" }])
  }),

  engineTest("foreign keys hold", (engine) => {
    engine.exec("CREATE TABLE rooms (id INTEGER PRIMARY KEY)")
    engine.exec("CREATE TABLE messages (room INTEGER NOT NULL REFERENCES rooms)")
    fails("exists", () => engine.run("INSERT INTO messages VALUES (1)", []))
  }),

  engineTest("an application cannot end the server's transaction, nor change how it works", (engine) => {
    engine.exec("CREATE TABLE things (id)")
    engine.exec("BEGIN IMMEDIATE")
    engine.isGuarded = true
    const forbidden = [
      "COMMIT",
      "ROLLBACK",
      "SAVEPOINT a",
      "/* */ BEGIN",
      "ATTACH ':memory:' AS other",
      "PRAGMA journal_mode = DELETE",
      "PRAGMA locking_mode = NORMAL",
      "PRAGMA synchronous = OFF",
      "PRAGMA foreign_keys = OFF",
      "PRAGMA writable_schema = ON",
    ]
    for (const text of forbidden) {
      fails("usage", () => engine.run(text, []))
      fails("usage", () => engine.exec(`SELECT 1; ${text}`))
    }
    engine.run("INSERT INTO things VALUES (1)", [])
    equal(plain(engine.all("PRAGMA table_info(things)", [])).length, 1)
    engine.run("PRAGMA user_version = 7", [])
    engine.isGuarded = false
    equal(engine.isInTransaction, true)
    engine.exec("COMMIT")
    equal(engine.isInTransaction, false)
    equal(engine.all("PRAGMA user_version", [])[0]?.["user_version"], 7)
  }),

  engineTest("full storage is said, and nothing is lost by it", (engine) => {
    engine.exec("CREATE TABLE things (bytes BLOB); INSERT INTO things VALUES (x'01')")
    const [size] = engine.all("PRAGMA page_count", [])
    engine.exec(`PRAGMA max_page_count = ${(size?.["page_count"] as number) + 8}`)
    let inserted = 1
    const error = fails("limit", () => {
      for (let row = 0; row < 100; row++) {
        engine.run("INSERT INTO things VALUES (zeroblob(8000))", [])
        inserted++
      }
    })
    equal(error.includes("full"), true)
    equal(engine.all("SELECT count(*) AS count FROM things", [])[0]?.["count"], inserted)
    engine.exec("PRAGMA max_page_count = 1073741823")
    engine.run("INSERT INTO things VALUES (zeroblob(8000))", [])
    sound(engine)
  }),

  engineTest("what is exported can be imported, also elsewhere, and replaces everything", async (engine, place) => {
    engine.exec("CREATE TABLE things (name); INSERT INTO things VALUES ('first')")
    const file = engine.export()
    engine.exec("DROP TABLE things; CREATE TABLE others (x)")
    engine.import(file)
    equal(plain(engine.all("SELECT name FROM things", [])), [{ name: "first" }])
    fails("usage", () => engine.all("SELECT * FROM others", []))
    engine.run("INSERT INTO things VALUES ('second')", [])
    sound(engine)
    const memory = await place.memory()
    memory.import(engine.export())
    equal(plain(memory.all("SELECT name FROM things", [])), [{ name: "first" }, { name: "second" }])
    memory.close()
  }),

  engineTest("a database with pages of another size is imported too", async (engine, place) => {
    engine.import(await place.foreign())
    equal(plain(engine.all("SELECT name FROM things", [])), [{ name: "foreign" }])
    engine.run("INSERT INTO things VALUES ('more')", [])
    sound(engine)
    const memory = await place.memory()
    memory.import(await place.foreign())
    equal(plain(memory.all("SELECT name FROM things", [])), [{ name: "foreign" }])
    memory.run("INSERT INTO things VALUES ('more')", [])
    sound(memory)
    memory.close()
  }),

  engineTest("a file that is no whole database is refused, and leaves what was there", (engine) => {
    engine.exec("CREATE TABLE things (name); INSERT INTO things VALUES ('kept')")
    engine.exec("CREATE INDEX by_name ON things (name)")
    engine.exec("BEGIN")
    for (let row = 0; row < 2000; row++) engine.run("INSERT INTO things VALUES (?)", [`row ${row}`])
    engine.exec("COMMIT")
    const file = engine.export()
    const torn = file.slice()
    torn.fill(255, 3 * 4096, 8 * 4096)
    for (const bad of [new Uint8Array(0), new Uint8Array(8192), file.subarray(0, file.length - 4096), torn]) {
      fails("corrupt", () => engine.import(bad))
      equal(engine.all("SELECT count(*) AS count FROM things", [])[0]?.["count"], 2001)
    }
    engine.run("INSERT INTO things VALUES ('after')", [])
    sound(engine)
  }),

  engineTest(
    "a database of a newer release is refused, or one with tables of our names, and leaves what was there",
    async (engine, place) => {
      engine.exec("CREATE TABLE things (name); INSERT INTO things VALUES ('kept')")
      const facts = "CREATE TABLE _rdv_facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID"
      const others = [
        ["version", `${facts}; INSERT INTO _rdv_facts VALUES ('tables', 99)`],
        ["corrupt", `${facts}; INSERT INTO _rdv_facts VALUES ('tables', 1)`],
        ["corrupt", "CREATE TABLE _rdv_facts (what)"],
        ["corrupt", "CREATE VIEW _rdv_replies AS SELECT 1"],
      ] as const
      for (const [code, schema] of others) {
        const other = await place.memory()
        other.exec(schema)
        const file = other.export()
        other.close()
        fails(code, () => engine.import(file))
        equal(plain(engine.all("SELECT name FROM things", [])), [{ name: "kept" }])
      }
      engine.run("INSERT INTO things VALUES ('after')", [])
      sound(engine)
    },
  ),

  {
    name: "what was committed is there when it is opened again; what was not is not",
    async run(place) {
      let engine = await place.open()
      clear(engine)
      engine.exec("CREATE TABLE things (name); INSERT INTO things VALUES ('committed')")
      engine.exec("BEGIN IMMEDIATE; INSERT INTO things VALUES ('open')")
      engine.close()
      engine.close()
      engine = await place.open()
      equal(plain(engine.all("SELECT name FROM things", [])), [{ name: "committed" }])
      equal(engine.isDurable, true)
      equal(engine.sizeBytes > 0, true)
      engine.close()
    },
  },

  engineTest("a second one is refused while the first has the database, and harms nothing", async (engine, place) => {
    engine.exec("CREATE TABLE things (name); INSERT INTO things VALUES ('first')")
    for (let attempt = 0; attempt < 3; attempt++) {
      const refusal = await place.open().then(
        () => undefined,
        (error: unknown) => error,
      )
      equal(refusal instanceof RdvError && refusal.code, "claimed")
    }
    engine.run("INSERT INTO things VALUES ('second')", [])
    equal(engine.all("SELECT * FROM things", []).length, 2)
    sound(engine)
  }),

  engineTest("writes of one moment share a commit; one that fails takes back only itself", async (engine) => {
    const sql = openSql(engine, { clock: systemClock, log: silentLog })
    await sql.script("CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
    const before = sql.stats()["commits"] as number
    const results = await Promise.allSettled([
      ...Array.from({ length: 50 }, (_, id) => sql.run("INSERT INTO things VALUES (?, ?)", id, `name ${id}`)),
      sql.run("INSERT INTO things VALUES (99, 'name 7')"),
      sql.transaction((within) => {
        within.run("INSERT INTO things VALUES (100, 'taken back')")
        throw new Error("on purpose")
      }),
      sql.script("INSERT INTO things VALUES (101, 'of a script'); INSERT INTO things VALUES (101, 'twice')"),
      sql.get("SELECT count(*) AS count FROM things"),
    ])
    equal(sql.stats()["commits"], before + 1)
    equal(results.filter(({ status }) => status === "rejected").length, 3)
    const last = results.at(-1) as { value?: { readonly count: number } }
    equal(last.value?.count, 50)
    equal((await sql.get<{ count: number }>("SELECT count(*) AS count FROM things"))?.count, 50)
    await sql.close()
  }),

  engineTest("a transaction that awaits is whole, and the epoch only rises", async (engine) => {
    const sql = openSql(engine, { clock: systemClock, log: silentLog })
    await sql.script("CREATE TABLE things (name)")
    const waits = sql.transaction(async (within) => {
      within.run("INSERT INTO things VALUES ('one')")
      await new Promise<void>((resolve) => setTimeout(resolve, 20))
      within.run("INSERT INTO things VALUES ('two')")
      return within.all("SELECT * FROM things").length
    })
    const behind = sql.run("INSERT INTO things VALUES ('three')")
    equal(await waits, 2)
    equal((await behind).lastId, 3)
    const epoch = await raiseEpoch(sql)
    const file = await sql.export()
    equal(await raiseEpoch(sql), epoch + 1)
    await sql.import(file)
    equal(await raiseEpoch(sql), epoch + 2)
    // A copy that was put back has forgotten starts, but not the time; a clock that goes back takes nothing back.
    equal(await raiseEpoch(sql, 1e12), 1e12)
    equal(await raiseEpoch(sql, 5), 1e12 + 1)
    await sql.close()
  }),

  engineTest("blobs go in and out as streams, once each", async (engine) => {
    const sql = openSql(engine, { clock: systemClock, log: silentLog })
    const blobs = await openBlobs(sql, { clock: systemClock, log: silentLog })
    const bytes = Uint8Array.from({ length: 700_000 }, (_, at) => (at * at) % 253)
    const facts = await blobs.put(streamOf(bytes, 100_001), { type: "image/png" })
    equal(facts.bytes, bytes.length)
    equal(await blobs.put(bytes), facts)
    equal(await bytesOf(await blobs.get(facts.id)), bytes)
    equal(await bytesOf(await blobs.get(facts.id, { from: 262_100, to: 262_200 })), bytes.slice(262_100, 262_200))
    equal((await sql.get<{ count: number }>("SELECT count(*) AS count FROM _rdv_blob_rows"))?.count, 3)
    equal(await blobs.delete(facts.id), true)
    equal(await blobs.get(facts.id), undefined)
    equal((await sql.get<{ count: number }>("SELECT count(*) AS count FROM _rdv_blob_rows"))?.count, 0)
    await sql.close()
  }),
]

/** Drops all that is in it. */
function clear(engine: SqliteEngine): void {
  engine.exec("PRAGMA foreign_keys = OFF; PRAGMA user_version = 0")
  const tables = engine.all("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", [])
  for (const { name } of tables) engine.exec(`DROP TABLE "${String(name)}"`)
  engine.exec("PRAGMA foreign_keys = ON")
}

function sound(engine: SqliteEngine): void {
  equal(engine.all("PRAGMA integrity_check", [])[0]?.["integrity_check"], "ok")
}

/** Node's rows have no prototype. */
function plain(rows: readonly object[]): object[] {
  return rows.map((row) => ({ ...row }))
}

/** The message. */
function fails(code: string, work: () => unknown): string {
  let error: RdvError | undefined
  try {
    work()
  } catch (thrown) {
    error = sqlError(thrown)
  }
  if (error?.code !== code)
    throw new Error(`Expected ${code}, not ${error?.code ?? "success"}: ${error?.message ?? ""}`)
  return error.message
}

function equal(actual: unknown, expected: unknown): void {
  const [is, should] = [shown(actual), shown(expected)]
  if (is !== should) throw new Error(`${is.slice(0, 300)} is not ${should.slice(0, 300)}`)
}

function shown(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) => {
      if (typeof part === "bigint") return `${part}n`
      return part instanceof Uint8Array ? { bytes: [...part].join() } : part
    }) ?? "none"
  )
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

async function bytesOf(stream: ReadableStream<Uint8Array> | undefined): Promise<Uint8Array | undefined> {
  return stream === undefined ? undefined : new Uint8Array(await new Response(stream).arrayBuffer())
}
