/**
 * Node's own SQLite under a server: a file with a write-ahead log, every commit on disk, locked as long as it is open, so
 * that a second process fails at once instead of working on the same data.
 */

import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { StatementSync } from "node:sqlite"
import { RdvError } from "../../../base/error.ts"
import type { SqlResult, SqlRow, SqlValue } from "../app/sql.ts"
import { plainDatabase } from "../data/database-file.ts"
import type { ExactResult, ExactRows, ExactValue, SqliteEngine } from "../data/engine.ts"
import { refusalOf } from "../data/guard.ts"
import { checkCount, checkSingle, countPlaceholders } from "../data/placeholders.ts"
import { checkOwnTables } from "../data/own-tables.ts"
import { sqlError } from "../data/sql-error.ts"
import { StatementCache } from "../data/statement-cache.ts"
import { ExactCount } from "../data/statements.ts"

/**
 * Opens the database, makes it when there is none. `:memory:` is not durable. Throws `claimed` while another process has
 * it, `corrupt` when the file is no database, `unreachable` when it cannot be opened.
 */
export function openNodeEngine(file: string): SqliteEngine {
  return new NodeEngine(file)
}

interface Prepared {
  readonly statement: StatementSync
  /** Values. */
  readonly takes: number
}

class NodeEngine implements SqliteEngine {
  readonly isDurable: boolean
  isGuarded = false
  readonly #file: string
  readonly #statements = new StatementCache<Prepared>(200, () => undefined)
  #database: DatabaseSync
  #refusal: RdvError | undefined

  constructor(file: string) {
    this.#file = file
    this.isDurable = file !== ":memory:"
    this.#database = this.#open()
  }

  exec(text: string): void {
    try {
      this.#database.exec(text)
    } catch (error) {
      throw this.#why(error)
    }
  }

  all(text: string, values: readonly SqlValue[], limit?: number): SqlRow[] {
    try {
      const statement = this.#statement(text, values)
      if (limit === undefined) return statement.all(...bound(values)) as SqlRow[]
      const rows: SqlRow[] = []
      for (const row of statement.iterate(...bound(values))) {
        rows.push(row as SqlRow)
        if (rows.length >= limit) break
      }
      return rows
    } catch (error) {
      throw this.#why(error)
    }
  }

  run(text: string, values: readonly SqlValue[]): SqlResult {
    try {
      const { changes, lastInsertRowid } = this.#statement(text, values).run(...bound(values))
      return { changes: Number(changes), lastId: Number(lastInsertRowid) }
    } catch (error) {
      throw this.#why(error)
    }
  }

