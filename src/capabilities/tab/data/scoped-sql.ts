/**
 * The application's database within one transaction that somebody else ends: what it does by this `Sql` comes to be as a
 * whole, with what its owner adds. The transaction begins with the first statement, so that nobody waits for one who has
 * not yet had to do with the database. Statements that come after the end go to the database itself.
 */

import { RdvError } from "../../../base/error.ts"
import type { SqlResult, SqlRow, SqlTransaction, SqlValue } from "../app/sql.ts"
import type { ExactResult, ExactRows, ExactValue } from "./engine.ts"
import { firstOf, OpenTransaction, runOn } from "./open-transaction.ts"
import type { SqlLease } from "./sql-lease.ts"
import { checkValues } from "./statements.ts"
import type { DriverSql, TabSql } from "./tab-sql.ts"

export class ScopedSql implements DriverSql {
  readonly #sql: TabSql
  #lease: Promise<SqlLease> | undefined
  #isOver = false
  /** One thing after the other: transactions within it are savepoints, and those nest. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(sql: TabSql) {
    this.#sql = sql
  }

  all<Row extends SqlRow = SqlRow>(text: string, ...values: readonly SqlValue[]): Promise<Row[]> {
    if (this.#isOver) return this.#sql.all(text, ...values)
    return this.#inTurn(({ engine }) => {
      checkValues(text, values)
      return engine.all(text, values) as Row[]
    })
  }

  get<Row extends SqlRow = SqlRow>(text: string, ...values: readonly SqlValue[]): Promise<Row | undefined> {
    if (this.#isOver) return this.#sql.get(text, ...values)
    return this.#inTurn(({ engine }) => {
      checkValues(text, values)
      return firstOf<Row>(engine, text, values)
    })
  }

  run(text: string, ...values: readonly SqlValue[]): Promise<SqlResult> {
    if (this.#isOver) return this.#sql.run(text, ...values)
    return this.#inTurn(({ engine }) => {
      checkValues(text, values)
      return runOn(engine, text, values)
    })
  }

  script(text: string): Promise<void> {
    if (this.#isOver) return this.#sql.script(text)
    return this.#inTurn((lease) => nested(lease, () => lease.engine.exec(text)))
  }

  transaction<Value>(work: (sql: SqlTransaction) => Value | Promise<Value>): Promise<Value> {
    if (this.#isOver) return this.#sql.transaction(work)
    return this.#inTurn((lease) =>
      nested(lease, async () => {
        const handle = new OpenTransaction(lease.engine)
        try {
          const value = await work(handle)
          if (handle.broken !== undefined) throw handle.broken
          return value
        } finally {
          handle.end(new RdvError("closed", "This transaction is over"))
        }
      }),
    )
  }

  exactAll(text: string, values: readonly ExactValue[]): Promise<ExactRows> {
    if (this.#isOver) return this.#sql.exactAll(text, values)
    return this.#inTurn(({ engine }) => engine.exactAll(text, values))
  }

  exactRun(text: string, values: readonly ExactValue[]): Promise<ExactResult> {
    if (this.#isOver) return this.#sql.exactRun(text, values)
    return this.#inTurn(({ engine }) => engine.exactRun(text, values))
  }

  /** A transaction within the transaction: its commit is on disk when all is. */
  exclusive(): Promise<SqlLease> {
    if (this.#isOver) return this.#sql.exclusive()
    return new Promise((resolve, reject) => {
      const { promise, resolve: commit, reject: rollback } = Promise.withResolvers<void>()
      const done = this.#inTurn((lease) =>
        nested(lease, () => {
          resolve({
            engine: lease.engine,
            commit: async () => {
              commit()
              await done
            },
            rollback: () => rollback(new RdvError("closed", "The lease was taken back by its holder")),
          })
          return promise
        }),
      )
      // Where it failed before it was lent; afterwards whoever commits hears of it.
      done.catch(reject)
    })
  }

  /** Does the owner's last statement and ends it. Resolves when all of it is on disk. */
  async commit(text: string, values: readonly SqlValue[]): Promise<void> {
    await this.#last
    this.#isOver = true
    const lease = await this.#lease
    if (lease === undefined) {
      await this.#sql.run(text, ...values)
      return
    }
    try {
      lease.engine.run(text, values)
    } catch (error) {
      lease.rollback()
      throw error
    }
    await lease.commit()
  }

  /** Takes everything back. */
  async rollback(): Promise<void> {
    this.#isOver = true
    const lease = await this.#lease?.catch(() => undefined)
    lease?.rollback()
  }

  #inTurn<Value>(work: (lease: SqlLease) => Value | Promise<Value>): Promise<Value> {
    this.#lease ??= this.#sql.exclusive()
    const lease = this.#lease
    const done = this.#last.then(async () => await work(await lease))
    this.#last = done.catch(() => undefined)
    return done
  }
}

async function nested<Value>({ engine }: SqlLease, work: () => Value | Promise<Value>): Promise<Value> {
  own(engine, "SAVEPOINT _rdv_nested")
  try {
    const value = await work()
    own(engine, "RELEASE _rdv_nested")
    return value
  } catch (error) {
    if (engine.isInTransaction) own(engine, "ROLLBACK TO _rdv_nested; RELEASE _rdv_nested")
    throw error
  }
}

/** A statement that applications must not write. */
function own(engine: SqlLease["engine"], text: string): void {
  engine.isGuarded = false
  try {
    engine.exec(text)
  } finally {
    engine.isGuarded = true
  }
}
