/**
 * Memory for what clients have sent and no channel has yet: frames that came in part, and messages that wait for those
 * before them. One for all streams of a service, because each stream for itself has little and there are many.
 */

import { RdvError } from "../../../base/error.ts"

export class Backlog {
  readonly limitBytes: number
  #bytes = 0

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Throws `limit` when it is full. */
  take(bytes: number): void {
    if (this.#bytes + bytes > this.limitBytes) {
      throw new RdvError(
        "limit",
        `The memory for messages that wait for their turn is used up (${this.limitBytes} bytes)`,
      )
    }
    this.#bytes += bytes
  }

  give(bytes: number): void {
    this.#bytes -= bytes
  }
}

/** 64 senders with full windows, or ten thousand with a few small messages each. */
export const backlogBytes: number = 64 * 2 ** 20
