/** `rdv name`: which names and ports belong to which token, and how they change hands. It works on the store, as `rdv token` does. */

import { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import { storeLimits } from "../store/store.ts"
import type { Claim, Store, TokenRecord } from "../store/store.ts"
import { allowsName, allowsPort, allowsService } from "../store/token-scopes.ts"
import { exitCode } from "./command.ts"
import type { Command, CommandCall } from "./command.ts"
import { commonFlags, dataFlag } from "./common-flags.ts"
import type { Flags } from "./flags.ts"
import { table } from "./output.ts"
import { withRelayStore } from "./relay-store.ts"
import { servedNames } from "./served-names.ts"
import { claimsOfToken, claimText, day, livingToken, tokenState } from "./token-facts.ts"

const ofFlag: Flags = {
  of: { kind: "text", value: "ID|NAME", summary: "All names and ports of this token, although it may be revoked" },
}

const notes = ["A name is written as in rdv name ls: blog, or tcp/2222 for a port."]

export const nameList: Command = {
  name: "name ls",
  summary: "Lists names and ports with the tokens that claimed them.",
  usage: "[flags]",
  words: [0, 0],
  flags: { ...ofFlag, ...dataFlag, ...commonFlags },
  examples: [
    ["rdv name ls", "names first, then ports; whether an agent serves them right now"],
    ["rdv name ls --of laptop", "those of one token"],
  ],
  run: (call) => withRelayStore(call, (store) => list(call, store)),
}

export const nameRelease: Command = {
  name: "name release",
  summary: "Gives names and ports back: whoever comes next may claim them.",
  usage: "NAME... [flags]",
  words: [0, Infinity],
  flags: { ...ofFlag, ...dataFlag, ...commonFlags },
  examples: [
    ["rdv name release blog tcp/2222", "an agent that serves one of them loses it within a second"],
    ["rdv name release --of laptop", "all that a token had claimed"],
  ],
  notes,
  run: (call) => withRelayStore(call, (store) => release(call, store)),
}

export const nameMove: Command = {
  name: "name move",
  summary: "Hands names and ports over to another token.",
  usage: "NAME... --to ID|NAME [flags]",
  words: [0, Infinity],
  flags: {
    to: { kind: "text", value: "ID|NAME", summary: "The token that they belong to from now on" },
    ...ofFlag,
    ...dataFlag,
    ...commonFlags,
  },
  examples: [
    ["rdv name move blog --to desk", "an agent that serves it with another token loses it within a second"],
    ["rdv name move --of laptop --to desk", "all that a token had claimed, for one that replaces it"],
  ],
  notes,
  run: (call) => withRelayStore(call, (store) => move(call, store)),
}

async function list(call: CommandCall, store: Store): Promise<number> {
  const { flags, output } = call
  const of = flags.text("of")
  const claims = of === undefined ? store.listClaims() : claimsOfToken(store, of)
  const owners = ownersOf(store)
  const served = await servedNames(call, store)
  const isServed = (claim: Claim) => served?.has(`${claim.kind}/${claim.name}`) ?? null
  for (const claim of claims) output.record({ ...shown(claim, owners), served: isServed(claim) })
  if (claims.length === 0) {
    output.note(
      `rdv: ${of === undefined ? "nothing is claimed" : `the token ${JSON.stringify(of)} has claimed nothing`}`,
    )
    return exitCode.ok
  }
  const rows = claims.map((claim) => [
    claimText(claim),
    ownerText(claim, owners),
    idText(claim.ownerId),
    day(claim.claimedAt),
    served === undefined ? "?" : isServed(claim) === true ? "yes" : "no",
  ])
  for (const line of table([["NAME", "TOKEN", "ID", "SINCE", "SERVED"], ...rows])) output.line(line)
  if (served === undefined) output.note("rdv: no relay of this data runs, or it does not answer")
  return exitCode.ok
}

function release(call: CommandCall, store: Store): number {
  const { output } = call
  const claims = chosen(call, store)
  const owners = ownersOf(store)
  for (const claim of claims) {
    store.releaseClaim(claim.kind, claim.name)
    output.record({ released: true, ...shown(claim, owners) })
    output.line(`released ${claimText(claim)}, which belonged to ${ownerText(claim, owners)}`)
  }
  return exitCode.ok
}

function move(call: CommandCall, store: Store): number {
  const { flags, output } = call
  const wanted = flags.text("to")
  if (wanted === undefined) {
    throw new RdvError("usage", '"rdv name move" wants --to', {
      mend: "name the token: --to ID|NAME; see rdv token ls",
    })
  }
  const to = livingToken(store, wanted)
  const claims = chosen(call, store)
  // All or nothing: somebody who reads an error can mend it and say the same again.
  for (const claim of claims) checkAllowed(to, claim)
  checkRoom(store, to, claims)
  const owners = ownersOf(store)
  for (const claim of claims) {
    store.moveClaim(claim.kind, claim.name, to.id)
    output.record({ moved: true, ...shown({ ...claim, ownerId: to.id }, owners), from: claim.ownerId })
    const from = claim.ownerId === to.id ? "it was its own already" : `it belonged to ${ownerText(claim, owners)}`
    output.line(`${claimText(claim)} belongs to ${to.name} now; ${from}`)
  }
  return exitCode.ok
}

/** The claims that words or `--of` name. Throws `usage` or `no_route`; then nothing has changed. */
function chosen({ words, flags }: CommandCall, store: Store): readonly Claim[] {
  const of = flags.text("of")
  if ((of === undefined) === (words.length === 0)) {
    throw new RdvError("usage", of === undefined ? "No name is given" : "Names and --of exclude each other", {
      mend: "write NAME... or --of TOKEN; see rdv name ls",
    })
  }
  if (of === undefined) {
    const all = store.listClaims()
    return [...new Set(words.map((word) => findClaim(all, word)))]
  }
  const claims = claimsOfToken(store, of)
  if (claims.length > 0) return claims
  throw new RdvError("no_route", `The token ${JSON.stringify(of)} has claimed nothing`, { mend: "see rdv name ls" })
}

function findClaim(claims: readonly Claim[], word: string): Claim {
  const [, kind, name = ""] = /^(?:(http|tcp)\/)?(.*)$/.exec(word.toLowerCase()) ?? []
  const found = claims.filter((claim) => claim.name === name && (kind === undefined || claim.kind === kind))
  if (found.length === 1) return found[0] as Claim
  if (found.length > 1) {
    throw new RdvError("usage", `${JSON.stringify(word)} is a name and a port`, {
      mend: `write http/${name} or tcp/${name}`,
    })
  }
  throw new RdvError("no_route", `Nobody has claimed ${JSON.stringify(word)}`, { mend: "see rdv name ls" })
}

/** Else its new owner could not use it, and nobody else. */
function checkAllowed({ name, scopes }: TokenRecord, claim: Claim): void {
  const allowed = claim.kind === "http" ? allowsName(scopes, claim.name) : allowsPort(scopes, Number(claim.name))
  if (allowed && allowsService(scopes, claim.kind)) return
  throw new RdvError("forbidden", `The token ${JSON.stringify(name)} does not allow ${claimText(claim)}`, {
    mend: "choose or make one that does; nothing was moved",
  })
}

function checkRoom(store: Store, to: TokenRecord, claims: readonly Claim[]): void {
  const others = claims.filter(({ ownerId }) => ownerId !== to.id)
  const would = store.claimsOf(to.id).length + others.length
  const most = storeLimits.claimsPerOwner
  if (others.length === 0 || would <= most) return
  const what = `The token ${JSON.stringify(to.name)} would have ${would} names and ports, and ${most} are the most`
  throw new RdvError("limit", what, { mend: "release what it does not need, or move fewer; nothing was moved" })
}

/** A key is long and no secret; the rest of it is in `--json`. */
function idText(ownerId: string): string {
  return ownerId.length > 16 ? `${ownerId.slice(0, 15)}…` : ownerId
}

function ownersOf(store: Store): ReadonlyMap<string, TokenRecord> {
  return new Map(store.listTokens().map((record) => [record.id, record]))
}

function shown(claim: Claim, owners: ReadonlyMap<string, TokenRecord>): JsonObject {
  const { kind, name, ownerId, claimedAt, guest, epoch } = claim
  const owner = owners.get(ownerId)
  return {
    kind,
    name,
    tokenId: ownerId,
    token: owner?.name ?? null,
    tokenState: owner === undefined ? null : tokenState(owner),
    claimedAt: new Date(claimedAt).toISOString(),
    ...(guest !== null && { guest }),
    ...(epoch !== null && { epoch }),
  }
}

/** Of a server in a tab, the application that brought it: `tab/chat`. */
function ownerText({ ownerId, guest }: Claim, owners: ReadonlyMap<string, TokenRecord>): string {
  const owner = owners.get(ownerId)
  if (owner === undefined) return guest ?? (ownerId.startsWith("anonymous/") ? "no token" : "?")
  const state = tokenState(owner)
  return state === "revoked" || state === "expired" ? `${owner.name} (${state})` : owner.name
}
