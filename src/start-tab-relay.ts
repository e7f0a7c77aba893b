/** Tabs at a relay: servers in browsers that come with a key, published applications, calls between servers, STUN. */

import { RdvError } from "./base/error.ts"
import { startTabs } from "./capabilities/tab/relay/tab-service.ts"
import type { TabService } from "./capabilities/tab/relay/tab-service.ts"
import type { TabLimits } from "./capabilities/tab/relay/tab-limits.ts"
import type { RunningRelay } from "./node.ts"
import { couple } from "./relay/coupling.ts"
import { isLoopback } from "./transport/loopback.ts"

export interface StartTabRelayOptions {
  /** How people reach the relay itself: `https://relay.example`. */
  readonly url: string
  /** As the relay has it. */
  readonly domain: string
  /** Where published applications are kept. */
  readonly folder: string
  /** Servers come without a published application: all, or those of this machine. */
  readonly open: boolean | "local"
  /** Who publishes applications. */
  readonly publishers: Publishers
  readonly limits?: Partial<TabLimits>
  /** Answers STUN there; an empty host is every interface, port 0 a free one. */
  readonly stun?: { readonly host: string; readonly port: number } | undefined
}

/** Those with a token; also those whom an open relay lets in without one; nobody. */
export type Publishers = "tokens" | "anybody" | "nobody"

/** Ends with the relay. Rejects `in_use` or `usage` when STUN cannot be answered there. */
export async function startTabRelay(running: RunningRelay, options: StartTabRelayOptions): Promise<TabService> {
  const { relay, scope, store } = running
  const { url, domain, folder, open, publishers, limits, stun } = options
  const owner = (app: string) => store.claimOwner("http", app)
  const tabs = await startTabs(relay, {
    domain,
    folder,
    relayUrl: url.replace(/^http/, "ws"),
    isOpenTo: (address) => open === true || (open === "local" && isLocal(address)),
    isLocal,
    countNames: (ownerId) => store.claimsOf(ownerId).length,
    countGuestNames: (guest) => store.countGuestClaims(guest),
    isClaimed: (app) => owner(app) !== undefined,
    claim: (app, caller) => relay.claimName(app, caller),
    checkOwner: (app, { id }) => {
      if (owner(app) !== id) throw new RdvError("forbidden", `"${app}" is not yours`)
    },
    mayPublish: ({ owner: token, guest }) => {
      const may = publishers === "anybody" || (publishers === "tokens" && token !== undefined)
      if (may && guest === undefined) return
      const who =
        publishers === "nobody" ? "nobody publishes applications" : "only who has a token publishes applications"
      throw new RdvError("forbidden", `At this relay ${who}`)
    },
    nameOf: (session) => relay.nameOf(session),
    reach: (name, answer) => relay.reach(name, answer),
    couple,
    stun: stun && { ...stun, publicHost: new URL(url).hostname.replace(/^\[|\]$/g, "") },
    ...(limits !== undefined && { limits }),
  })
  scope.onEnd(() => tabs.close())
  relay.letGuestsIn("tab", (what, proof, address) => tabs.admit(what, proof, address))
  relay.onStoreChange(() => tabs.lookAtClaims())
  return tabs
}

function isLocal(address: string): boolean {
  return isLoopback(address.replace(/^\[(.*)\]$/, "$1"))
}
