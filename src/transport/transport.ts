/**
 * What dialling and listening look like, whatever the transport. A dialled or accepted `Link` is ready to be attached
 * to; it delivers nothing and notices nothing before that, so it can be handed around first.
 */

import type { Address } from "./address.ts"
import type { Link } from "../mux/link.ts"

export interface DialLimits {
  /** Gives up when it fires; the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** From the first look-up to the finished handshake. */
  readonly timeoutMs: number
}

/**
 * Rejects with `RdvError`: `unreachable` (refused, no such name), `timeout`, `usage` (an address of another scheme),
 * `unauthorized` and `bad_response` where something in between answered instead.
 */
export type Dial<Limits extends DialLimits = DialLimits> = (address: Address, limits: Limits) => Promise<Link>

export interface Listener {
  /** Where it listens, with the port that was chosen when 0 was asked for. */
  readonly address: Address
  /** Takes no more links. Those that were accepted live on: they belong to whoever took them. */
  close(): Promise<void>
}
