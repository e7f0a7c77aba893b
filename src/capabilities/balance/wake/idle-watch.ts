/**
 * When nobody needs a target any more: no connection for the idle time, and none that was told to come and may be on its
 * way.
 */

import type { Clock, Timer } from "../../../base/clock.ts"

/** Whoever was told that it is ready has so long to come, ms. */
const promiseMs = 5_000

export class IdleWatch {
  readonly #clock: Clock
  readonly #idleMs: () => number
  readonly #onIdle: () => void
  #isOn = false
  #users = 0
  /** Those who were told to come and did not yet. */
  #promised = 0
  #promisedAt = 0
  #timer: Timer | undefined

  constructor(clock: Clock, idleMs: () => number, onIdle: () => void) {
    this.#clock = clock
    this.#idleMs = idleMs
    this.#onIdle = onIdle
  }

  /** From now on `onIdle` is called; once, until `start` is called again. */
  start(): void {
    this.#isOn = true
    this.restart()
  }

  stop(): void {
    this.#isOn = false
    this.#promised = 0
    this.#timer?.cancel()
  }

  /** So many were told to come. */
  promise(callers: number): void {
    this.#promised += callers
    this.#promisedAt = this.#clock.now()
    this.restart()
  }

  came(): void {
    this.#users++
    if (this.#promised > 0) this.#promised--
    this.#timer?.cancel()
  }

  left(): void {
    this.#users--
    this.restart()
  }

  /** The idle time begins now, unless somebody is there. */
  restart(): void {
    this.#timer?.cancel()
    if (!this.#isOn || this.#users > 0) return
    this.#timer = this.#clock.after(this.#idleMs(), () => {
      const held = this.#promised > 0 ? this.#promisedAt + promiseMs - this.#clock.now() : 0
      if (held > 0) this.#timer = this.#clock.after(held, () => this.#over())
      else this.#over()
    })
  }

  #over(): void {
    this.stop()
    this.#onIdle()
  }
}
