/** Which class a client is in: the first tier of which each kind of sign that it names is there. */

import { createHash } from "node:crypto"
import type { TierSettings } from "../config/settings.ts"
import { ServerNames } from "../preface/server-names.ts"
import { readNetworks } from "./networks.ts"
import type { Networks } from "./networks.ts"

/** What is known of a connection ahead of its bytes. */
export interface TierSigns {
  /** IPv4 or IPv6. */
  readonly address: string
  /** Where it came in. */
  readonly port: number
  /** Asked for, in lower case. */
  readonly serverName?: string | undefined
  /** Common name of the client's certificate, verified. */
  readonly certificate?: string | undefined
  /** As the PROXY header carries it (type 0xE0). */
  readonly token?: Uint8Array | undefined
}

export class Tiers {
  readonly #tiers: readonly Tier[]

  /** Throws `usage` for what is no network. */
  constructor(settings: readonly TierSettings[]) {
    this.#tiers = settings.map(tierOf)
  }

  /** Undefined: it is in none. */
  find(signs: TierSigns): TierSettings | undefined {
    let hash: string | undefined
    for (const { settings, networks, serverNames, ports, certificates, tokens } of this.#tiers) {
      if (networks !== undefined && !networks.has(signs.address)) continue
      if (ports !== undefined && !ports.has(signs.port)) continue
      if (serverNames !== undefined && serverNames.find(signs.serverName) === undefined) continue
      if (certificates !== undefined && !certificates.has(signs.certificate ?? "")) continue
      if (tokens !== undefined) {
        if (signs.token === undefined) continue
        hash ??= createHash("sha256").update(signs.token).digest("hex")
        if (!tokens.has(hash)) continue
      }
      return settings
    }
    return undefined
  }
}

/** Undefined: it does not matter. */
interface Tier {
  readonly settings: TierSettings
  readonly networks: Networks | undefined
  readonly ports: ReadonlySet<number> | undefined
  readonly serverNames: ServerNames<true> | undefined
  readonly certificates: ReadonlySet<string> | undefined
  /** In lower case. */
  readonly tokens: ReadonlySet<string> | undefined
}

function tierOf(settings: TierSettings): Tier {
  const { addresses, serverNames, ports, certificates, tokens } = settings.match
  return {
    settings,
    networks: addresses.length === 0 ? undefined : readNetworks(addresses),
    ports: setOf(ports),
    serverNames: serverNames.length === 0 ? undefined : new ServerNames(serverNames.map((name) => [name, true])),
    certificates: setOf(certificates),
    tokens: setOf(tokens.map((token) => token.toLowerCase())),
  }
}

function setOf<T>(list: readonly T[]): ReadonlySet<T> | undefined {
  return list.length === 0 ? undefined : new Set(list)
}
