/**
 * Who comes in with a proof of a key: a server in a tab, or the same server in Node. It may claim a few names, which are its
 * key's from then on, and reaches the services of tabs and nothing else.
 */

import { createPublicKey, verify } from "node:crypto"
import { base64url } from "../../../base/bytes.ts"
import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { checkProof, proofValidMs } from "../identity/proof.ts"
import { AddressBuckets } from "./address-buckets.ts"
import type { TabLimits } from "./tab-limits.ts"
import { UsedNonces } from "./used-nonces.ts"

export interface TabGuestsOptions {
  readonly clock: Clock
  readonly domain: string
  readonly limits: TabLimits
  /** Whether applications of this name are published here. */
  readonly isPublished: (app: string) => boolean
  /** Whether servers that no published application has brought may come from this address. */
  readonly isOpenTo: (address: string) => boolean
  /** This machine itself is held to no rate. */
  readonly isLocal: (address: string) => boolean
  /** How many names belong to this owner, and to all guests of this. */
  readonly countNames: (ownerId: string) => number
  readonly countGuestNames: (guest: string) => number
}

/** What a guest is granted, as the relay's admission has it. */
export interface TabGrant {
  readonly ownerId: string
  readonly scopes: {
    readonly ports: readonly never[]
    readonly services: readonly string[]
    readonly channels: readonly never[]
    readonly limits: { readonly sessions: number; readonly visitors: number }
  }
  readonly mayClaim: (name: string) => void
}

export class TabGuests {
  readonly #options: TabGuestsOptions
  readonly #used: UsedNonces
  readonly #newNames: AddressBuckets
  readonly #proofs: AddressBuckets
  #admitted = 0
  #refused = 0

  constructor(options: TabGuestsOptions) {
    this.#options = options
    const { clock, limits } = options
    // From a proof of two minutes ahead until it is two minutes old.
    this.#used = new UsedNonces({ clock, keepMs: 2 * proofValidMs, most: limits.usedNonces })
    const { newNamesPerHour, proofsPerSecond } = limits
    this.#newNames = new AddressBuckets({ clock, perSecond: newNamesPerHour / 3600, burst: newNamesPerHour, addresses })
    this.#proofs = new AddressBuckets({ clock, perSecond: proofsPerSecond, burst: 10 * proofsPerSecond, addresses })
  }

  status(): { admitted: number; refused: number } {
    return { admitted: this.#admitted, refused: this.#refused }
  }

  /** `what` is `tab/APP`. Throws `unauthorized`, `expired` with the relay's time, `rate_limited`. */
  check(what: string, text: string, address: string): TabGrant {
    try {
      const grant = this.#check(what, text, address)
      this.#admitted++
      return grant
    } catch (error) {
      this.#refused++
      throw error
    }
  }

  #check(what: string, text: string, address: string): TabGrant {
    const { clock, domain, limits, isPublished, isOpenTo, isLocal } = this.#options
    const app = what.slice(what.indexOf("/") + 1)
    if (!isLocal(address) && !this.#proofs.take(address)) {
      throw new RdvError("rate_limited", "Too many came with proofs from your address: wait a few seconds")
    }
    if (app === anyApp ? !isOpenTo(address) : !isPublished(app)) {
      const why = app === anyApp ? "takes servers of published applications alone" : `has no application "${app}"`
      throw new RdvError("forbidden", `This relay ${why}`, { mend: "publish it there: rdv tab publish" })
    }
    const isUsed = ({ key, nonce }: { readonly key: string; readonly nonce: string }) => this.#used.has(key + nonce)
    const proof = checkProof({ text, app, domain, now: clock.wall(), verify: verifiesEd25519, isUsed })
    this.#used.add(proof.key + proof.nonce)
    const ownerId = tabOwner(proof.key)
    return {
      ownerId,
      scopes: {
        ports: [],
        services: ["http", "tab/call"],
        channels: [],
        limits: { sessions: limits.sessionsPerKey, visitors: limits.visitorsPerTab },
      },
      mayClaim: () => this.#mayClaim(ownerId, what, address),
    }
  }

  #mayClaim(ownerId: string, guest: string, address: string): void {
    const { limits, countNames, countGuestNames, isLocal } = this.#options
    if (countNames(ownerId) >= limits.namesPerKey) {
      throw new RdvError("forbidden", `This server has ${limits.namesPerKey} names already, which is the most`)
    }
    if (countGuestNames(guest) >= limits.namesPerApp) {
      throw new RdvError(
        "forbidden",
        `${limits.namesPerApp} names are taken by servers of this application, which is the most`,
      )
    }
    if (!isLocal(address) && !this.#newNames.take(address)) {
      throw new RdvError("rate_limited", "Too many new names were taken from your address: wait some minutes")
    }
  }
}

/** The id by which what this key claims is its own. */
export function tabOwner(key: string): string {
  return `${ownerPrefix}${key}`
}

/** The key of such an owner; undefined for every other one. */
export function keyOfOwner(ownerId: string | undefined): string | undefined {
  return ownerId?.startsWith(ownerPrefix) === true ? ownerId.slice(ownerPrefix.length) : undefined
}

const ownerPrefix = "tab:"
/** In place of a published application's name; nobody can publish under it. */
export const anyApp = "any"
/** That are remembered, for each rate. */
const addresses = 10_000

function verifiesEd25519(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  try {
    const jwk = { kty: "OKP", crv: "Ed25519", x: base64url(key) }
    return verify(null, message, createPublicKey({ key: jwk, format: "jwk" }), signature)
  } catch {
    // 32 bytes that are no point of the curve.
    return false
  }
}
