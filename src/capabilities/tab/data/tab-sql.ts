/**
 * The application's database: the asynchronous `Sql` over one connection that answers at once, with group commit (see
 * `GroupCommit`). Everything happens in the order in which it was asked for; a promise of a write resolves when it is on
 * disk. What waits is bounded by number and bytes.
 */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { Sql, SqlResult, SqlRow, SqlTransaction, SqlValue } from "../app/sql.ts"
import type { ExactResult, ExactRows, ExactValue, SqliteEngine } from "./engine.ts"
import { keepEpoch } from "./epoch.ts"
import { GroupCommit } from "./group-commit.ts"
import type { Work } from "./group-commit.ts"
import { nextTurn } from "../../../base/next-turn.ts"
import { firstOf, OpenTransaction, runOn } from "./open-transaction.ts"
import { makeOwnTables } from "./own-tables.ts"
import { sqlError } from "./sql-error.ts"
import { LeaseEngine } from "./sql-lease.ts"
import type { SqlLease } from "./sql-lease.ts"
import { checkValues, exactWeight, kindOf } from "./statements.ts"

export interface TabSqlOptions {
  readonly clock: Clock
  readonly log: Log
  /** Later, behind what already waits in the event loop. Default: what the platform has for it. */
  readonly defer?: (callback: () => void) => void
}

/** What drivers of other languages need beside `Sql`. */
export interface DriverSql extends Sql {
  /** The connection for a driver of another language. Others wait; one that idles for 5 s is taken away (`timeout`). */
  exclusive(): Promise<SqlLease>
  exactAll(text: string, values: readonly ExactValue[]): Promise<ExactRows>
  exactRun(text: string, values: readonly ExactValue[]): Promise<ExactResult>
}

export interface TabSql extends DriverSql {
  /** False: nothing survives the tab. */
  readonly isDurable: boolean
  /** The database as a file, as it is at one moment. */
  export(): Promise<Uint8Array>
  /** Replaces everything by the database in the file; the epoch goes on. Rejects `corrupt`, `version` or `limit` and leaves what was there. */
  import(file: Uint8Array): Promise<void>
  /** After what was asked for before. Later calls reject `closed`. */
  close(): Promise<void>
  stats(): JsonObject
}

/**
 * Makes our own tables when they are missing. Throws `version` when a newer release has written the database. The work of
 * a transaction that does not await may be run twice: when something that shared its commit fails in a way that takes
 * back all.
 */
export function openSql(engine: SqliteEngine, options: TabSqlOptions): TabSql {
  try {
    makeOwnTables(engine)
  } catch (error) {
    throw sqlError(error)
  }
  return new GroupedSql(engine, options)
}

class GroupedSql implements TabSql {
  readonly #engine: SqliteEngine
  readonly #clock: Clock
  readonly #log: Log
  readonly #group: GroupCommit
  #closing: Promise<void> | undefined

  constructor(engine: SqliteEngine, { clock, log, defer }: TabSqlOptions) {
    this.#engine = engine
    this.#clock = clock
    this.#log = log
    this.#group = new GroupCommit(engine, { clock, defer: defer ?? nextTurn() })
  }

  get isDurable(): boolean {
    return this.#engine.isDurable
  }

  all<Row extends SqlRow = SqlRow>(text: string, ...values: readonly SqlValue[]): Promise<Row[]> {
    return this.#statement(text, values, () => this.#engine.all(text, values) as Row[])
  }

  get<Row extends SqlRow = SqlRow>(text: string, ...values: readonly SqlValue[]): Promise<Row | undefined> {
    return this.#statement(text, values, () => firstOf<Row>(this.#engine, text, values))
  }

  run(text: string, ...values: readonly SqlValue[]): Promise<SqlResult> {
    return this.#statement(text, values, () => runOn(this.#engine, text, values))
  }

  exactAll(text: string, values: readonly ExactValue[]): Promise<ExactRows> {
    return this.#exact(text, values, () => this.#engine.exactAll(text, values))
  }

  exactRun(text: string, values: readonly ExactValue[]): Promise<ExactResult> {
    return this.#exact(text, values, () => this.#engine.exactRun(text, values))
  }

