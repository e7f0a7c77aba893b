/** What is known of a connection when it has come in: where, from whom, and what its first bytes said. */

import type { ConnectionRecord } from "./record.ts"
import type { ClientFacts } from "./upstream.ts"

export interface Arrival {
  readonly id: number
  /** `0.0.0.0:443`. */
  readonly listener: string
  readonly port: number
  /** Address without port: what rules, limits and hashes go by; from the PROXY header where there is one. */
  readonly address: string
  /** `clientKey` of the address. */
  readonly clientKey: string
  /** With its port, for people. */
  readonly client: string
  readonly facts: ClientFacts
  /** Name of its class of bandwidth. */
  readonly tier: string | undefined
  /** Clock. */
  readonly startedAt: number
  /** ms since 1970. */
  readonly wallAt: number
  /** What the header and the handshake took; undefined without them. */
  readonly prefaceMs: number | undefined
}

/** What is told of one that is over and has had no target; whoever knows more says more. */
export function recordOf(arrival: Arrival, app: string, now: number): Omit<ConnectionRecord, "ending"> {
  const { id, listener, client, facts, tier, wallAt, startedAt, prefaceMs } = arrival
  return {
    id,
    app,
    listener,
    client,
    serverName: facts.serverName,
    tier,
    target: undefined,
    why: "",
    detail: "",
    attempts: 0,
    startedAt: wallAt,
    queuedMs: undefined,
    prefaceMs,
    connectMs: undefined,
    joinedMs: undefined,
    firstByteMs: undefined,
    durationMs: now - startedAt,
    bytesUp: 0,
    bytesDown: 0,
    dials: [],
  }
}
