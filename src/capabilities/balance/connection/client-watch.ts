/**
 * Notices that a client has left while it waits for a target. Nothing tells of a reset but a read, so what it has sent is
 * read as far as it fits into one buffer, and waits there. A FIN alone is no farewell: it may want an answer all the same.
 */

import type { Duplex } from "node:stream"

export class ClientWatch {
  readonly #stream: Duplex
  readonly #onLeft: (detail: string | undefined) => void

  /** `start` follows. `onLeft` may be called at once. */
  constructor(stream: Duplex, onLeft: (detail: string | undefined) => void) {
    this.#stream = stream
    this.#onLeft = onLeft
  }

  start(): void {
    if (this.#stream.closed) this.#left()
    else {
      this.#stream.on("close", this.#left)
      this.#stream.read(0)
    }
  }

  stop(): void {
    this.#stream.removeListener("close", this.#left)
  }

  readonly #left = (): void => this.#onLeft((this.#stream.errored as NodeJS.ErrnoException | null)?.code)
}
