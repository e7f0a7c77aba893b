/**
 * SQLite as servers need it: one connection, synchronous, exclusive. In a tab it is the WebAssembly build over the origin
 * private file system, in Node the built-in one. Both answer alike: integers are bound as integers, foreign keys hold,
 * and what SQLite refuses is thrown as `SqliteFailure` says.
 */

import type { SqlResult, SqlRow, SqlValue } from "../app/sql.ts"

/** A value as SQLite has it, for languages that tell integers from reals: a bigint is INTEGER, a number is REAL. */
export type ExactValue = null | number | bigint | string | Uint8Array

export interface ExactRows {
  /** Also of an answer without rows; a name may come twice. `declared` is the type of the table's column, or "". */
  readonly columns: readonly { readonly name: string; readonly declared: string }[]
  readonly rows: readonly (readonly ExactValue[])[]
}

export interface ExactResult {
  readonly changes: number
  readonly lastId: bigint
}

export interface SqliteEngine {
  /** `wal, full`: a commit is on disk when it returns. False: everything is gone with the tab, and it must not be public. */
  readonly isDurable: boolean
  /**
   * True: statements are an application's. What would break the server's own work is refused (`usage`): transactions,
   * other files, settings of the connection. Default false.
   */
  isGuarded: boolean
  /** Several statements, without values and answers. Throws what `sqlError` reads. */
  exec(text: string): void
  /** The first `limit` rows; all of them without it. */
  all(text: string, values: readonly SqlValue[], limit?: number): SqlRow[]
  run(text: string, values: readonly SqlValue[]): SqlResult
  /** As `all`. Throws `limit` for an answer of more than 64 MiB. */
  exactAll(text: string, values: readonly ExactValue[]): ExactRows
  /** As `run`. */
  exactRun(text: string, values: readonly ExactValue[]): ExactResult
  /** Whether a transaction is open. */
  readonly isInTransaction: boolean
  /** The database as a file. Throws `too_large` where it does not fit into memory. */
  export(): Uint8Array
  /** Replaces everything by the database in the file. Throws `corrupt`, `version` or `limit` and leaves what was there. */
  import(file: Uint8Array): void
  /** What it takes on disk, bytes. */
  readonly sizeBytes: number
  /** Calling again does nothing. */
  close(): void
}
