/**
 * The application's database: SQLite, durable. A promise of a write resolves when it is on disk, so a response that awaited
 * it never promises what a crash takes back. Writes of one moment share a commit.
 */

export type SqlValue = null | number | string | Uint8Array
export type SqlRow = { readonly [column: string]: SqlValue }

export interface SqlResult {
  /** Rows that were inserted, changed or deleted. */
  readonly changes: number
  /** The rowid of the last insert. */
  readonly lastId: number
}

/** Statements have `?` for values. Integers beyond 2^53 are refused (`limit`): keep them as text. */
export interface SqlStatements<Way extends "now" | "later"> {
  all<Row extends SqlRow = SqlRow>(text: string, ...values: readonly SqlValue[]): Answer<Way, Row[]>
  get<Row extends SqlRow = SqlRow>(text: string, ...values: readonly SqlValue[]): Answer<Way, Row | undefined>
  run(text: string, ...values: readonly SqlValue[]): Answer<Way, SqlResult>
}

type Answer<Way, Value> = Way extends "now" ? Value : Promise<Value>

/** Inside a transaction nothing else happens to the database, so that its statements answer at once. */
export type SqlTransaction = SqlStatements<"now">

/** Rejects `usage` for a wrong statement, `exists` where a constraint forbids it, `limit` when the storage is full. */
export interface Sql extends SqlStatements<"later"> {
  /** Several statements without values, in one transaction: a schema. */
  script(text: string): Promise<void>
  /**
   * All of it or nothing: what `work` throws takes everything back and rejects. Others wait meanwhile, so a `work` that
   * awaits is ended with `timeout` after 5 s.
   */
  transaction<Value>(work: (sql: SqlTransaction) => Value | Promise<Value>): Promise<Value>
}