  async script(text: string): Promise<void> {
    await this.#ask({
      kind: "several",
      bytes: checkValues(text, []),
      run: () => this.#guarded(() => this.#engine.exec(text)),
      explain: (thrown) => this.#explain(thrown, text),
    })
  }

  async transaction<Value>(work: (sql: SqlTransaction) => Value | Promise<Value>): Promise<Value> {
    let handle = new OpenTransaction(this.#engine)
    const value = await this.#ask({
      // One that surely awaits begins a batch: what is done before it need not wait for its end.
      kind: work.constructor.name === "AsyncFunction" ? "alone" : "several",
      bytes: 0,
      run: () => {
        handle = new OpenTransaction(this.#engine)
        return work(handle)
      },
      settled: () => {
        if (handle.broken !== undefined) throw handle.broken
        handle.end(new RdvError("closed", "This transaction is over"))
      },
      explain: (thrown) => thrown,
      end: (error) => handle.end(error),
    })
    return value as Value
  }

  exclusive(): Promise<SqlLease> {
    return new Promise((resolve, reject) => {
      const engine = new LeaseEngine(this.#engine, () => this.#clock.now())
      const { promise, resolve: commit, reject: rollback } = Promise.withResolvers<void>()
      const committed = this.#ask({
        kind: "alone",
        bytes: 0,
        run: () => {
          engine.usedAt = this.#clock.now()
          resolve({
            engine,
            commit: async () => {
              engine.giveBack()
              commit()
              await committed
            },
            rollback: () => {
              engine.giveBack()
              rollback(new RdvError("closed", "The lease was taken back by its holder"))
            },
          })
          return promise
        },
        settled: () => {
          if (engine.broken !== undefined) throw engine.broken
        },
        explain: (thrown) => sqlError(thrown),
        end: (error) => engine.end(error),
        usedAt: () => engine.usedAt,
      })
      // Where it failed before it was lent; afterwards whoever commits hears of it.
      committed.catch(reject)
    })
  }

  async export(): Promise<Uint8Array> {
    return (await this.#bare(() => this.#engine.export())) as Uint8Array
  }

  async import(file: Uint8Array): Promise<void> {
    await this.#bare(() => {
      keepEpoch(this.#engine, () => {
        this.#engine.import(file)
        makeOwnTables(this.#engine)
      })
    })
    this.#log.info("tab.database.imported", { bytes: file.length })
  }

  close(): Promise<void> {
    this.#closing ??= this.#bare(() => this.#engine.close())
    return this.#closing
  }

  stats(): JsonObject {
    const bytes = this.#closing === undefined ? this.#engine.sizeBytes : 0
    return { durable: this.isDurable, bytes, ...this.#group.stats() }
  }

  #statement<Value>(text: string, values: readonly SqlValue[], run: () => Value): Promise<Value> {
    let bytes: number
    try {
      bytes = checkValues(text, values)
    } catch (error) {
      return Promise.reject(error as RdvError)
    }
    return this.#askFor(text, bytes, run)
  }

  #exact<Value>(text: string, values: readonly ExactValue[], run: () => Value): Promise<Value> {
    return this.#askFor(text, exactWeight(text, values), run)
  }

  #askFor<Value>(text: string, bytes: number, run: () => Value): Promise<Value> {
    return this.#ask({
      kind: kindOf(text) === "read" ? "read" : "write",
      bytes,
      run: () => this.#guarded(run),
      explain: (thrown) => this.#explain(thrown, text),
    }) as Promise<Value>
  }

  async #bare<Value>(run: () => Value): Promise<Value> {
    const explain = (thrown: unknown) => sqlError(thrown)
    return (await this.#ask({ kind: "bare", bytes: 0, run, explain })) as Value
  }

  #ask(work: Work): Promise<unknown> {
    if (this.#closing !== undefined) return Promise.reject(new RdvError("closed", "The database is closed"))
    return this.#group.ask(work)
  }

  #guarded<Value>(run: () => Value): Value {
    this.#engine.isGuarded = true
    try {
      return run()
    } finally {
      this.#engine.isGuarded = false
    }
  }

  #explain(thrown: unknown, text: string): RdvError {
    const error = sqlError(thrown, text)
    if (error.code === "corrupt") this.#log.error("tab.database.damaged", { error: error.message })
    return error
  }
}
