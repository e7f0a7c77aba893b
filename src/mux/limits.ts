/** Every number of a session with its reason. What the peer has to know is announced in HELLO. */

export interface SessionLimits {
  /**
   * Payload bytes that the peer may send on a stream it opened, before any CREDIT. Announced. Never below twice a frame's
   * payload: credit is saved up to half a window, and the other half must hold the largest META.
   */
  readonly windowBytes: number
  /** The window that a stream may use from the start when the session has room: 256 KiB fill 20 Mbit/s at 100 ms. */
  readonly startWindowBytes: number
  /** A window grows with bandwidth × delay up to this: 8 MiB fill 670 Mbit/s at 100 ms. */
  readonly maxWindowBytes: number
  /** Bounds the sum of what all streams of a session may have unread here. */
  readonly sessionWindowBytes: number
  /** Unacknowledged bytes that are kept for replay: bounds memory and the flight over one link. */
  readonly logBytes: number
  /** Streams that the peer may have open at once. Announced. */
  readonly streams: number
  /** Without a link for so long, the session ends, ms. */
  readonly graceMs: number
  /** A link on which nothing arrived for so long is dead, ms. Four pings fit in. */
  readonly deadAfterMs: number
}

export const defaultLimits: SessionLimits = {
  windowBytes: 128 * 1024,
  startWindowBytes: 256 * 1024,
  maxWindowBytes: 8 * 1024 * 1024,
  sessionWindowBytes: 64 * 1024 * 1024,
  logBytes: 16 * 1024 * 1024,
  streams: 10_000,
  graceMs: 60_000,
  deadAfterMs: 10_000,
}

/** A writer hears "full" when so many bytes of its stream wait: two frames, so that the link never starves. */
export const streamQueueBytes: number = 256 * 1024

/** One turn of a stream in the scheduler: a whole frame, so that bulk costs one header per 64 KiB. */
export const quantumBytes: number = 64 * 1024

/** Frames are gathered up to this before a write: large enough for few system calls, small enough for fair turns. */
export const batchBytes: number = 128 * 1024

/** An ACK is due after so many bytes, or after `ackDelayMs`. */
export const ackEveryBytes: number = 128 * 1024
export const ackDelayMs = 20

/** HELLO frames must be exchanged within this, ms: a stranger holds a socket no longer. */
export const handshakeMs = 10_000

/** The flight over a link is never limited below this: a batch on its way, one arriving, one being written. */
export const minFlightBytes: number = 256 * 1024
