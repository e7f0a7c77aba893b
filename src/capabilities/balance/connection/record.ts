/** What is told of a connection when it is over: the log, metrics and spans read it, and nobody keeps it. */

import type { Ending } from "./ending.ts"

export interface ConnectionRecord {
  readonly id: number
  readonly app: string
  /** Where it came in: `0.0.0.0:443`. */
  readonly listener: string
  /** The client's address and port, from the PROXY header where there is one. */
  readonly client: string
  readonly serverName: string | undefined
  readonly tier: string | undefined
  /** Undefined: it never had one. */
  readonly target: string | undefined
  /** Why this one: `round-robin`, `hash`, `retry 2`, `panic`, `spill`. */
  readonly why: string
  readonly ending: Ending
  /** For people: what the system said. */
  readonly detail: string
  /** Dials that it took, the good one too. */
  readonly attempts: number
  /** Wall clock, ms since 1970. */
  readonly startedAt: number
  /** All in ms, undefined for what did not happen. How long it waited in the queue, after the preface: */
  readonly queuedMs: number | undefined
  /** How long the preface took, from the start. */
  readonly prefaceMs: number | undefined
  /** How long the good dial took. */
  readonly connectMs: number | undefined
  /** From the start until it was joined to its target. */
  readonly joinedMs: number | undefined
  /** From the start until the target's first byte. */
  readonly firstByteMs: number | undefined
  readonly durationMs: number
  readonly bytesUp: number
  readonly bytesDown: number
  /** Each dial, the good one last. */
  readonly dials: readonly DialRecord[]
}

export interface DialRecord {
  readonly target: string
  /** Clock, ms after the start of the connection. */
  readonly atMs: number
  readonly ms: number
  /** Undefined when it worked. */
  readonly error: string | undefined
}
