/**
 * What each client has: its connections, and how fast it makes new ones. A client that has none and has paid for its last
 * ones is not remembered; of the others as many are as there are connections, plus a bounded number of clients that have
 * just left. Were that number reached (more than 65,536 clients within a second or so), those whose last attempt is the
 * longest ago are forgotten, and get a fresh allowance; `forgotten` counts them. Nobody is ever refused for want of a place.
 */

import type { Clock } from "../../../base/clock.ts"
import type { LimitSettings } from "../config/settings.ts"

export interface ClientTableOptions {
  readonly clock: Clock
  /** The present ones; asked each time, so that a reload needs no call. */
  readonly limits: () => Pick<LimitSettings, "perClient" | "newPerClientPerSecond">
  /** Clients without a connection that are remembered at most. */
  readonly mostIdle?: number
}

/** Who keeps count of clients. */
export interface Clients {
  /** Undefined when the client may stay, and then `left` has to be called with the same key once; otherwise why not. */
  admit(key: string): "limit-client" | "rate-client" | undefined
  left(key: string): void
  connections(key: string): number
}

export class ClientTable implements Clients {
  readonly #options: ClientTableOptions
  readonly #mostIdle: number
  readonly #clients = new Map<string, Client>()
  /** Those without a connection, in the order in which they became so. */
  readonly #idle = new Map<string, Client>()
  #forgotten = 0

  constructor(options: ClientTableOptions) {
    this.#options = options
    this.#mostIdle = options.mostIdle ?? 65_536
  }

  /**
   * A connection of this client (`clientKey`) has come: undefined when it may stay, and then `left` has to be called with
   * the same key once; otherwise why not. What is refused costs the client nothing of its rate.
   */
  admit(key: string): "limit-client" | "rate-client" | undefined {
    const { perClient, newPerClientPerSecond: rate } = this.#options.limits()
    let client = this.#clients.get(key)
    if (client !== undefined && perClient !== undefined && client.connections >= perClient) return "limit-client"
    if (client === undefined && perClient === 0) return "limit-client"
    const now = rate === undefined ? 0 : this.#options.clock.now()
    if (rate !== undefined && client !== undefined) {
      refill(client, rate, now)
      if (client.allowance + rounding < 1) return "rate-client"
    }
    if (client === undefined) {
      client = { connections: 0, allowance: rate === undefined ? undefined : burst(rate), at: now }
      this.#clients.set(key, client)
    } else if (client.connections === 0) this.#idle.delete(key)
    client.connections++
    if (client.allowance !== undefined) client.allowance--
    return undefined
  }

  /** A connection that was admitted is over. */
  left(key: string): void {
    const client = this.#clients.get(key)
    if (client === undefined || client.connections === 0) return
    if (--client.connections > 0) return
    this.#idle.set(key, client)
    this.#forget()
  }

  connections(key: string): number {
    return this.#clients.get(key)?.connections ?? 0
  }

  /** Clients that are known at present. */
  get size(): number {
    return this.#clients.size
  }

  /** Those whose rate was forgotten for want of a place. */
  get forgotten(): number {
    return this.#forgotten
  }

  /** Each client that leaves lets go up to two others, so that nothing has to be swept. */
  #forget(): void {
    const rate = this.#options.limits().newPerClientPerSecond
    const now = rate === undefined ? 0 : this.#options.clock.now()
    let looks = 0
    for (const [key, client] of this.#idle) {
      const owes = rate !== undefined && !isPaid(client, rate, now)
      if (owes && this.#idle.size <= this.#mostIdle) return
      if (owes) this.#forgotten++
      this.#idle.delete(key)
      this.#clients.delete(key)
      if (++looks === 2) return
    }
  }
}

interface Client {
  connections: number
  /** New connections that it may make now, as of `at`; undefined while there was no rate. */
  allowance: number | undefined
  /** Clock. */
  at: number
}

function refill(client: Client, rate: number, now: number): asserts client is Client & { allowance: number } {
  const most = burst(rate)
  if (client.allowance === undefined) client.allowance = most
  else client.allowance = Math.min(most, client.allowance + ((now - client.at) * rate) / 1000)
  client.at = now
}

function isPaid(client: Client, rate: number, now: number): boolean {
  refill(client, rate, now)
  return client.allowance + rounding >= burst(rate)
}

/** What one second brings, and always one. */
function burst(rate: number): number {
  return Math.max(1, rate)
}

/** What sums of fractions may be off. */
const rounding = 1e-6