  exactAll(text: string, values: readonly ExactValue[]): ExactRows {
    return this.#exact(text, values, (statement) => {
      const rows: ExactValue[][] = []
      const count = new ExactCount()
      for (const row of statement.iterate(...values) as Iterable<unknown> as Iterable<ExactValue[]>) {
        count.add(row)
        rows.push(row)
      }
      // Only now: a change of the schema changes the columns of a statement that was prepared before.
      const columns = statement.columns().map(({ name, type }) => ({ name, declared: type ?? "" }))
      return { columns, rows }
    })
  }

  exactRun(text: string, values: readonly ExactValue[]): ExactResult {
    return this.#exact(text, values, (statement) => {
      const { changes, lastInsertRowid } = statement.run(...values)
      return { changes: Number(changes), lastId: BigInt(lastInsertRowid) }
    })
  }

  get isInTransaction(): boolean {
    return this.#database.isTransaction
  }

  get sizeBytes(): number {
    if (!this.isDurable) {
      const { pages, bytes } = this.all(
        "SELECT page_count AS pages, page_size AS bytes FROM pragma_page_count, pragma_page_size",
        [],
      )[0] as { pages: number; bytes: number }
      return pages * bytes
    }
    const log = `${this.#file}-wal`
    return statSync(this.#file).size + (existsSync(log) ? statSync(log).size : 0)
  }

  export(): Uint8Array {
    return plainDatabase(this.#database.serialize())
  }

  import(file: Uint8Array): void {
    const plain = plainDatabase(file)
    const beside = this.isDurable ? `${this.#file}.import` : ":memory:"
    try {
      if (this.isDurable) writeWhole(beside, plain)
      const checked = new DatabaseSync(beside)
      try {
        if (!this.isDurable) checked.deserialize(plain)
        check(checked)
      } finally {
        checked.close()
      }
      this.#replace(beside, plain)
    } catch (error) {
      throw sqlError(error)
    } finally {
      if (this.isDurable) rmSync(beside, { force: true })
    }
  }

  close(): void {
    this.#statements.clear()
    if (this.#database.isOpen) this.#database.close()
  }

  #replace(beside: string, plain: Uint8Array): void {
    this.#statements.clear()
    if (!this.isDurable) {
      this.#database.deserialize(plain)
      return
    }
    // Without a log nothing but the file itself is left of the old one, and it stays locked until the new one is in place.
    this.#database.exec("PRAGMA journal_mode = DELETE")
    try {
      renameSync(beside, this.#file)
    } catch (error) {
      this.#database.exec("PRAGMA journal_mode = WAL")
      throw error
    }
    const folder = openSync(dirname(this.#file), "r")
    fsyncSync(folder)
    closeSync(folder)
    this.#database.close()
    this.#database = this.#open()
  }

  #open(): DatabaseSync {
    let database: DatabaseSync | undefined
    try {
      database = new DatabaseSync(this.#file, { timeout: 0 })
      // Before the log: then its index is in memory, and the file is locked from the first access on.
      database.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")
      database.exec("PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; BEGIN EXCLUSIVE; COMMIT")
      database.setAuthorizer((code, first, second) => {
        this.#refusal = this.isGuarded ? refusalOf(code, first, second) : undefined
        return this.#refusal === undefined ? 0 : 1
      })
      return database
    } catch (error) {
      database?.close()
      const failure = sqlError(error)
      if (failure.code !== "claimed")
        throw new RdvError(failure.code, `${this.#file}: ${failure.message}`, { cause: error })
      throw new RdvError("claimed", `${this.#file} is in use by another process`, {
        cause: error,
        mend: "stop the other one first: a database has one server",
      })
    }
  }

  #exact<Value>(text: string, values: readonly ExactValue[], work: (statement: StatementSync) => Value): Value {
    try {
      const statement = this.#statement(text, values)
      statement.setReadBigInts(true)
      statement.setReturnArrays(true)
      try {
        return work(statement)
      } finally {
        statement.setReadBigInts(false)
        statement.setReturnArrays(false)
      }
    } catch (error) {
      throw this.#why(error)
    }
  }

  #statement(text: string, values: readonly unknown[]): StatementSync {
    let prepared = this.#statements.get(text)
    if (prepared === undefined) {
      const statement = this.#database.prepare(text)
      const { sourceSQL } = statement
      checkSingle(text, sourceSQL.length)
      prepared = { statement, takes: countPlaceholders(sourceSQL) }
      if (text.length <= longestKept) this.#statements.put(text, prepared)
    }
    checkCount(prepared.takes, values.length)
    return prepared.statement
  }

  #why(error: unknown): unknown {
    const refusal = this.#refusal
    this.#refusal = undefined
    return refusal ?? error
  }
}

/** Node would bind every number as a real one: `? / 2` would then not be what it is in a browser. */
function bound(values: readonly SqlValue[]): (null | number | bigint | string | Uint8Array)[] {
  return values.map((value) => (typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value))
}

function check(database: DatabaseSync): void {
  const row = database.prepare("PRAGMA integrity_check(1)").get() as { integrity_check: string }
  if (row.integrity_check !== "ok") {
    throw new RdvError("corrupt", `The database in the file is damaged: ${row.integrity_check}`)
  }
  checkOwnTables((text) => database.prepare(text).all() as SqlRow[])
}

function writeWhole(path: string, bytes: Uint8Array): void {
  const handle = openSync(path, "w", 0o600)
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at)
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}

const longestKept = 10_000
