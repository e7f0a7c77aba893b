/**
 * The store in one SQLite file, shared by the workers of a relay and by the commands that administer it. Reads see each
 * other process's last commit, so a revocation holds from the next look-up on.
 */

import { timingSafeEqual } from "node:crypto"
import { resolve } from "node:path"
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite"
import type { Clock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Log } from "../base/log.ts"
import { databaseError, memoryPath, openDatabase } from "./database.ts"
import { SqlitePublications } from "./publication-rows.ts"
import { storeLimits } from "./store.ts"
import type { AuditRow, Claim, ClaimKind, ClaimVerdict, NewToken, Store, TokenRecord, TokenVerdict } from "./store.ts"
import { readScopes } from "./token-scopes.ts"
import { hashTokenText, isTokenText, mintTokenText, tokenId } from "./token-text.ts"

export interface SqliteStoreOptions {
  /** The file, or `:memory:`. Its folder is made when it is missing. */
  readonly path: string
  readonly clock: Clock
  /** Hears of writes that failed and that no caller waits for. */
  readonly log: Log
  /** How long a call waits for another process that writes, ms. Default 2,000. */
  readonly busyTimeoutMs?: number
}

/** Opens the store; throws what `Store` says. */
export function openSqliteStore(options: SqliteStoreOptions): Store {
  const { path, busyTimeoutMs } = options
  const database = openDatabase({
    path,
    wall: options.clock.wall(),
    ...(busyTimeoutMs === undefined ? {} : { busyTimeoutMs }),
  })
  return new SqliteStore(database, options)
}

type Row = Record<string, SQLOutputValue>

/** `last_used_at` costs a write and a disk flush; once a minute is what people need. */
const lastUsedEveryMs = 60_000

const sql = {
  insertToken: "INSERT INTO token (id, name, hash, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
  tokenById: "SELECT * FROM token WHERE id = ?",
  livingByName:
    "SELECT * FROM token WHERE name = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?) LIMIT 1",
  revocable: "SELECT * FROM token WHERE revoked_at IS NULL AND (id = ?1 OR name = ?1) ORDER BY created_at DESC LIMIT 1",
  revoke: "UPDATE token SET revoked_at = ?2 WHERE revoked_at IS NULL AND (id = ?1 OR name = ?1)",
  used: "UPDATE token SET last_used_at = ? WHERE id = ?",
  tokens: "SELECT * FROM token ORDER BY created_at DESC, id",

  claim: "SELECT *, (SELECT name FROM token WHERE id = owner_id) AS owner FROM claim WHERE kind = ? AND name = ?",
  insertClaim: "INSERT INTO claim (kind, name, owner_id, claimed_at, guest) VALUES (?, ?, ?, ?, ?)",
  raiseEpoch: "UPDATE claim SET epoch = ?3 WHERE kind = ?1 AND name = ?2",
  countGuestClaims: "SELECT count(*) AS count FROM claim WHERE guest = ?",
  deleteClaim: "DELETE FROM claim WHERE kind = ? AND name = ?",
  countClaims: "SELECT count(*) AS count FROM claim WHERE owner_id = ?",
  moveClaim: "UPDATE claim SET owner_id = ?3, guest = NULL, epoch = NULL WHERE kind = ?1 AND name = ?2",
  moveRememberedValue:
    "UPDATE OR REPLACE remembered SET owner_id = ?4 WHERE kind = ?1 AND value = ?2 AND owner_id = ?3",
  moveClaims: "UPDATE claim SET owner_id = ?2, guest = NULL, epoch = NULL WHERE owner_id = ?1",
  moveRemembered: "UPDATE OR REPLACE remembered SET owner_id = ?2 WHERE owner_id = ?1",
  claimsOf: "SELECT * FROM claim WHERE owner_id = ? ORDER BY kind, name",
  claims: "SELECT * FROM claim ORDER BY kind, name",

  remembered: "SELECT value FROM remembered WHERE owner_id = ? AND kind = ? AND seed = ?",
  remember: `INSERT INTO remembered (owner_id, kind, seed, value, turn)
    VALUES (?1, ?2, ?3, ?4, (SELECT coalesce(max(turn), 0) + 1 FROM remembered WHERE owner_id = ?1))
    ON CONFLICT DO UPDATE SET value = excluded.value, turn = excluded.turn`,
  forget: `DELETE FROM remembered WHERE owner_id = ?1 AND turn <=
    (SELECT turn FROM remembered WHERE owner_id = ?1 ORDER BY turn DESC LIMIT 1 OFFSET ?2)`,

  audit: "INSERT INTO audit (at, event, fields) VALUES (?, ?, ?)",
  trimAudit: "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?",
  auditTrail: "SELECT at, event, fields FROM audit ORDER BY id DESC LIMIT ?",
  dataVersion: "PRAGMA data_version",
} as const

