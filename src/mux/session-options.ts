/** What a session is made of and what it needs of the host it runs in. */

import type { Clock } from "../base/clock.ts"
import type { RdvError } from "../base/error.ts"
import type { Log } from "../base/log.ts"
import type { SegmentPool } from "../base/segments.ts"
import type { Checksum } from "../wire/crc32.ts"
import type { SessionLimits } from "./limits.ts"
import type { SessionStream } from "./session-stream.ts"

export type SessionState = "live" | "suspended" | "closed"

/** What a session needs of the host it runs in. */
export interface SessionRuntime {
  readonly clock: Clock
  readonly log: Log
  /** Runs a callback after the present round of input, before the process sleeps (Node: `setImmediate`). */
  readonly defer: (callback: () => void) => void
  readonly checksum: Checksum
  /** Shared by all sessions of the process. */
  readonly segments: SegmentPool
}

export interface SessionOptions {
  readonly id: string
  /** Who dials again after a cut; it opens streams with odd numbers. */
  readonly role: "dialer" | "acceptor"
  readonly limits: SessionLimits
  /** What the peer announced. */
  readonly peer: { readonly windowBytes: number; readonly streams: number }
  readonly runtime: SessionRuntime
  /** A stream that the peer opened. The receiver attaches a sink, or resets it. */
  readonly onStream: (stream: SessionStream) => void
  /** The link is gone; the dialer's owner dials again. */
  readonly onSuspended?: (error: RdvError) => void
  /** The session is live again after having been suspended, or on a replaced link. */
  readonly onResumed?: () => void
  /** The peer opens no more streams and wants none. */
  readonly onDrain?: () => void
  readonly onClosed?: (error: RdvError | undefined) => void
}
