/**
 * Tells a server that has nothing to say from one that is gone without a word: when it owes an answer and is silent, it is
 * asked to flush a request that there never was, which is answered at once (flush(5)), whatever else blocks.
 */

import type { Clock, Timer } from "../../../base/clock.ts"

export interface SilenceOptions {
  readonly clock: Clock
  /** Of silence before it is asked, and after that before it is dead. */
  readonly silenceMs: number
  /** Whether the server owes an answer. */
  readonly owes: () => boolean
  /** Sends the question, when it can be asked now; without one its silence counts alone. */
  readonly ask: () => void
  readonly onDead: () => void
}

export class Silence {
  readonly #options: SilenceOptions
  #heardAt: number
  #timer: Timer | undefined
  #hasAsked = false

  constructor(options: SilenceOptions) {
    this.#options = options
    this.#heardAt = options.clock.now()
    this.#arm(options.silenceMs)
  }

  heard(): void {
    this.#heardAt = this.#options.clock.now()
    this.#hasAsked = false
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #arm(ms: number): void {
    this.#timer = this.#options.clock.after(ms, () => this.#look())
  }

  #look(): void {
    const { clock, silenceMs, owes, ask, onDead } = this.#options
    if (!owes()) {
      this.heard()
      this.#arm(silenceMs)
      return
    }
    const silentMs = clock.now() - this.#heardAt
    if (silentMs < silenceMs) return this.#arm(silenceMs - silentMs)
    if (silentMs >= 2 * silenceMs && this.#hasAsked) return onDead()
    if (!this.#hasAsked) {
      this.#hasAsked = true
      ask()
      // A process that stood still has to hear what came meanwhile first.
      this.#heardAt = clock.now() - silenceMs
    }
    this.#arm(silenceMs)
  }
}