type Query = keyof typeof sql

class SqliteStore implements Store {
  readonly path: string
  readonly publications: SqlitePublications
  readonly #database: DatabaseSync
  readonly #statements: Record<Query, StatementSync>
  readonly #clock: Clock
  readonly #log: Log

  constructor(database: DatabaseSync, options: SqliteStoreOptions) {
    this.#database = database
    this.path = options.path === memoryPath ? memoryPath : resolve(options.path)
    this.publications = new SqlitePublications(database, this.path)
    this.#clock = options.clock
    this.#log = options.log
    const prepared = Object.entries(sql).map(([query, text]) => [query, database.prepare(text)])
    this.#statements = Object.fromEntries(prepared) as Record<Query, StatementSync>
  }

  createToken(wanted: NewToken): { readonly token: string; readonly record: TokenRecord } {
    const name = checkTokenName(wanted.name)
    const scopes = readScopes(wanted.scopes ?? {})
    const now = this.#clock.wall()
    const expiresAt = wanted.expiresAt ?? null
    if (expiresAt !== null && (!Number.isSafeInteger(expiresAt) || expiresAt <= now)) {
      throw new RdvError("usage", `The expiry of token "${name}" is not in the future`)
    }
    return this.#atomically(() => {
      if (this.#get("livingByName", name, now) !== undefined) {
        throw new RdvError("usage", `A token named "${name}" exists already`, {
          mend: `choose another name, or revoke it first: rdv token rm ${name}`,
        })
      }
      // Ids are 32 bits of the hash: two of 10,000 tokens share one in every 86 stores, so the text is minted again.
      let token = mintTokenText()
      while (this.#get("tokenById", tokenId(hashTokenText(token))) !== undefined) token = mintTokenText()
      const hash = hashTokenText(token)
      const id = tokenId(hash)
      this.#run("insertToken", id, name, hash, JSON.stringify(scopes), now, expiresAt)
      this.#writeAudit("token.created", { id, name })
      return { token, record: { id, name, scopes, createdAt: now, expiresAt, revokedAt: null, lastUsedAt: null } }
    })
  }

  verifyToken(text: string): TokenVerdict {
    if (!isTokenText(text)) return { ok: false, reason: "malformed" }
    const hash = hashTokenText(text)
    const row = this.#get("tokenById", tokenId(hash))
    if (row === undefined || !timingSafeEqual(row["hash"] as Uint8Array, hash)) return { ok: false, reason: "unknown" }
    const record = readToken(row)
    const now = this.#clock.wall()
    if (record.revokedAt !== null) return { ok: false, reason: "revoked" }
    if (record.expiresAt !== null && record.expiresAt <= now) return { ok: false, reason: "expired" }
    if (record.lastUsedAt === null || now - record.lastUsedAt >= lastUsedEveryMs) this.#noteUse(record.id, now)
    return { ok: true, record }
  }

  listTokens(): TokenRecord[] {
    return this.#all("tokens").map(readToken)
  }

  revokeToken(idOrName: string): TokenRecord | undefined {
    return this.#atomically(() => {
      const row = this.#get("revocable", idOrName)
      if (row === undefined) return undefined
      const revokedAt = this.#clock.wall()
      this.#run("revoke", idOrName, revokedAt)
      const record = { ...readToken(row), revokedAt }
      this.#writeAudit("token.revoked", { id: record.id, name: record.name })
      return record
    })
  }

  claimName(kind: ClaimKind, name: string, ownerId: string, guest?: string): ClaimVerdict {
    // An agent that returns claims what it has: that must neither write nor wait for a writer.
    return (
      this.#claimVerdict(kind, name, ownerId) ??
      this.#atomically(() => {
        const verdict = this.#claimVerdict(kind, name, ownerId)
        if (verdict !== undefined) return verdict
        this.#checkRoom(ownerId, 1)
        this.#run("insertClaim", kind, name, ownerId, this.#clock.wall(), guest ?? null)
        this.#writeAudit("claim.made", { kind, name, ownerId })
        return { ok: true, fresh: true }
      })
    )
  }

  releaseClaim(kind: ClaimKind, name: string): boolean {
    return this.#atomically(() => {
      const released = this.#run("deleteClaim", kind, name) > 0
      if (released) this.#writeAudit("claim.released", { kind, name })
      return released
    })
  }

  moveClaim(kind: ClaimKind, name: string, toOwnerId: string): boolean {
    return this.#atomically(() => {
      const fromOwnerId = this.claimOwner(kind, name)
      if (fromOwnerId === undefined) return false
      if (fromOwnerId === toOwnerId) return true
      this.#checkRoom(toOwnerId, 1)
      this.#run("moveClaim", kind, name, toOwnerId)
      this.#run("moveRememberedValue", kind, name, fromOwnerId, toOwnerId)
      this.#writeAudit("claim.moved", { kind, name, fromOwnerId, toOwnerId })
      return true
    })
  }

  moveClaims(fromOwnerId: string, toOwnerId: string): number {
    return this.#atomically(() => {
      if (fromOwnerId !== toOwnerId) this.#checkRoom(toOwnerId, this.#countClaims(fromOwnerId))
      const moved = this.#run("moveClaims", fromOwnerId, toOwnerId)
      this.#run("moveRemembered", fromOwnerId, toOwnerId)
      this.#writeAudit("claim.moved", { fromOwnerId, toOwnerId, moved })
      return moved
    })
  }

  claimOwner(kind: ClaimKind, name: string): string | undefined {
    const owner = this.#get("claim", kind, name)?.["owner_id"]
    return owner === undefined ? undefined : String(owner)
  }

  claim(kind: ClaimKind, name: string): Claim | undefined {
    const row = this.#get("claim", kind, name)
    return row && readClaim(row)
  }

  raiseEpoch(kind: ClaimKind, name: string, epoch: number): number {
    const last = this.claim(kind, name)?.epoch ?? -1
    // A server that returns to its name must neither write nor wait for a writer.
    if (last >= epoch) return last
    return this.#atomically(() => {
      const seen = this.claim(kind, name)?.epoch ?? -1
      if (seen < epoch) this.#run("raiseEpoch", kind, name, epoch)
      return Math.max(seen, epoch)
    })
  }

  countGuestClaims(guest: string): number {
    return Number(this.#get("countGuestClaims", guest)?.["count"])
  }

  claimsOf(ownerId: string): Claim[] {
    return this.#all("claimsOf", ownerId).map(readClaim)
  }

  listClaims(): Claim[] {
    return this.#all("claims").map(readClaim)
  }

  rememberedName(ownerId: string, seed: string): string | undefined {
    return this.#remembered(ownerId, "http", seed)
  }

  rememberName(ownerId: string, seed: string, name: string): void {
    this.#remember(ownerId, "http", seed, name)
  }

  rememberedPort(ownerId: string, seed: string): number | undefined {
    const port = this.#remembered(ownerId, "tcp", seed)
    return port === undefined ? undefined : Number(port)
  }

  rememberPort(ownerId: string, seed: string, port: number): void {
    this.#remember(ownerId, "tcp", seed, String(port))
  }

  audit(event: string, fields: JsonObject = {}): void {
    this.#atomically(() => this.#writeAudit(event, fields))
  }

  auditTrail(limit = 100): AuditRow[] {
    return this.#all("auditTrail", limit).map((row) => ({
      at: Number(row["at"]),
      event: String(row["event"]),
      fields: JSON.parse(String(row["fields"])) as JsonObject,
    }))
  }

  outsideChanges(): number {
    return Number(this.#get("dataVersion")?.["data_version"])
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close()
  }

  #claimVerdict(kind: ClaimKind, name: string, ownerId: string): ClaimVerdict | undefined {
    const held = this.#get("claim", kind, name)
    if (held === undefined) return undefined
    if (held["owner_id"] === ownerId) return { ok: true, fresh: false }
    return { ok: false, owner: String(held["owner"] ?? held["owner_id"]) }
  }

  #remembered(ownerId: string, kind: ClaimKind, seed: string): string | undefined {
    const value = this.#get("remembered", ownerId, kind, seed)?.["value"]
    return value === undefined ? undefined : String(value)
  }

  #remember(ownerId: string, kind: ClaimKind, seed: string, value: string): void {
    this.#atomically(() => {
      this.#run("remember", ownerId, kind, seed, value)
      this.#run("forget", ownerId, storeLimits.rememberedPerOwner)
    })
  }

  #countClaims(ownerId: string): number {
    return Number(this.#get("countClaims", ownerId)?.["count"])
  }

  #checkRoom(ownerId: string, more: number): void {
    if (this.#countClaims(ownerId) + more <= storeLimits.claimsPerOwner) return
    throw new RdvError("limit", `A token may claim ${storeLimits.claimsPerOwner} names and ports, not more`, {
      mend: "release what is not needed (rdv name release), or make another token",
    })
  }

  /** Its failure does not turn a good token away. */
  #noteUse(id: string, now: number): void {
    try {
      this.#run("used", now, id)
    } catch (error) {
      this.#log.warn("store.write_failed", { what: "last use of a token", why: (error as RdvError).message })
    }
  }

  #writeAudit(event: string, fields: JsonObject): void {
    const text = JSON.stringify(fields)
    const kept = text.length > storeLimits.auditFieldBytes ? JSON.stringify({ omittedBytes: text.length }) : text
    this.#run("audit", this.#clock.wall(), event, kept)
    this.#run("trimAudit", storeLimits.auditRows)
  }

  #get(query: Query, ...values: SQLInputValue[]): Row | undefined {
    return this.#guard(() => this.#statements[query].get(...values))
  }

  #all(query: Query, ...values: SQLInputValue[]): Row[] {
    return this.#guard(() => this.#statements[query].all(...values))
  }

  /** Returns the number of rows that changed. */
  #run(query: Query, ...values: SQLInputValue[]): number {
    return this.#guard(() => Number(this.#statements[query].run(...values).changes))
  }

  /** IMMEDIATE takes the write lock first: what was read inside still holds when it is written. */
  #atomically<T>(work: () => T): T {
    this.#guard(() => this.#database.exec("BEGIN IMMEDIATE"))
    try {
      const result = work()
      this.#guard(() => this.#database.exec("COMMIT"))
      return result
    } catch (error) {
      // SQLite itself rolls back on a full disk; a second ROLLBACK would hide that error.
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK")
      throw error
    }
  }

  #guard<T>(call: () => T): T {
    try {
      return call()
    } catch (error) {
      throw databaseError(error, this.path)
    }
  }
}

