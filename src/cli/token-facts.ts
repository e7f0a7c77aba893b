/** How tokens are found and shown on the command line. */

import { RdvError } from "../base/error.ts"
import type { Claim, Store, TokenRecord } from "../store/store.ts"

export function tokenState({ revokedAt, expiresAt }: TokenRecord): string {
  if (revokedAt !== null) return "revoked"
  if (expiresAt === null) return "valid"
  return expiresAt <= Date.now() ? "expired" : `until ${day(expiresAt)}`
}

export function day(at: number): string {
  return new Date(at).toISOString().slice(0, 10)
}

export function isLiving({ revokedAt, expiresAt }: TokenRecord): boolean {
  return revokedAt === null && (expiresAt === null || expiresAt > Date.now())
}

/** The token of this id or name that agents can use. Throws `no_route`. */
export function livingToken(store: Store, wanted: string): TokenRecord {
  const found = store.listTokens().filter(({ id, name }) => id === wanted || name === wanted)
  const living = found.find(isLiving)
  if (living !== undefined) return living
  const [dead] = found
  const what = `There is no living token ${JSON.stringify(wanted)}`
  throw new RdvError("no_route", dead === undefined ? what : `${what}, only one that is ${tokenState(dead)}`, {
    mend: "see rdv token ls",
  })
}

/** What the token of this id or name has claimed, although it may be dead. Throws `no_route`, or `usage` for several. */
export function claimsOfToken(store: Store, wanted: string): readonly Claim[] {
  const found = store.listTokens().filter(({ id, name }) => id === wanted || name === wanted)
  if (found.length === 0) {
    throw new RdvError("no_route", `There is no token ${JSON.stringify(wanted)}`, { mend: "see rdv token ls" })
  }
  const owners = found.map(({ id }) => ({ id, claims: store.claimsOf(id) })).filter(({ claims }) => claims.length > 0)
  if (owners.length > 1) {
    throw new RdvError("usage", `${owners.length} tokens with names are called ${JSON.stringify(wanted)}`, {
      mend: `write the id: ${owners.map(({ id }) => id).join(" or ")}`,
    })
  }
  return owners[0]?.claims ?? []
}

/** `blog`, `tcp/2222`. */
export function claimText({ kind, name }: Claim): string {
  return kind === "http" ? name : `${kind}/${name}`
}

/** At most ten of them, and how many more there are. */
export function claimsText(claims: readonly Claim[]): string {
  const shown = claims.slice(0, 10).map(claimText).join(", ")
  return claims.length > 10 ? `${shown} and ${claims.length - 10} more` : shown
}
