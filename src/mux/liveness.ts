/**
 * Pings while a link is up: they measure the round trip, and silence tells of a dead link. Both sides ping, because a cut
 * can be one-way. A process that was frozen finds the silence on its first beat afterwards.
 */

import type { Clock, Timer } from "../base/clock.ts"

export interface LivenessOptions {
  readonly clock: Clock
  /** Silence after which the link is dead, ms. A ping goes out four times as often. */
  readonly deadAfterMs: number
  readonly ping: (stamp: number) => void
  readonly dead: (silentMs: number) => void
}

export class Liveness {
  readonly #options: LivenessOptions
  #timer: Timer | undefined
  #heardAt = 0
  #beatAt = 0
  /** Set by input since the last beat: reading the clock for every chunk would cost more than it tells. */
  #heard = false
  #rttMs = 0

  constructor(options: LivenessOptions) {
    this.#options = options
  }

  /** Smoothed round trip, ms; 0 before the first answer. */
  get rttMs(): number {
    return this.#rttMs
  }

  start(): void {
    this.#heardAt = this.#beatAt = this.#options.clock.now()
    this.#beat()
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  heard(): void {
    this.#heard = true
  }

  /** A stamp that was never sent can only be late or wrong: it changes nothing. */
  pong(stamp: number): void {
    // Half a microsecond is what the stamp was rounded by.
    const sample = Math.max(0, this.#options.clock.now() - stamp / 1000 + 0.0005)
    if (stamp / 1000 > this.#options.clock.now() + 0.001 || sample > this.#options.deadAfterMs) return
    // RFC 6298: an eighth of the new sample.
    this.#rttMs = this.#rttMs === 0 ? sample : this.#rttMs + (sample - this.#rttMs) / 8
  }

  readonly #beat = (): void => {
    const now = this.#options.clock.now()
    const everyMs = this.#options.deadAfterMs / 4
    if (this.#heard) {
      this.#heard = false
      // Input since the last beat came at the earliest just after it.
      this.#heardAt = Math.max(this.#heardAt, this.#beatAt)
    }
    this.#beatAt = now
    const silentMs = now - this.#heardAt
    if (silentMs >= this.#options.deadAfterMs) {
      this.stop()
      this.#options.dead(silentMs)
      return
    }
    this.#timer = this.#options.clock.after(everyMs, this.#beat)
    this.#options.ping(Math.round(now * 1000))
  }
}
