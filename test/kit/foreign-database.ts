/** A database file as other software makes them: with a log, and pages of 16 KiB. */

import { readFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"

/** Uses the folder for it. */
export function foreignDatabase(folder: string): Uint8Array {
  const file = join(folder, "foreign.db")
  const database = new DatabaseSync(file)
  database.exec("PRAGMA page_size = 16384; PRAGMA journal_mode = WAL")
  database.exec("CREATE TABLE things (name); INSERT INTO things VALUES ('foreign')")
  database.close()
  return new Uint8Array(readFileSync(file))
}
