/**
 * Opens the SQLite file of a store and says in one line what is wrong with it when it cannot. SQLite ships with Node, so
 * there is nothing to compile and nothing to install.
 */

import { chmodSync, closeSync, mkdirSync, openSync } from "node:fs"
import type { DatabaseSync } from "node:sqlite"
import { dirname } from "node:path"
import { RdvError } from "../base/error.ts"
import { migrations } from "./migrations.ts"

export const memoryPath = ":memory:"

/** "rdv1" in ASCII: SQLite keeps it in the file's header, so that another program's database is never migrated. */
const applicationId = 0x72647631

export interface DatabaseOptions {
  /** A file, or `:memory:`. */
  readonly path: string
  /** How long a call waits for another process that writes, ms. The process stands still meanwhile. Default 2,000. */
  readonly busyTimeoutMs?: number
  /** Milliseconds since 1970 UTC, for the table of applied migrations. */
  readonly wall: number
}

/** Opens, checks and migrates. Throws what `databaseError` says. */
export function openDatabase(options: DatabaseOptions): DatabaseSync {
  const { path } = options
  if (path !== memoryPath) prepareFile(path)
  const Database = loadDatabaseClass()
  let database: DatabaseSync | undefined
  try {
    database = new Database(path, { timeout: options.busyTimeoutMs ?? 2_000 })
    refuseForeign(database, path)
    // FULL: a token that was shown and a name that was given stay so after a power cut.
    database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA trusted_schema = OFF")
    const check = database.prepare("PRAGMA quick_check(1)").get()?.["quick_check"]
    if (check !== "ok") throw corrupt(path)
    migrate(database, path, options.wall)
    return database
  } catch (error) {
    database?.close()
    throw databaseError(error, path)
  }
}

/** Turns what `node:sqlite` throws into the line for the user; an `RdvError` passes through. */
export function databaseError(error: unknown, path: string): RdvError {
  if (error instanceof RdvError) return error
  const { code, errcode } = error as { code?: string; errcode?: number }
  if (code === "ERR_INVALID_STATE") return new RdvError("closed", `The store ${path} is closed`, { cause: error })
  // Extended result codes carry the primary one in their low byte (sqlite.org/rescode.html).
  switch ((errcode ?? 0) & 0xff) {
    case 5: // SQLITE_BUSY
    case 6: // SQLITE_LOCKED
      return new RdvError("in_use", `The store ${path} is locked by another process`, {
        cause: error,
        mend: "stop that process, or use another data folder",
      })
    case 3: // SQLITE_PERM
    case 8: // SQLITE_READONLY
    case 14: // SQLITE_CANTOPEN
    case 23: // SQLITE_AUTH
      return unwritable(path, error)
    case 11: // SQLITE_CORRUPT
      return corrupt(path, error)
    case 13: // SQLITE_FULL
      return new RdvError("limit", `The disk that holds the store ${path} is full`, {
        cause: error,
        mend: "free some space; nothing was changed",
      })
    case 26: // SQLITE_NOTADB
      return foreign(path, error)
    case 10: // SQLITE_IOERR
      return new RdvError("internal", `The disk failed under the store ${path}`, {
        cause: error,
        mend: "look at the system's log for the disk",
      })
    default:
      return new RdvError("internal", `The store ${path} failed: ${error instanceof Error ? error.message : "?"}`, {
        cause: error,
      })
  }
}

/** Private from its first byte: SQLite gives its side files the mode of the main one. */
function prepareFile(path: string): void {
  try {
    // The mode holds for folders that are made here; one that exists is its owner's business.
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    closeSync(openSync(path, "a", 0o600))
    chmodSync(path, 0o600)
  } catch (error) {
    throw unwritable(path, error)
  }
}

function refuseForeign(database: DatabaseSync, path: string): void {
  const id = database.prepare("PRAGMA application_id").get()?.["application_id"]
  const tables = database.prepare("SELECT count(*) AS count FROM sqlite_schema").get()?.["count"]
  if (id !== applicationId && tables !== 0) throw foreign(path)
}

function migrate(database: DatabaseSync, path: string, wall: number): void {
  // The lock is taken before the version is read: two processes that start at once migrate one after the other.
  database.exec("BEGIN IMMEDIATE")
  try {
    database.exec(`PRAGMA application_id = ${applicationId}`)
    database.exec("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, applied_at INTEGER) STRICT")
    const row = database.prepare("SELECT coalesce(max(version), 0) AS version FROM schema_version").get()
    const version = Number(row?.["version"])
    if (version > migrations.length) {
      throw new RdvError("usage", `The store ${path} was written by a newer rdv (schema ${version})`, {
        mend: `update this rdv, which knows schema ${migrations.length}, or use another data folder`,
      })
    }
    const applied = database.prepare("INSERT INTO schema_version (version, applied_at) VALUES (?, ?)")
    for (const [index, step] of migrations.entries()) {
      if (index < version) continue
      database.exec(step)
      applied.run(index + 1, wall)
    }
    database.exec("COMMIT")
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK")
    throw error
  }
}

/**
 * Early releases of Node 24 warn that `node:sqlite` is experimental when it is loaded. That one warning is held back, and
 * only during the load. To be removed when `engines` asks for a Node that does not warn.
 */
function loadDatabaseClass(): typeof DatabaseSync {
  const original = Reflect.get(process, "emitWarning") as (...parameters: unknown[]) => void
  const filtered = (...parameters: unknown[]): void => {
    const [warning, options] = parameters
    const type = typeof options === "object" && options !== null ? (options as { type?: unknown }).type : options
    if (type !== "ExperimentalWarning" || !String(warning).includes("SQLite")) {
      Reflect.apply(original, process, parameters)
    }
  }
  Reflect.set(process, "emitWarning", filtered)
  try {
    return process.getBuiltinModule("node:sqlite").DatabaseSync
  } finally {
    Reflect.set(process, "emitWarning", original)
  }
}

function corrupt(path: string, cause?: unknown): RdvError {
  return new RdvError("corrupt", `The store ${path} is damaged`, {
    cause,
    mend: "restore it from a backup, or move it away and make new tokens",
  })
}

function foreign(path: string, cause?: unknown): RdvError {
  return new RdvError("usage", `${path} exists but is not a store of rdv`, { cause, mend: "use another data folder" })
}

function unwritable(path: string, cause: unknown): RdvError {
  const why = (cause as { code?: string }).code
  const detail = why === undefined || why === "ERR_SQLITE_ERROR" ? "" : ` (${why})`
  return new RdvError("usage", `The store ${path} cannot be written${detail}`, {
    cause,
    mend: "check that its folder is yours and not read-only, or use another data folder",
  })
}
