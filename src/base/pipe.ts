/**
 * Ordered bytes to one party, with a full signal and two ways to end: a connection, or something dressed as one. Links of
 * sessions are pipes, and so is what chunks of shares travel over.
 */

import type { RdvError } from "./error.ts"

export interface PipeSink {
  /** Promises that `data` never keeps anything: then small reads need no memory of their own. */
  readonly borrows?: boolean
  /**
   * Bytes arrived. The answer says whether the sink kept references into `bytes`: false lets the memory be reused at once,
   * true leaves it to the sink, which may give it back by `recycle`.
   */
  data(bytes: Uint8Array): boolean
  /** After `send` answered false: there is room again. */
  drain(): void
  /** It is over; called exactly once, and nothing behind it. Without an error both sides had closed it in good order. */
  closed(error: RdvError | undefined): void
}

export interface Pipe {
  /** What carries it, for status and logs: `tcp`, `tls`, `unix`, `ws`, `session`, `memory`. */
  readonly kind: string
  /** The other end, for people: an address, never a secret. */
  readonly peer: string
  /** Names the receiver; nothing is delivered before the first call. A later call replaces the receiver. */
  attach(sink: PipeSink): void
  /** Sends the parts in order as one write, by reference. False asks the caller to wait for `drain`. */
  send(parts: readonly Uint8Array[]): boolean
  /** Bytes that `send` took and the operating system did not yet. */
  readonly queuedBytes: number
  /** Stops and restarts the delivery of bytes, so that the peer feels it. */
  pause(): void
  resume(): void
  /** Takes memory back that `data` had left with the sink; nobody looks into it any more. */
  recycle?(bytes: Uint8Array): void
  /** Flushes what is queued, then ends. `closed` follows. */
  close(): void
  /** Ends now; what is queued is dropped, and its memory may be used again. `closed` follows. */
  abort(error: RdvError): void
}
