/** Ways between members without the relay: sockets in Node, nothing in a page. */

import type { ChunkPath } from "./chunk-path.ts"
import type { Pipe } from "../../../base/pipe.ts"

export interface DirectNet {
  /** Where others may reach this machine, `host:port`; empty when nothing listens. Own addresses only, no loopback but for tests. */
  readonly addresses: readonly string[]
  /** Tries the addresses at once; the first that answers wins. Rejects `unreachable`, `timeout`. */
  dial(addresses: readonly string[], signal: AbortSignal): Promise<Pipe>
  /** Connections of others, from now on; one taker per swarm is found by the handshake (`direct-handshake.ts`). */
  onPipe: ((pipe: Pipe) => void) | undefined
  /** At the same addresses; undefined where there are none. */
  readonly datagrams?: DatagramNet
  close(): Promise<void>
}

/** Datagrams come through where connections do not: between two address translators, when both sides begin at once. */
export interface DatagramNet {
  readonly port: number
  /** Takes part. Throws `exists`: somebody does under this key. */
  sit(self: {
    /** `SwarmKeys.peer`. */
    readonly key: Uint8Array
    /** As the relay calls it. */
    readonly member: string
    /** Another member has dialled, and has proven that it has the key. */
    readonly onPath: (path: ChunkPath, member: string) => void
  }): DatagramDesk
  close(): void
}

export interface DatagramDesk {
  /** Both sides may dial at once. Rejects with the signal's reason, `unreachable`, `closed`, `limit`. */
  dial(addresses: readonly string[], member: string, signal: AbortSignal): Promise<ChunkPath>
  /** No new paths. */
  close(): void
}
