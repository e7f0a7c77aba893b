/**
 * What `sql.transaction` gives to its work: statements that answer at once. It ends with the transaction, and does nothing
 * more once SQLite has taken the transaction back by itself (it does when the storage is full), for outside of one each
 * statement would stand alone.
 */

import type { RdvError } from "../../../base/error.ts"
import type { SqlResult, SqlRow, SqlTransaction, SqlValue } from "../app/sql.ts"
import type { SqliteEngine } from "./engine.ts"
import { sqlError } from "./sql-error.ts"
import { checkValues, kindOf } from "./statements.ts"

export class OpenTransaction implements SqlTransaction {
  readonly #engine: SqliteEngine
  #over: RdvError | undefined

  constructor(engine: SqliteEngine) {
    this.#engine = engine
  }

  /** Why it came to nothing before its end. */
  get broken(): RdvError | undefined {
    return this.#over
  }

  end(error: RdvError): void {
    this.#over ??= error
  }

  all<Row extends SqlRow = SqlRow>(text: string, ...values: readonly SqlValue[]): Row[] {
    return this.#do(text, values, () => this.#engine.all(text, values) as Row[])
  }

  get<Row extends SqlRow = SqlRow>(text: string, ...values: readonly SqlValue[]): Row | undefined {
    return this.#do(text, values, () => firstOf<Row>(this.#engine, text, values))
  }

  run(text: string, ...values: readonly SqlValue[]): SqlResult {
    return this.#do(text, values, () => runOn(this.#engine, text, values))
  }

  script(text: string): void {
    this.#do(text, [], () => this.#engine.exec(text))
  }

  #do<Value>(text: string, values: readonly SqlValue[], work: () => Value): Value {
    if (this.#over !== undefined) throw this.#over
    checkValues(text, values)
    try {
      this.#engine.isGuarded = true
      return work()
    } catch (error) {
      const failure = sqlError(error, text)
      if (!this.#engine.isInTransaction) this.#over = failure
      throw failure
    } finally {
      this.#engine.isGuarded = false
    }
  }
}

/** The first row; what else a statement does, it does as a whole. */
export function firstOf<Row extends SqlRow>(
  engine: SqliteEngine,
  text: string,
  values: readonly SqlValue[],
): Row | undefined {
  return engine.all(text, values, kindOf(text) === "read" ? 1 : undefined)[0] as Row | undefined
}

/** SQLite keeps the count of the last statement that counted. */
export function runOn(engine: SqliteEngine, text: string, values: readonly SqlValue[]): SqlResult {
  const result = engine.run(text, values)
  return kindOf(text) === "rows" ? result : { changes: 0, lastId: result.lastId }
}
