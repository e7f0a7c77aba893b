/**
 * The connection itself, lent to a driver of another language (Go's `database/sql`): it speaks to SQLite synchronously,
 * inside a transaction of its own that it ends itself.
 */

import { RdvError } from "../../../base/error.ts"
import type { SqlResult, SqlRow, SqlValue } from "../app/sql.ts"
import type { ExactResult, ExactRows, ExactValue, SqliteEngine } from "./engine.ts"
import { sqlError } from "./sql-error.ts"

export interface SqlLease {
  /** Good until the lease is over: then it throws `closed`, or `timeout` when it was taken away. */
  readonly engine: SqliteEngine
  /** Resolves when it is on disk. Rejects what `Sql.transaction` rejects. */
  commit(): Promise<void>
  /** Takes everything back. After the end it does nothing. */
  rollback(): void
}

export class LeaseEngine implements SqliteEngine {
  readonly isDurable: boolean
  isGuarded = true
  /** ms of the clock. */
  usedAt: number
  readonly #engine: SqliteEngine
  readonly #now: () => number
  #over: RdvError | undefined
  #isGivenBack = false

  constructor(engine: SqliteEngine, now: () => number) {
    this.#engine = engine
    this.isDurable = engine.isDurable
    this.#now = now
    this.usedAt = now()
  }

  /** Why it came to nothing before its end. */
  get broken(): RdvError | undefined {
    return this.#over
  }

  /** Its holder has done with it. */
  giveBack(): void {
    this.#isGivenBack = true
  }

  end(error: RdvError): void {
    this.#over ??= error
  }

  exec(text: string): void {
    this.#do(text, () => this.#engine.exec(text))
  }

  all(text: string, values: readonly SqlValue[], limit?: number): SqlRow[] {
    return this.#do(text, () => this.#engine.all(text, values, limit))
  }

  run(text: string, values: readonly SqlValue[]): SqlResult {
    return this.#do(text, () => this.#engine.run(text, values))
  }

  exactAll(text: string, values: readonly ExactValue[]): ExactRows {
    return this.#do(text, () => this.#engine.exactAll(text, values))
  }

  exactRun(text: string, values: readonly ExactValue[]): ExactResult {
    return this.#do(text, () => this.#engine.exactRun(text, values))
  }

  get isInTransaction(): boolean {
    return this.#over === undefined && !this.#isGivenBack && this.#engine.isInTransaction
  }

  get sizeBytes(): number {
    return this.#engine.sizeBytes
  }

  export(): Uint8Array {
    throw notOfLeases()
  }

  import(): void {
    throw notOfLeases()
  }

  close(): void {
    throw notOfLeases()
  }

  #do<Value>(text: string, work: () => Value): Value {
    if (this.#over !== undefined) throw this.#over
    if (this.#isGivenBack) throw new RdvError("closed", "This lease is over")
    this.usedAt = this.#now()
    this.#engine.isGuarded = this.isGuarded
    try {
      return work()
    } catch (error) {
      const failure = sqlError(error, text)
      // SQLite has taken the transaction back: outside of one, statements would stand alone.
      if (!this.#engine.isInTransaction) this.#over = failure
      throw failure
    } finally {
      this.#engine.isGuarded = false
    }
  }
}

function notOfLeases(): RdvError {
  return new RdvError("usage", "A lease is for statements: the database is exported, imported and closed by its owner")
}
