/**
 * What a session asks of a transport: ordered bytes, a full signal, two ways to end. Every transport implements it and
 * passes `test/suites/link-suite.ts`.
 */

import type { RdvError } from "../base/error.ts"

export interface LinkSink {
  /**
   * Bytes arrived. The answer says whether the sink kept references into `bytes`: false lets the transport reuse the
   * memory at once, true leaves it to the sink, which may give it back by `recycle`.
   */
  data(bytes: Uint8Array): boolean
  /** After `send` answered false: there is room again. */
  drain(): void
  /** The link is over; called exactly once. Without an error both sides had closed it in good order. */
  closed(error: RdvError | undefined): void
}

export interface Link {
  /** The transport's name, for status and logs: `tcp`, `tls`, `unix`, `ws`, `memory`. */
  readonly kind: string
  /** The other end, for people: an address, never a secret. */
  readonly peer: string
  /**
   * True when the transport itself detects changed bytes (TLS, kernel-local pipes). Where it does not, sessions add
   * checksums (docs/protocol.md, "Checks").
   */
  readonly protected: boolean
  /** Names the receiver; nothing is delivered before the first call. The handshake hands over to its session by a second one. */
  attach(sink: LinkSink): void
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
  /** Ends now; what is queued is dropped. `closed` follows. */
  abort(error: RdvError): void
}
