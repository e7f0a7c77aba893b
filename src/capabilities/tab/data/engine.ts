/**
 * SQLite as servers need it: one connection, synchronous, exclusive. In a tab it is the WebAssembly build over the origin
 * private file system, in Node the built-in one.
 */

import type { SqlResult, SqlRow, SqlValue } from "../app/sql.ts"

export interface SqliteEngine {
  /** `wal, full`: a commit is on disk when it returns. False: everything is gone with the tab, and it must not be public. */
  readonly isDurable: boolean
  /** Several statements, without values and answers. Throws `SqliteError`-like errors, see `sqlError`. */
  exec(text: string): void
  all(text: string, values: readonly SqlValue[]): SqlRow[]
  run(text: string, values: readonly SqlValue[]): SqlResult
  /** Whether a transaction is open. */
  readonly isInTransaction: boolean
  /** The database as a file. */
  export(): Uint8Array
  /** Replaces everything by the database in the file. Throws `corrupt` and leaves what was there. */
  import(file: Uint8Array): void
  /** What it takes on disk, bytes. */
  readonly sizeBytes: number
  close(): void
}
