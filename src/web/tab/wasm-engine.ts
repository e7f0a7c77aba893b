/** The engine over a connection of SQLite's WebAssembly build, wherever that keeps its file. */

import type { Database, PreparedStatement, SAHPoolUtil, Sqlite3Static } from "@sqlite.org/sqlite-wasm"
import { RdvError } from "../../base/error.ts"
import type { SqlResult, SqlRow, SqlValue } from "../../capabilities/tab/app/sql.ts"
import { plainDatabase } from "../../capabilities/tab/data/database-file.ts"
import type { ExactResult, ExactRows, ExactValue, SqliteEngine } from "../../capabilities/tab/data/engine.ts"
import { refusalOf } from "../../capabilities/tab/data/guard.ts"
import { checkCount, checkSingle } from "../../capabilities/tab/data/placeholders.ts"
import { checkOwnTables } from "../../capabilities/tab/data/own-tables.ts"
import { integerTooLarge, isStorageFull, storageFull } from "../../capabilities/tab/data/sql-error.ts"
import { StatementCache } from "../../capabilities/tab/data/statement-cache.ts"
import { ExactCount } from "../../capabilities/tab/data/statements.ts"
import type { StorageFaults } from "./storage-faults.ts"

export interface WasmEngineOptions {
  readonly sqlite: Sqlite3Static
  readonly database: Database
  readonly faults: StorageFaults
  /** Undefined: in memory. */
  readonly pool: SAHPoolUtil | undefined
  /** Of the database in the pool. */
  readonly path: string
}

export class WasmEngine implements SqliteEngine {
  readonly isDurable: boolean
  isGuarded = false
  readonly #sqlite: Sqlite3Static
  readonly #database: Database
  readonly #faults: StorageFaults
  readonly #pool: SAHPoolUtil | undefined
  readonly #path: string
  readonly #statements = new StatementCache<PreparedStatement>(200, (statement) => statement.finalize())
  #refusal: RdvError | undefined

  constructor({ sqlite, database, faults, pool, path }: WasmEngineOptions) {
    this.#sqlite = sqlite
    this.#database = database
    this.#faults = faults
    this.#pool = pool
    this.#path = path
    this.isDurable = pool !== undefined
    // Exclusive before the log: a database with a log does not open otherwise. What is temporary stays in memory, for the
    // pool has few files.
    this.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = MEMORY")
    this.exec(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
    )
    this.exec("BEGIN EXCLUSIVE; COMMIT")
    sqlite.capi.sqlite3_set_authorizer(
      database,
      (_, code, first, second) => {
        this.#refusal = this.isGuarded ? refusalOf(code, wordOf(first), wordOf(second)) : undefined
        return this.#refusal === undefined ? 0 : 1
      },
      0,
    )
  }

  exec(text: string): void {
    this.#try(() => this.#database.exec(text))
  }

