/**
 * Tells a visitor that reads slowly from one that does not read. The kernel takes bytes in steps: it reports room when a
 * third of its send buffer is free, on Linux up to 1.5 MB, which a reader of 1 KiB/s needs 25 minutes for. A bound below
 * that would cut readers that go on.
 */

import type { Socket } from "node:net"

/** The part of Node's sockets that is not public: what is left of the write under way. Without it a write is one step. */
interface WritingSocket extends Socket {
  readonly _handle?: { readonly writeQueueSize?: unknown } | null
}

export class StallWatch {
  readonly #socket: WritingSocket
  #taken = 0
  #queued: unknown
  #movedAt: number

  constructor(socket: Socket, nowMs: number) {
    this.#socket = socket
    this.#movedAt = nowMs
  }

  /** For how long bytes have waited and the kernel took none of them, ms; 0 while none waits. Called now and then. */
  stoodMs(nowMs: number): number {
    const socket = this.#socket
    if (socket.writableLength === 0) return this.restart(nowMs)
    const taken = socket.bytesWritten - socket.writableLength
    const queued = socket._handle?.writeQueueSize
    if (taken === this.#taken && queued === this.#queued) return nowMs - this.#movedAt
    this.#taken = taken
    this.#queued = queued
    return this.restart(nowMs)
  }

  /** What went before does not count. */
  restart(nowMs: number): 0 {
    this.#movedAt = nowMs
    return 0
  }
}
