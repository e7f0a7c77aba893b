/**
 * The contract of a stream: one bidirectional, flow-controlled sequence of bytes and metadata blocks. It is push-based,
 * because the hot path pays for every promise and every event emitter (docs/decisions/0002-stream-contract.md).
 *
 * Life of the two directions:
 *
 *     we write ── end() ──▶ peer's sink.end()        half-close, each way by itself
 *     reset()  ───────────▶ peer's sink.closed(err)  both ways at once
 *
 * `closed` is called exactly once, after which nothing is called any more.
 */

import type { ErrorCode, RdvError } from "./error.ts"
import type { Json, JsonObject } from "./json.ts"

export interface StreamSink {
  /**
   * Bytes arrived. They stay valid until the receiver has said `consumed` for them: a chunk that is consumed before this
   * call returns may be overwritten afterwards, one that is kept stays intact. Copy what must live longer.
   */
  data(chunk: Uint8Array): void
  /** A metadata block arrived, in line with the bytes. */
  meta(block: JsonObject): void
  /** The peer will send nothing more. Our direction stays open. */
  end(): void
  /** After `write` or `meta` answered false: there is room again. */
  drain(): void
  /** Both directions are over: cleanly (no error), or by a reset, a lost session, or a local `reset`. */
  closed(error: RdvError | undefined): void
}

export interface Stream {
  /** Unique among the session's live streams. */
  readonly id: number
  /** What the stream was opened for. */
  readonly service: string
  /** The JSON header of the OPEN frame. */
  readonly header: JsonObject
  /** Sets who receives; what arrived before is delivered at once. Set once; a later call replaces the receiver. */
  attach(sink: StreamSink): void
  /**
   * Sends or queues a copy of the bytes: the caller may use its memory again. False asks the caller to wait for `drain`;
   * the bytes are taken all the same. Ignored after `end` or once closed.
   */
  write(chunk: Uint8Array): boolean
  /** Queues a metadata block in line with the bytes. Same answer as `write`. */
  meta(block: { readonly [key: string]: Json | undefined }): boolean
  /** Half-close: everything queued is delivered, then the peer's sink hears `end`. */
  end(): void
  /** Ends both directions at once; what is queued is dropped. The peer's sink hears `closed` with this code. */
  reset(code: ErrorCode, reason?: string): void
  /** Gives credit back for bytes that the receiver is done with. */
  consumed(bytes: number): void
}