  all(text: string, values: readonly SqlValue[], limit: number = Infinity): SqlRow[] {
    return this.#try(() => {
      const statement = this.#bound(text, values)
      try {
        const rows: SqlRow[] = []
        let columns: readonly string[] | undefined
        while (rows.length < limit && statement.step()) {
          // Only now: a change of the schema changes the columns of a statement that was prepared before.
          columns ??= statement.getColumnNames()
          rows.push(this.#row(statement, columns))
        }
        return rows
      } finally {
        statement.reset(true)
      }
    })
  }

  run(text: string, values: readonly SqlValue[]): SqlResult {
    return this.#try(() => {
      const { changes, lastId } = this.#done(this.#bound(text, values))
      return { changes, lastId: Number(lastId) }
    })
  }

  exactAll(text: string, values: readonly ExactValue[]): ExactRows {
    return this.#try(() => {
      const { capi } = this.#sqlite
      const statement = this.#exactlyBound(text, values)
      try {
        const rows: ExactValue[][] = []
        const count = new ExactCount()
        while (statement.step()) {
          const row: ExactValue[] = []
          for (let at = 0, end = statement.columnCount; at < end; at++) row.push(this.#exactValue(statement, at))
          count.add(row)
          rows.push(row)
        }
        const columns = statement
          .getColumnNames()
          .map((name, at) => ({ name, declared: capi.sqlite3_column_decltype(statement, at) ?? "" }))
        return { columns, rows }
      } finally {
        statement.reset(true)
      }
    })
  }

  exactRun(text: string, values: readonly ExactValue[]): ExactResult {
    return this.#try(() => this.#done(this.#exactlyBound(text, values)))
  }

  get isInTransaction(): boolean {
    return this.#database.isOpen() && this.#sqlite.capi.sqlite3_get_autocommit(this.#database) === 0
  }

  get sizeBytes(): number {
    const [row] = this.all("SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size", [])
    return row?.["bytes"] as number
  }

  export(): Uint8Array {
    const pool = this.#pool
    if (pool !== undefined) {
      try {
        this.exec("PRAGMA wal_checkpoint(TRUNCATE)")
        return plainDatabase(pool.exportFile(this.#path))
      } catch (error) {
        if (!isStorageFull(error)) throw error
        // The log cannot go into the file: page by page both are read.
      }
    }
    return plainDatabase(this.#sqlite.capi.sqlite3_js_db_export(this.#database))
  }

  import(file: Uint8Array): void {
    const plain = plainDatabase(file)
    const pool = this.#pool
    this.#try(() => {
      if (pool === undefined) this.#importIntoMemory(plain)
      else this.#importIntoPool(pool, plain)
    })
  }

  close(): void {
    this.#statements.clear()
    this.#database.close()
    // Gives up the handles, so that the next worker finds them free.
    this.#pool?.pauseVfs()
  }

  #importIntoMemory(plain: Uint8Array<ArrayBuffer>): void {
    const checked = new this.#sqlite.oo1.DB(":memory:")
    try {
      this.#deserialize(checked, plain)
      this.#check(checked)
    } finally {
      checked.close()
    }
    this.#statements.clear()
    this.#deserialize(this.#database, plain)
  }

  /** As a database of its own beside ours, and then page by page in one transaction of ours. */
  #importIntoPool(pool: SAHPoolUtil, plain: Uint8Array<ArrayBuffer>): void {
    void pool.importDb(importPath, plain)
    try {
      const source = new pool.OpfsSAHPoolDb(importPath)
      try {
        source.exec("PRAGMA temp_store = MEMORY; PRAGMA journal_mode = MEMORY")
        this.#check(source)
        const ours = this.#database.selectValue("PRAGMA page_size") as number
        if (source.selectValue("PRAGMA page_size") !== ours) source.exec(`PRAGMA page_size = ${ours}; VACUUM`)
        this.#statements.clear()
        this.#copy(source)
      } finally {
        source.close()
      }
    } finally {
      pool.unlink(importPath)
    }
    this.exec("PRAGMA wal_checkpoint(TRUNCATE)")
  }

  #deserialize(database: Database, plain: Uint8Array<ArrayBuffer>): void {
    const { capi, wasm } = this.#sqlite
    const memory = wasm.allocFromTypedArray(plain)
    const flags = capi.SQLITE_DESERIALIZE_FREEONCLOSE | capi.SQLITE_DESERIALIZE_RESIZEABLE
    database.checkRc(capi.sqlite3_deserialize(database, "main", memory, plain.length, plain.length, flags))
  }

  #check(source: Database): void {
    const result = source.selectValue("PRAGMA integrity_check(1)") as string
    if (result !== "ok") throw new RdvError("corrupt", `The database in the file is damaged: ${result}`)
    checkOwnTables((text) => source.selectObjects(text) as SqlRow[])
  }

  #copy(source: Database): void {
    const { capi } = this.#sqlite
    const backup = capi.sqlite3_backup_init(this.#database, "main", source, "main")
    if (Number(backup) === 0) this.#database.checkRc(capi.sqlite3_errcode(this.#database))
    const step = capi.sqlite3_backup_step(backup, -1)
    const finish = capi.sqlite3_backup_finish(backup)
    if (step !== capi.SQLITE_DONE) this.#database.checkRc(finish === 0 ? step : finish)
  }

  /** Runs it to its end. */
  #done(statement: PreparedStatement): ExactResult {
    try {
      while (statement.step());
    } finally {
      statement.reset(true)
    }
    const { capi } = this.#sqlite
    const lastId = BigInt(capi.sqlite3_last_insert_rowid(this.#database))
    return { changes: Number(capi.sqlite3_changes64(this.#database)), lastId }
  }

  #bound(text: string, values: readonly SqlValue[]): PreparedStatement {
    const statement = this.#prepared(text, values)
    for (let at = 0; at < values.length; at++) this.#bind(statement, at + 1, values[at] as SqlValue)
    return statement
  }

  #exactlyBound(text: string, values: readonly ExactValue[]): PreparedStatement {
    const statement = this.#prepared(text, values)
    const { capi } = this.#sqlite
    for (let at = 0; at < values.length; at++) {
      const value = values[at] as ExactValue
      if (typeof value === "number") {
        this.#database.checkRc(capi.sqlite3_bind_double(statement, at + 1, value))
      } else if (typeof value === "bigint") {
        this.#database.checkRc(capi.sqlite3_bind_int64(statement, at + 1, value))
      } else statement.bind(at + 1, value)
    }
    return statement
  }

  #prepared(text: string, values: readonly unknown[]): PreparedStatement {
    let statement = this.#statements.get(text)
    if (statement === undefined) {
      statement = this.#database.prepare(text)
      try {
        checkSingle(text, (this.#sqlite.capi.sqlite3_sql(statement) as string).length)
      } catch (error) {
        statement.finalize()
        throw error
      }
      this.#statements.put(text, statement)
    }
    checkCount(statement.parameterCount, values.length)
    return statement
  }

  #bind(statement: PreparedStatement, at: number, value: SqlValue): void {
    // The build takes every whole number for an integer, also those that none of SQLite's holds.
    if (typeof value === "number" && !Number.isSafeInteger(value)) {
      this.#database.checkRc(this.#sqlite.capi.sqlite3_bind_double(statement, at, value))
    } else statement.bind(at, value)
  }

  #row(statement: PreparedStatement, columns: readonly string[]): SqlRow {
    const row: { [column: string]: SqlValue } = {}
    for (let at = 0; at < columns.length; at++) row[columns[at] as string] = this.#value(statement, at)
    return row
  }

  #exactValue(statement: PreparedStatement, at: number): ExactValue {
    const { capi } = this.#sqlite
    if (capi.sqlite3_column_type(statement, at) !== capi.SQLITE_INTEGER) return this.#value(statement, at)
    return BigInt(capi.sqlite3_column_int64(statement, at))
  }

  #value(statement: PreparedStatement, at: number): SqlValue {
    const { capi, wasm } = this.#sqlite
    switch (capi.sqlite3_column_type(statement, at)) {
      case capi.SQLITE_INTEGER: {
        const value = capi.sqlite3_column_double(statement, at)
        if (!Number.isSafeInteger(value)) throw integerTooLarge()
        return value
      }
      case capi.SQLITE_FLOAT:
        return capi.sqlite3_column_double(statement, at)
      case capi.SQLITE_TEXT:
        return capi.sqlite3_column_text(statement, at)
      case capi.SQLITE_BLOB: {
        const start = Number(capi.sqlite3_column_blob(statement, at))
        return wasm.heap8u().slice(start, start + capi.sqlite3_column_bytes(statement, at))
      }
      default:
        return null
    }
  }

  #try<Value>(work: () => Value): Value {
    try {
      return work()
    } catch (error) {
      const refusal = this.#refusal
      this.#refusal = undefined
      const full = this.#faults.takeFull()
      if (refusal !== undefined) throw refusal
      if (full !== undefined) throw storageFull(full)
      throw error
    }
  }
}

/** The build gives 0 for none. */
function wordOf(word: string | 0): string | null {
  return word === 0 ? null : word
}

const importPath = "/import.sqlite"
