/**
 * What a relay must remember when it restarts: who may come (tokens), what belongs to whom (claims), which generated
 * name an agent had (remembered), and what happened (audit). Calls are synchronous: they happen when a session opens or a
 * name is claimed, never on the path of a byte. Every method throws `RdvError` with one line that names the file:
 * `in_use` (locked), `corrupt`, `limit` (disk full), `usage` (read-only, not ours, newer), `closed`.
 */

import type { JsonObject } from "../base/json.ts"
import type { PublicationRows } from "./publication-rows.ts"
import type { TokenScopes } from "./token-scopes.ts"

export interface TokenRecord {
  /** Public: the first eight hexadecimal digits of the token's SHA-256. Owns claims. */
  readonly id: string
  readonly name: string
  readonly scopes: TokenScopes
  /** Times are milliseconds since 1970 UTC. */
  readonly createdAt: number
  readonly expiresAt: number | null
  readonly revokedAt: number | null
  /** To the minute: it is written at most once a minute. */
  readonly lastUsedAt: number | null
}

export interface NewToken {
  /** Unique among the living: letters, digits, `.`, `_`, `-`, `@`. */
  readonly name: string
  readonly scopes?: TokenScopes
  /** Milliseconds since 1970 UTC; never when left out. */
  readonly expiresAt?: number
}

export type TokenRefusal = "malformed" | "unknown" | "expired" | "revoked"

export type TokenVerdict =
  | { readonly ok: true; readonly record: TokenRecord }
  | { readonly ok: false; readonly reason: TokenRefusal }

export type ClaimKind = "http" | "tcp"

export interface Claim {
  readonly kind: ClaimKind
  /** The host label, or the port in decimal. */
  readonly name: string
  /** A token's id, or what a guest's proof stands for: `tab:KEY`. */
  readonly ownerId: string
  readonly claimedAt: number
  /** What its owner was a guest of when it claimed the name: `tab/chat`. Null for tokens. */
  readonly guest: string | null
  /** The last one that a server of the name came with; null when none ever did. */
  readonly epoch: number | null
}

export type ClaimVerdict =
  /** `fresh` is false when it was the owner's already. */
  | { readonly ok: true; readonly fresh: boolean }
  /** `owner` is the name of the token that holds it. */
  | { readonly ok: false; readonly owner: string }

export interface AuditRow {
  readonly at: number
  readonly event: string
  readonly fields: JsonObject
}

export interface Store {
  /** The file's absolute path, or `:memory:`. */
  readonly path: string
  /** Shares, for a relay that starts anew. */
  readonly publications: PublicationRows

  /** The text is not kept and cannot be shown again. Throws `usage` for a bad or taken name and for bad scopes. */
  createToken(wanted: NewToken): { readonly token: string; readonly record: TokenRecord }
  verifyToken(text: string): TokenVerdict
  /** Newest first, the revoked and expired ones too. */
  listTokens(): TokenRecord[]
  /** Undefined when no token of this id or name is left to revoke. Its claims stay until they are released or moved. */
  revokeToken(idOrName: string): TokenRecord | undefined

  /** What is claimed stays with its owner until `releaseClaim`. Throws `limit` beyond `claimsPerOwner`. */
  claimName(kind: ClaimKind, name: string, ownerId: string, guest?: string): ClaimVerdict
  /** False when nobody had claimed it. */
  releaseClaim(kind: ClaimKind, name: string): boolean
  /**
   * Hands one claim over, so that picked names stay with their services. False when nobody had claimed it. Throws `limit`
   * as `claimName` does.
   */
  moveClaim(kind: ClaimKind, name: string, toOwnerId: string): boolean
  /**
   * Hands all claims and remembered names over, for a token that replaces another. Returns how many claims moved. Throws
   * `limit` as `claimName` does; then none has.
   */
  moveClaims(fromOwnerId: string, toOwnerId: string): number
  /** The id of the owner; undefined when nobody has claimed it. */
  claimOwner(kind: ClaimKind, name: string): string | undefined
  claim(kind: ClaimKind, name: string): Claim | undefined
  /** Remembers the epoch, unless the claim has a higher one already: then that is the answer. */
  raiseEpoch(kind: ClaimKind, name: string, epoch: number): number
  claimsOf(ownerId: string): Claim[]
  /** How many names guests of this have. */
  countGuestClaims(guest: string): number
  listClaims(): Claim[]

  /** The name that `rememberName` stored for this owner and seed: generated names stay the same. */
  rememberedName(ownerId: string, seed: string): string | undefined
  rememberName(ownerId: string, seed: string, name: string): void
  rememberedPort(ownerId: string, seed: string): number | undefined
  rememberPort(ownerId: string, seed: string, port: number): void

  /** Secrets are never fields. The newest `auditRows` are kept. */
  audit(event: string, fields?: JsonObject): void
  /** Newest first. */
  auditTrail(limit?: number): AuditRow[]

  /** A number that differs from the last call's when another process changed the store, a revocation for example. */
  outsideChanges(): number
  close(): void
}

/** Bounds of the store. A token that claims without end fills the disk; a chatty event does the same. */
export const storeLimits = {
  claimsPerOwner: 1_000,
  /** Seeds come from agents; the ones not used for longest are forgotten. */
  rememberedPerOwner: 1_000,
  auditRows: 10_000,
  /** Bytes of one audit row's fields as JSON. */
  auditFieldBytes: 4_096,
} as const
