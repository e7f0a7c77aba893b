/** Shares at a relay: the service, its guests, connections for chunks, and the pages for browsers. */

import { asRdvError } from "./base/error.ts"
import type { Log } from "./base/log.ts"
import { relayGreetingByte } from "./capabilities/share/paths/relay-greeting.ts"
import { startShare } from "./capabilities/share/relay/share-service.ts"
import type { ShareOptions, ShareRelay } from "./capabilities/share/relay/share-service.ts"
import type { RunningRelay } from "./node.ts"
import { serveBundledPage } from "./relay/bundled-page.ts"

export interface StartShareRelayOptions extends Omit<
  ShareOptions,
  "url" | "mayPublish" | "owners" | "limitsOf" | "connections"
> {
  /** How people reach the relay's own pages: `https://relay.example`. */
  readonly url: string
  readonly log: Log
}

/** Ends with the relay. */
export function startShareRelay({ relay, scope, store }: RunningRelay, options: StartShareRelayOptions): ShareRelay {
  const { url, log, ...rest } = options
  const living = () => {
    const now = relay.clock.wall()
    return store.listTokens().filter((token) => token.revokedAt === null && (token.expiresAt ?? Infinity) > now)
  }
  const share = startShare(relay, {
    ...rest,
    url: (swarm) => `${url}/share/${swarm}`,
    mayPublish: ({ guest }) => guest === undefined,
    owners: () => new Set(living().map(({ name }) => name)),
    limitsOf: (owner) => {
      if (owner === undefined) return {}
      const { shares, shareBytes, shareBytesPerSecond } =
        living().find(({ name }) => name === owner)?.scopes.limits ?? {}
      return { swarms: shares, bytes: shareBytes, bytesPerSecond: shareBytesPerSecond }
    },
  })
  scope.onEnd(() => share.close())
  relay.letGuestsIn("share", (what, access, address) => share.admit(what.slice("share/".length), access, address))
  relay.takeGuests(relayGreetingByte, (link, head) => share.takeLink(link, head))
  try {
    serveBundledPage(relay, "share", { "/share": /^$/, "/share/": /^(\d{6})?$/ })
  } catch (error) {
    // Everything but browsers works without.
    log.warn("share.no_page", { reason: asRdvError(error).message })
  }
  return share
}
