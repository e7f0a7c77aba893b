/** Connections between members without the relay: sockets in Node, nothing in a page. */

import type { Pipe } from "./pipe.ts"

export interface DirectNet {
  /** Where others may reach this machine, `host:port`; empty when nothing listens. Own addresses only, no loopback but for tests. */
  readonly addresses: readonly string[]
  /** Tries the addresses at once; the first that answers wins. Rejects `unreachable`, `timeout`. */
  dial(addresses: readonly string[], signal: AbortSignal): Promise<Pipe>
  /** Connections of others, from now on; one taker per swarm is found by the handshake (`direct-handshake.ts`). */
  onPipe: ((pipe: Pipe) => void) | undefined
  close(): Promise<void>
}
