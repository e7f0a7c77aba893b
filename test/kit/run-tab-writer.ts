/** A process that writes rows without end and prints each id after its commit: for tests that kill it. `FILE` is its argument. */

import { writeSync } from "node:fs"
import { systemClock } from "../../src/base/clock.ts"
import { silentLog } from "../../src/base/log.ts"
import { openSql } from "../../src/capabilities/tab/data/tab-sql.ts"
import { openNodeEngine } from "../../src/capabilities/tab/node/sqlite-engine.ts"

const sql = openSql(openNodeEngine(process.argv[2] as string), { clock: systemClock, log: silentLog })
await sql.script("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, text TEXT)")
await sql.script("CREATE INDEX IF NOT EXISTS by_text ON rows (text)")
const last = await sql.get<{ id: number }>("SELECT coalesce(max(id), 0) AS id FROM rows")
let next = (last?.id ?? 0) + 1

/** Half of them in transactions of two. */
async function write(): Promise<never> {
  for (;;) {
    const id = next
    next += 2
    if (id % 4 === 1) {
      await sql.run("INSERT INTO rows VALUES (?, ?)", id, `row ${id} ${"x".repeat(id % 700)}`)
    } else {
      await sql.transaction((within) => {
        within.run("INSERT INTO rows VALUES (?, 'one of two')", id)
        within.run("INSERT INTO rows VALUES (?, 'one of two')", id + 1)
      })
    }
    // At once: what is printed is promised.
    writeSync(1, `${id}\n`)
  }
}

await Promise.all(Array.from({ length: 8 }, write))
