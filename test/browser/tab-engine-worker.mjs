/** In a browser's worker: runs the tests of engines, or writes rows without end for a browser that is killed. */

import { openBrowserEngine, openMemoryEngine } from "../../src/web/tab/sqlite-engine.ts"
import { systemClock } from "../../src/base/clock.ts"
import { silentLog } from "../../src/base/log.ts"
import { openSql } from "../../src/capabilities/tab/data/tab-sql.ts"
import { engineTests } from "../suites/sqlite-engine-suite.ts"

const options = { wasmUrl: "/sqlite3.wasm" }

const place = {
  open: () => openBrowserEngine(options),
  memory: () => openMemoryEngine(options),
  foreign: async () => new Uint8Array(await (await fetch("/foreign.db")).arrayBuffer()),
}

const tasks = {
  async suite() {
    const results = []
    for (const test of engineTests) {
      const { name } = test
      const started = performance.now()
      try {
        await test.run(place)
        results.push({ name, ms: Math.round(performance.now() - started) })
      } catch (error) {
        results.push({ name, error: `${error.code ?? ""} ${error.message}\n${error.stack}` })
      }
    }
    return results
  },

  /** Opens it while somebody else has it. */
  async open() {
    try {
      const engine = await place.open()
      engine.close()
      return "opened"
    } catch (error) {
      return error.code
    }
  },

  /** Keeps it. */
  async hold() {
    await place.open()
    return "held"
  },

  /** What is there, then rows without end: each is told to the server after its commit. */
  async write() {
    const engine = await place.open()
    const sql = openSql(engine, { clock: systemClock, log: silentLog })
    await sql.script(
      "CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT); CREATE INDEX IF NOT EXISTS by_text ON rows (text)",
    )
    const rows = await sql.all("SELECT id FROM rows ORDER BY id")
    const [{ integrity_check: integrity }] = await sql.all("PRAGMA integrity_check")
    const socket = new WebSocket(`ws://${location.host}/acknowledged`)
    await new Promise((resolve, reject) => {
      socket.onopen = resolve
      socket.onerror = reject
    })
    socket.send(JSON.stringify({ integrity, ids: rows.map(({ id }) => id) }))
    let next = (rows.at(-1)?.id ?? 0) + 1
    const writer = async () => {
      for (;;) {
        const id = next++
        await sql.run("INSERT INTO rows VALUES (?, ?)", id, `row ${id} ${"x".repeat(id % 500)}`)
        socket.send(`${id}`)
      }
    }
    for (let writers = 0; writers < 8; writers++) void writer()
    return rows.length
  },

  async full() {
    const engine = await place.open()
    const sql = openSql(engine, { clock: systemClock, log: silentLog })
    await sql.script("CREATE TABLE IF NOT EXISTS things (bytes BLOB)")
    let rows = 0
    let code = "none"
    try {
      for (; rows < 200; rows++) await sql.run("INSERT INTO things VALUES (zeroblob(1000000))")
    } catch (error) {
      code = `${error.code}: ${error.message}`
    }
    const { count } = await sql.get("SELECT count(*) AS count FROM things")
    const [{ integrity_check: integrity }] = await sql.all("PRAGMA integrity_check")
    await sql.run("DELETE FROM things").catch((error) => (code += ` / ${error.code}: ${error.message}`))
    await sql.close()
    return { code, rows, count, integrity }
  },

  async speed(ms) {
    const engine = await place.open()
    const sql = openSql(engine, { clock: systemClock, log: silentLog })
    await sql.script("DROP TABLE IF EXISTS rows; CREATE TABLE rows (id INTEGER PRIMARY KEY, text TEXT)")
    const result = {}
    for (const writers of [1, 64]) {
      const end = performance.now() + ms
      let rows = 0
      const writer = async () => {
        while (performance.now() < end) {
          await sql.run("INSERT INTO rows (text) VALUES (?)", "a row of some length, as rows are")
          rows++
        }
      }
      await Promise.all(Array.from({ length: writers }, writer))
      result[writers] = Math.round((rows * 1000) / ms)
    }
    result.stats = sql.stats()
    await sql.close()
    return result
  },
}

self.onmessage = async ({ data: { task, value } }) => {
  try {
    self.postMessage({ value: await tasks[task](value) })
  } catch (error) {
    self.postMessage({ error: `${error.code ?? ""} ${error.message}\n${error.stack}` })
  }
}
