/**
 * Spreads a window over its round trip, so that it fills no buffer on the way at once. Timers come late by a millisecond
 * or two, so that what was missed meanwhile is made up for, to a limit.
 */

/** What may go at once, ms of the rate. */
const burstMs = 4
const leastBurst = 10
/** A little faster than the window asks for, and twice where it is still growing (RFC 9002 section 7.7). */
const gain = 1.25
const startGain = 2

export class Pacer {
  readonly #packet: number
  /** Bytes/ms; Infinity before the first measurement. */
  #rate = Infinity
  #level: number
  #at = 0

  constructor(packetBytes: number) {
    this.#packet = packetBytes
    this.#level = leastBurst * packetBytes
  }

  rate(window: number, rttMs: number, growing: boolean): void {
    this.#rate = (window * (growing ? startGain : gain)) / Math.max(rttMs, 0.05)
  }

  /** Until the next packet, ms; 0: now. */
  waitMs(now: number): number {
    if (this.#rate === Infinity) return 0
    const most = Math.max(leastBurst * this.#packet, this.#rate * burstMs)
    this.#level = Math.min(most, this.#level + (now - this.#at) * this.#rate)
    this.#at = now
    return this.#level > 0 ? 0 : -this.#level / this.#rate + 0.01
  }

  sent(bytes: number): void {
    if (this.#rate !== Infinity) this.#level -= bytes
  }
}
