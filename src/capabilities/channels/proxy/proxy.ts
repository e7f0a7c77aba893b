/** The local end of `rdv chan proxy`: each connection of a client is a conversation of its own upstream. */

import type { Clock } from "../../../base/clock.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Log } from "../../../base/log.ts"
import type { ByteLink } from "../../../ninep/byte-link.ts"
import { Conversation } from "./conversation.ts"
import { defaultProxyLimits } from "./limits.ts"
import type { ProxyLimits } from "./limits.ts"
import type { Upstream } from "./upstream.ts"

export interface ProxyOptions {
  readonly upstream: Upstream
  readonly clock: Clock
  readonly log: Log
  readonly limits?: Partial<ProxyLimits>
  /** Clients at once; the next one is turned away. A mount is one. */
  readonly clients?: number
}

const usualClients = 1_024

export class Proxy {
  readonly #options: ProxyOptions
  readonly #limits: ProxyLimits
  readonly #conversations: Set<Conversation> = new Set()
  #total = 0

  constructor(options: ProxyOptions) {
    this.#options = options
    this.#limits = { ...defaultProxyLimits, ...options.limits }
  }

  /** Takes a client's connection over. */
  take(client: ByteLink, peer: string): void {
    const { log, upstream, clock, clients = usualClients } = this.#options
    if (this.#conversations.size >= clients) {
      log.warn("client.refused", { peer, reason: `there are ${clients} already` })
      client.close()
      return
    }
    const id = ++this.#total
    const told = log.with({ client: id })
    told.info("client.come", { peer })
    const conversation: Conversation = new Conversation({
      client,
      upstream,
      clock,
      log: told,
      limits: this.#limits,
      onEnd: (error) => {
        this.#conversations.delete(conversation)
        if (error === undefined) told.info("client.gone")
        else told.error("client.ended", { code: error.code, reason: error.message })
      },
    })
    this.#conversations.add(conversation)
  }

  status(): JsonObject {
    return {
      clients: this.#conversations.size,
      conversations: [...this.#conversations].slice(0, shown).map((each) => each.status()),
    }
  }

  /** Ends all conversations. */
  close(): void {
    for (const conversation of this.#conversations) conversation.close()
  }
}

/** Of all conversations, in `rdv status`. */
const shown = 20
