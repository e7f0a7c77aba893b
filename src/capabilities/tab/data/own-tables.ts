/**
 * The server's own tables, beside the application's in the same database, so that an effect and what is known about it
 * share a transaction and an export has both. Their names begin with `_rdv_`.
 */

import { RdvError } from "../../../base/error.ts"
import type { SqlRow } from "../app/sql.ts"
import type { SqliteEngine } from "./engine.ts"

/** Makes what is missing, in one transaction. Throws `version` when a newer release has written the database. */
export function makeOwnTables(engine: SqliteEngine): void {
  const version = versionOf(engine)
  if (version === tablesVersion) return
  if (version > tablesVersion) throw newerRelease(version)
  engine.exec("BEGIN IMMEDIATE")
  try {
    engine.exec(tables)
    engine.exec("COMMIT")
  } catch (error) {
    if (engine.isInTransaction) engine.exec("ROLLBACK")
    throw error
  }
}

/**
 * Before a database takes the place of another one: whether it is one that this release can go on with. Throws `version`, or
 * `corrupt` where something else has our tables' names. Both come too late afterwards.
 */
export function checkOwnTables(all: (text: string) => readonly SqlRow[]): void {
  const names = all(
    "SELECT name FROM sqlite_schema WHERE name LIKE '\\_rdv\\_%' ESCAPE '\\' AND type IN ('table', 'view')",
  )
  if (names.length === 0) return
  let version: unknown
  try {
    version = all("SELECT value FROM _rdv_facts WHERE name = 'tables'")[0]?.["value"]
    if (version === tablesVersion) {
      all("SELECT content, id, bytes, type, made FROM _rdv_blobs LIMIT 0")
      all("SELECT content, number, bytes FROM _rdv_blob_rows LIMIT 0")
      all("SELECT key, made, status, headers, body FROM _rdv_replies LIMIT 0")
      return
    }
  } catch (cause) {
    throw new RdvError("corrupt", "The database in the file has tables _rdv_… that are no server's", { cause })
  }
  if (typeof version === "number" && version > tablesVersion) throw newerRelease(version)
  throw new RdvError("corrupt", "The database in the file has tables _rdv_… that are no server's")
}

function versionOf(engine: SqliteEngine): number {
  const [table] = engine.all("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_rdv_facts'", [])
  if (table === undefined) return 0
  const [row] = engine.all("SELECT value FROM _rdv_facts WHERE name = 'tables'", [])
  return typeof row?.["value"] === "number" ? row["value"] : 0
}

function newerRelease(version: number): RdvError {
  return new RdvError("version", `A newer release has written this database (tables ${version})`, {
    mend: "run that release",
  })
}

const tablesVersion = 1

const tables = `
CREATE TABLE IF NOT EXISTS _rdv_facts (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS _rdv_blobs (
  content INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT UNIQUE,
  bytes INTEGER NOT NULL,
  type TEXT NOT NULL,
  made INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS _rdv_blob_rows (
  content INTEGER NOT NULL,
  number INTEGER NOT NULL,
  bytes BLOB NOT NULL,
  UNIQUE (content, number)
);
CREATE TABLE IF NOT EXISTS _rdv_replies (
  key TEXT NOT NULL UNIQUE,
  made INTEGER NOT NULL,
  status INTEGER NOT NULL,
  headers TEXT NOT NULL,
  body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS _rdv_replies_made ON _rdv_replies (made);
INSERT INTO _rdv_facts VALUES ('tables', ${tablesVersion}) ON CONFLICT DO UPDATE SET value = excluded.value;
`
