/**
 * The epoch: which start of this database's server it is. Relay and service worker refuse a lower one than they have seen,
 * so that a server that was believed dead and wakes up does no harm.
 */

import type { SqliteEngine } from "./engine.ts"
import { isStorageFull } from "./sql-error.ts"
import type { TabSql } from "./tab-sql.ts"

/**
 * One more than ever before; on disk when it resolves. Not below the time of day (ms since 1970): a database that was put
 * back from a copy, or killed within an import, has forgotten starts that the relay remembers. For the same reason a storage
 * without room is no reason not to start: who starts there can delete something.
 */
export async function raiseEpoch(sql: TabSql, wallMs = 0): Promise<number> {
  const least = Math.max(1, Math.floor(wallMs))
  try {
    const row = await sql.get<{ value: number }>(
      "INSERT INTO _rdv_facts VALUES ('epoch', ?) ON CONFLICT DO UPDATE SET value = max(value + 1, excluded.value) RETURNING value",
      least,
    )
    return row?.value ?? least
  } catch (error) {
    if (!isStorageFull(error)) throw error
    const row = await sql.get<{ value: number }>("SELECT value FROM _rdv_facts WHERE name = 'epoch'")
    return Math.max((row?.value ?? 0) + 1, least)
  }
}

/** Around what puts another database in the place of this one: the epoch does not go back. */
export function keepEpoch(engine: SqliteEngine, replace: () => void): void {
  const [row] = engine.all("SELECT value FROM _rdv_facts WHERE name = 'epoch'", [])
  replace()
  const epoch = row?.["value"] ?? 0
  engine.run(
    "INSERT INTO _rdv_facts VALUES ('epoch', ?) ON CONFLICT DO UPDATE SET value = max(value, excluded.value)",
    [epoch],
  )
}
