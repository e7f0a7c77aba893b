/**
 * Ordered bytes to one party: a connection, or a stream of a session dressed as one. The part of a link that the paths of
 * chunks need; a link is one as it is.
 */

import type { RdvError } from "../../../base/error.ts"

export interface PipeSink {
  /** Bytes arrived, valid during the call alone when the answer is false. */
  data(bytes: Uint8Array): boolean
  drain(): void
  /** Exactly once, and nothing behind it. */
  closed(error: RdvError | undefined): void
}

export interface Pipe {
  /** `tcp`, `tls`, `unix`, `ws`, `session`, `memory`, … */
  readonly kind: string
  /** An address, for people. */
  readonly peer: string
  /** Nothing is delivered before. */
  attach(sink: PipeSink): void
  /** In order, by reference: the memory may not change before `queuedBytes` is 0 or `drain`. False: wait for `drain`. */
  send(parts: readonly Uint8Array[]): boolean
  readonly queuedBytes: number
  pause(): void
  resume(): void
  /** Flushes, then ends. */
  close(): void
  abort(error: RdvError): void
}
