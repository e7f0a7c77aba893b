/**
 * A way of chunks between two members, or between a member and the relay. Streams and datagrams both are one of these and
 * pass `test/suites/chunk-path-suite.ts`. A path may lose itself, never a part of a chunk: what arrives is whole, and
 * whoever asked and hears nothing asks elsewhere. Nothing that a path delivers is trusted before its hash was checked.
 */

import type { RdvError } from "../../../base/error.ts"

/** A chunk of one version of a swarm: indexes of another version mean other chunks. */
export interface ChunkName {
  /** 1 and up; 16 bits of it travel. */
  readonly version: number
  readonly chunk: number
}

export type Refusal = "missing" | "busy" | "leaving"

export interface ChunkPathSink {
  /**
   * Memory for a chunk that begins to come in, of exactly this length, or undefined: it is not wanted, and its bytes are
   * skipped. Who announces more than `largestChunk + sealBytes` has ended the path before this is asked.
   */
  room(name: ChunkName, length: number): Uint8Array | undefined
  /** It is whole, in the memory that `room` gave. */
  chunk(name: ChunkName, sealed: Uint8Array): void
  /** The other side wants this chunk. */
  asked(name: ChunkName): void
  /** The other side does not want it any more. */
  cancelled(name: ChunkName): void
  /** The other side cannot give what was asked. */
  refused(name: ChunkName, why: Refusal): void
  /** The path takes the next chunk. */
  ready(): void
  /** Exactly once, and nothing behind it. */
  closed(error: RdvError | undefined): void
}

export interface ChunkPath {
  readonly kind: "stream" | "datagram"
  /** What carries it: `tcp`, `tls`, `session`, `udp`, … for people. */
  readonly over: string
  readonly peer: string
  attach(sink: ChunkPathSink): void
  /**
   * Sends a chunk by reference; its memory may not change before `sent` is called, which happens exactly once: when the
   * operating system has it, the other side has cancelled it before its turn, or the path is over. False asks the caller
   * to wait for `ready`; the chunk is taken all the same.
   */
  send(name: ChunkName, sealed: Uint8Array, sent?: () => void): boolean
  ask(name: ChunkName): void
  cancel(name: ChunkName): void
  refuse(name: ChunkName, why: Refusal): void
  /** Bytes that were taken and are not with the operating system. */
  readonly queuedBytes: number
  /** Smoothed, ms; undefined before the first measurement. */
  readonly rttMs: number | undefined
  /** Bytes of chunks, without frames. */
  readonly sentBytes: number
  readonly receivedBytes: number
  /** After what is queued. `closed` follows. */
  close(): void
  abort(error: RdvError): void
}
