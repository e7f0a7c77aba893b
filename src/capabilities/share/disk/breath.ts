/** Long work in slices: whoever holds the event loop for long lets it turn now and then. */

import { setImmediate } from "node:timers/promises"

const holdMs = 10

export class Breath {
  readonly #signal: AbortSignal | undefined
  #since = performance.now()

  /** Work that may be given up ends at a breath. */
  constructor(signal?: AbortSignal) {
    this.#signal = signal
  }

  /** True when it is time to `take` one. */
  get isDue(): boolean {
    return this.#signal?.aborted === true || performance.now() - this.#since > holdMs
  }

  /** Everybody else has a turn. Rejects the signal's reason. */
  async take(): Promise<void> {
    await setImmediate()
    this.#signal?.throwIfAborted()
    this.#since = performance.now()
  }
}
