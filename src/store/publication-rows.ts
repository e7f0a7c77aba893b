/** Shares that a relay knows again after a restart. Their tables are hashes of sealed chunks: nothing of the content. */

import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite"
import { RdvError } from "../base/error.ts"
import { databaseError } from "./database.ts"

export interface PublicationRow {
  /** Six digits. */
  readonly swarm: string
  readonly owner: string
  /** SHA-256 of what members show, and of what the sender shows. */
  readonly access: Uint8Array
  readonly publisher: Uint8Array
  /** Milliseconds since 1970 UTC. */
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly once: boolean
  readonly maxPeers: number | null
  readonly cache: boolean
  readonly isClosed: boolean
  readonly table: PublishedTable
}

export interface PublishedTable {
  readonly version: number
  readonly bytes: number
  readonly mac: string
}

/** Methods throw as those of `Store`. */
export interface PublicationRows {
  /** Oldest first. */
  list(): PublicationRow[]
  /** The encoded table. Throws `not_found`. */
  table(swarm: string): Uint8Array
  /** Without `table` the one that is there stays. Throws `limit` when the tables of all have no room. */
  save(row: PublicationRow, table?: Uint8Array): void
  remove(swarm: string): void
  /** Remembers a receiver that is through. */
  finish(swarm: string, member: string): void
  finished(swarm: string): string[]
}

/** Bytes of all tables: they are on disk, in the file of the store, which is copied for backups. */
const mostTableBytes = 1024 * 1024 * 1024

const sql = {
  list: `SELECT swarm, owner, access, publisher, created_at, expires_at, once, max_peers, cache, closed, version,
    table_bytes, mac FROM publication ORDER BY created_at, swarm`,
  table: "SELECT chunks FROM publication WHERE swarm = ?",
  used: "SELECT coalesce(sum(table_bytes), 0) AS bytes FROM publication WHERE swarm <> ?",
  insert: `INSERT INTO publication (swarm, owner, access, publisher, created_at, expires_at, once, max_peers, cache, closed,
    version, table_bytes, mac, chunks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (swarm) DO UPDATE SET owner = excluded.owner, access = excluded.access, publisher = excluded.publisher,
    created_at = excluded.created_at, expires_at = excluded.expires_at, once = excluded.once,
    max_peers = excluded.max_peers, cache = excluded.cache, closed = excluded.closed, version = excluded.version,
    table_bytes = excluded.table_bytes, mac = excluded.mac, chunks = excluded.chunks`,
  update: "UPDATE publication SET expires_at = ?2, closed = ?3 WHERE swarm = ?1",
  remove: "DELETE FROM publication WHERE swarm = ?",
  finish: "INSERT OR IGNORE INTO finished_receiver (swarm, member) VALUES (?, ?)",
  finished: "SELECT member FROM finished_receiver WHERE swarm = ?",
  forget: "DELETE FROM finished_receiver WHERE swarm = ?",
} as const

type Query = keyof typeof sql

export class SqlitePublications implements PublicationRows {
  readonly #database: DatabaseSync
  readonly #path: string
  readonly #statements: Map<Query, StatementSync> = new Map()

  constructor(database: DatabaseSync, path: string) {
    this.#database = database
    this.#path = path
  }

  list(): PublicationRow[] {
    return this.#ask("list", (statement) => statement.all()).map(readRow)
  }

  table(swarm: string): Uint8Array {
    const chunks = this.#ask("table", (statement) => statement.get(swarm))?.["chunks"]
    if (chunks instanceof Uint8Array) return chunks
    throw new RdvError("not_found", `The store ${this.#path} has no share ${swarm}`)
  }

  save(row: PublicationRow, table?: Uint8Array): void {
    if (table === undefined) {
      this.#run("update", row.swarm, row.expiresAt, Number(row.isClosed))
      return
    }
    const used = Number(this.#ask("used", (statement) => statement.get(row.swarm))?.["bytes"])
    if (used + table.length > mostTableBytes) {
      throw new RdvError("limit", `The tables of all shares are larger than ${mostTableBytes} bytes`)
    }
    const { swarm, owner, access, publisher, createdAt, expiresAt, once, maxPeers, cache, isClosed } = row
    const flags = [Number(once), maxPeers, Number(cache), Number(isClosed)]
    const { version, mac } = row.table
    const facts = [version, table.length, mac, table]
    this.#run("insert", swarm, owner, access, publisher, createdAt, expiresAt, ...flags, ...facts)
  }

  remove(swarm: string): void {
    this.#run("remove", swarm)
    this.#run("forget", swarm)
  }

  finish(swarm: string, member: string): void {
    this.#run("finish", swarm, member)
  }

  finished(swarm: string): string[] {
    return this.#ask("finished", (statement) => statement.all(swarm)).map((row) => String(row["member"]))
  }

  #run(query: Query, ...values: SQLInputValue[]): void {
    this.#ask(query, (statement) => statement.run(...values))
  }

  /** Prepared when it is needed for the first time: most relays share nothing. */
  #ask<T>(query: Query, call: (statement: StatementSync) => T): T {
    try {
      let statement = this.#statements.get(query)
      if (statement === undefined) {
        statement = this.#database.prepare(sql[query])
        this.#statements.set(query, statement)
      }
      return call(statement)
    } catch (error) {
      throw databaseError(error, this.#path)
    }
  }
}

function readRow(row: Record<string, SQLOutputValue>): PublicationRow {
  const number = (value: SQLOutputValue | undefined) => (typeof value === "number" ? value : null)
  return {
    swarm: String(row["swarm"]),
    owner: String(row["owner"]),
    access: row["access"] as Uint8Array,
    publisher: row["publisher"] as Uint8Array,
    createdAt: Number(row["created_at"]),
    expiresAt: number(row["expires_at"]),
    once: row["once"] === 1,
    maxPeers: number(row["max_peers"]),
    cache: row["cache"] === 1,
    isClosed: row["closed"] === 1,
    table: { version: Number(row["version"]), bytes: Number(row["table_bytes"]), mac: String(row["mac"]) },
  }
}
