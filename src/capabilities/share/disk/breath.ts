/** Long work in slices: whoever holds the event loop for long lets it turn now and then. */

import { setImmediate } from "node:timers/promises"

const holdMs = 10

export class Breath {
  #since = performance.now()

  /** True when it is time to `take` one. */
  get isDue(): boolean {
    return performance.now() - this.#since > holdMs
  }

  /** Everybody else has a turn. */
  async take(): Promise<void> {
    await setImmediate()
    this.#since = performance.now()
  }
}