function checkTokenName(name: string): string {
  // Eight hexadecimal digits would read as an id in `revokeToken`.
  if (/^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$/.test(name) && !/^[0-9a-f]{8}$/.test(name)) return name
  throw new RdvError("usage", "The name of a token must be 1 to 64 letters, digits, dots, hyphens, _ or @", {
    mend: "for example laptop or alice@desk; it starts with a letter or digit and does not look like an id",
  })
}

function readToken(row: Row): TokenRecord {
  return {
    id: String(row["id"]),
    name: String(row["name"]),
    scopes: readScopes(JSON.parse(String(row["scopes"])), `scopes of token ${String(row["id"])}`),
    createdAt: Number(row["created_at"]),
    expiresAt: readTime(row["expires_at"]),
    revokedAt: readTime(row["revoked_at"]),
    lastUsedAt: readTime(row["last_used_at"]),
  }
}

function readTime(value: SQLOutputValue | undefined): number | null {
  return value === null || value === undefined ? null : Number(value)
}

function readClaim(row: Row): Claim {
  return {
    kind: row["kind"] as ClaimKind,
    name: String(row["name"]),
    ownerId: String(row["owner_id"]),
    claimedAt: Number(row["claimed_at"]),
    guest: typeof row["guest"] === "string" ? row["guest"] : null,
    epoch: typeof row["epoch"] === "number" ? row["epoch"] : null,
  }
}
