/** The database as Go's driver has it: statements by themselves, which share commits, and transactions, each on a lease. */

import { RdvError } from "../../../base/error.ts"
import type { Sql } from "../app/sql.ts"
import type { SqliteEngine } from "../data/engine.ts"
import type { SqlLease } from "../data/sql-lease.ts"
import { isSeveral } from "../data/placeholders.ts"
import type { DriverSql } from "../data/tab-sql.ts"
import { changesToBytes, readStatement, rowsToBytes } from "./statement-wire.ts"
import type { Statement } from "./statement-wire.ts"

export class Leases {
  readonly #leases = new Map<number, SqlLease>()
  #next = 1

  async take(sql: Sql): Promise<Uint8Array> {
    const lease = await driverOf(sql).exclusive()
    const id = this.#next++
    this.#leases.set(id, lease)
    return new Uint8Array(new Uint32Array([id]).buffer)
  }

  /** `id` 0: by itself. */
  statement(id: number, sql: Sql, payload: Uint8Array): Uint8Array | Promise<Uint8Array> {
    const statement = readStatement(payload)
    return id === 0 ? alone(driverOf(sql), statement) : within(this.#get(id).engine, statement)
  }

  async commit(id: number): Promise<undefined> {
    const lease = this.#get(id)
    this.#leases.delete(id)
    await lease.commit()
  }

  rollback(id: number): undefined {
    this.#leases.get(id)?.rollback()
    this.#leases.delete(id)
  }

  /** The program has ended, and what it had not committed is taken back. */
  close(): void {
    for (const id of this.#leases.keys()) this.rollback(id)
  }

  #get(id: number): SqlLease {
    const lease = this.#leases.get(id)
    if (lease === undefined) throw new RdvError("closed", "This transaction is over")
    return lease
  }
}

function within(engine: SqliteEngine, { wantsRows, text, values }: Statement): Uint8Array {
  if (wantsRows) return rowsToBytes(engine.exactAll(text, values))
  try {
    return changesToBytes(engine.exactRun(text, values))
  } catch (thrown) {
    if (values.length > 0 || !isSeveral(thrown)) throw thrown
    engine.exec(text)
    return changesToBytes(unknownChanges)
  }
}

async function alone(sql: DriverSql, { wantsRows, text, values }: Statement): Promise<Uint8Array> {
  if (wantsRows) return rowsToBytes(await sql.exactAll(text, values))
  try {
    return changesToBytes(await sql.exactRun(text, values))
  } catch (thrown) {
    if (values.length > 0 || !isSeveral(thrown)) throw thrown
    await sql.script(text)
    return changesToBytes(unknownChanges)
  }
}

/** Every server's is one; a test's may not be. */
function driverOf(sql: Sql): DriverSql {
  if ("exclusive" in sql) return sql as DriverSql
  throw new RdvError("usage", "The database of this env is not a server's, and takes no drivers")
}

const unknownChanges = { changes: 0, lastId: 0n }
