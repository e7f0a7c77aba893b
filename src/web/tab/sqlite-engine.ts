/**
 * SQLite's WebAssembly build under a server in a tab. It keeps its files in the origin private file system by handles that
 * only one worker can have ("opfs-sahpool"), so that who opens it is the only server of this origin; a commit is on disk
 * when it returns, as a killed browser proves. Runs in a dedicated worker only: nothing else gets such handles.
 *
 * Never an empty database in the place of one that does not open: a file beside the pool says that there is one.
 */

import init from "@sqlite.org/sqlite-wasm"
import type { Database, SAHPoolUtil, Sqlite3Static } from "@sqlite.org/sqlite-wasm"
import { RdvError } from "../../base/error.ts"
import type { SqliteEngine } from "../../capabilities/tab/data/engine.ts"
import { sqlError } from "../../capabilities/tab/data/sql-error.ts"
import { StorageFaults } from "./storage-faults.ts"
import { WasmEngine } from "./wasm-engine.ts"

export interface BrowserEngineOptions {
  /** Where `sqlite3.wasm` is. Default: beside the script. */
  readonly wasmUrl?: string
  /** What `compileSqlite` gave before. */
  readonly compiled?: WebAssembly.Module | undefined
}

/** Half of the time of a start, which needs neither the lock nor the database: nothing is opened. */
export function compileSqlite(wasmUrl: string): Promise<WebAssembly.Module> {
  return WebAssembly.compileStreaming(fetch(wasmUrl))
}

/**
 * Opens this origin's database, makes it when there has never been one. Throws `claimed` while another worker has it (try
 * again later), `no_service` where the browser has no such storage (Firefox's private windows: see `openMemoryEngine`),
 * `corrupt` when the storage has lost it.
 */
export async function openBrowserEngine(options: BrowserEngineOptions = {}): Promise<SqliteEngine> {
  const root = await storageRoot()
  // Asked before anything is made: who has the handles answers for the database.
  const born = await fileOf(root, bornFile)
  const faults = new StorageFaults()
  const sqlite = await load(options, faults)
  const pool = await openPool(sqlite)
  if (born && !pool.getFileNames().includes(databasePath)) {
    pool.pauseVfs()
    throw new RdvError("corrupt", "The browser has lost the database of this site", {
      mend: "import an export of it, after the site's data has been cleared",
    })
  }
  let database: Database | undefined
  try {
    database = new pool.OpfsSAHPoolDb(databasePath)
    const engine = new WasmEngine({ sqlite, database, faults, pool, path: databasePath })
    if (!born) await root.getFileHandle(bornFile, { create: true })
    return engine
  } catch (error) {
    database?.close()
    pool.pauseVfs()
    throw sqlError(error)
  }
}

/** For browsers without storage: gone with the tab. */
export async function openMemoryEngine(options: BrowserEngineOptions = {}): Promise<SqliteEngine> {
  const faults = new StorageFaults()
  const sqlite = await load(options, faults)
  return new WasmEngine({ sqlite, database: new sqlite.oo1.DB(":memory:"), faults, pool: undefined, path: ":memory:" })
}

/** Loads the build, which takes its settings from a global. */
async function load({ wasmUrl, compiled }: BrowserEngineOptions, faults: StorageFaults): Promise<Sqlite3Static> {
  const settings: SqliteSettings = {
    error: faults.hear,
    warn: faults.hear,
    log: faults.hear,
    // Those want headers for isolated pages, and a worker more.
    disable: { vfs: { opfs: true, "opfs-wl": true, kvvfs: true } },
  }
  Object.assign(globalThis, { sqlite3ApiConfig: settings })
  const start = init as (options: SqliteStart) => Promise<Sqlite3Static>
  if (compiled === undefined) return await start(wasmUrl === undefined ? {} : { locateFile: () => wasmUrl })
  // It never hears that there is no instance, and would wait for it.
  const failed = Promise.withResolvers<never>()
  const instantiateWasm = (imports: WebAssembly.Imports, done: Instantiated): object => {
    void instantiate(compiled, imports, done).catch(failed.reject)
    return {}
  }
  return await Promise.race([start({ instantiateWasm }), failed.promise])
}

async function instantiate(
  compiled: WebAssembly.Module,
  imports: WebAssembly.Imports,
  done: Instantiated,
): Promise<void> {
  done(await WebAssembly.instantiate(compiled, imports), compiled)
}

/** Of Emscripten. */
interface SqliteStart {
  readonly locateFile?: () => string
  readonly instantiateWasm?: (imports: WebAssembly.Imports, done: Instantiated) => object
}

type Instantiated = (instance: WebAssembly.Instance, module: WebAssembly.Module) => void

interface SqliteSettings {
  readonly error: (...words: readonly unknown[]) => void
  readonly warn: (...words: readonly unknown[]) => void
  readonly log: (...words: readonly unknown[]) => void
  readonly disable: { readonly vfs: { readonly [name: string]: boolean } }
}

async function storageRoot(): Promise<FileSystemDirectoryHandle> {
  try {
    return await navigator.storage.getDirectory()
  } catch (error) {
    throw new RdvError("no_service", "This browser gives pages no durable storage here", {
      cause: error,
      mend: "leave private browsing, and open the page by https or on localhost",
    })
  }
}

async function openPool(sqlite: Sqlite3Static): Promise<SAHPoolUtil> {
  const options = {
    name: "rdv-tab",
    directory: "/.rdv-tab",
    // The database, its log, one that is imported, and what a killed import left.
    initialCapacity: 6,
    // Without it a refused handle deletes every file of the pool.
    preserveOnInitFailure: true,
    forceReinitIfPreviouslyFailed: true,
    verbosity: 1,
  }
  let pool: SAHPoolUtil
  try {
    pool = await sqlite.installOpfsSAHPoolVfs(options)
  } catch (error) {
    const { name, message } = error as Error
    if (name === "NoModificationAllowedError" || name === "InvalidStateError") {
      throw new RdvError("claimed", "Another worker of this browser has the database", { cause: error })
    }
    throw new RdvError("no_service", `This browser gives no durable storage here: ${message}`, { cause: error })
  }
  await pool.reserveMinimumCapacity(6)
  return pool
}

async function fileOf(root: FileSystemDirectoryHandle, name: string): Promise<boolean> {
  try {
    await root.getFileHandle(name)
    return true
  } catch {
    return false
  }
}

/** It tells that there is a database. */
const bornFile = "rdv-tab.born"
const databasePath = "/tab.sqlite"
