/**
 * How many unacknowledged bytes may be on their way over one link. Kernel buffers hold megabytes, and a 1-byte answer
 * waits behind all of them; so the session keeps the flight near twice bandwidth × delay, both measured from its own
 * acknowledgements (the model of BBR, draft-ietf-ccwg-bbr, without its
 * pacing).
 */

export class FlightLimit {
  readonly #minBytes: number
  readonly #maxBytes: number
  #limit: number
  /** The path's delay without queues: the least round trip since the flight was last drained to find it out. */
  #minRttMs = Infinity
  #epochAt = 0
  /** The limit before the present draining; undefined while there is none. */
  #paused: number | undefined
  /** The probe under way: when `#probeEnd` is acknowledged, one round trip is over. */
  #probeEnd = -1
  #probeAt = 0
  #probeAcked = 0

  constructor(minBytes: number, maxBytes: number) {
    this.#minBytes = Math.min(minBytes, maxBytes)
    this.#maxBytes = maxBytes
    this.#limit = this.#minBytes
  }

  /** Bytes. */
  get limit(): number {
    return this.#limit
  }

  /** A new link: the old measurements say nothing about it. */
  reset(): void {
    this.#minRttMs = Infinity
    this.#paused = undefined
    this.#probeEnd = -1
    this.#limit = this.#minBytes
  }

  /** Something was sent up to `end`; `acked` is acknowledged so far. */
  sent(end: number, acked: number, nowMs: number): void {
    if (this.#probeEnd >= 0) return
    if (this.#paused !== undefined && end - acked > 2 * this.#minBytes) return
    this.#probeEnd = end
    this.#probeAt = nowMs
    this.#probeAcked = acked
  }

  /** The peer acknowledged up to `position`. */
  acknowledged(position: number, nowMs: number): void {
    if (this.#probeEnd < 0 || position < this.#probeEnd) return
    const rttMs = Math.max(nowMs - this.#probeAt, 0.05)
    const bytesPerMs = (position - this.#probeAcked) / rttMs
    this.#probeEnd = -1
    if (this.#paused !== undefined) {
      // Drained: nothing of ours was queued on the way.
      this.#minRttMs = rttMs
      this.#limit = this.#paused
      this.#paused = undefined
      this.#epochAt = nowMs
      return
    }
    this.#minRttMs = Math.min(this.#minRttMs, rttMs)
    if (nowMs - this.#epochAt > epochMs) {
      this.#paused = this.#limit
      this.#limit = this.#minBytes
      return
    }
    const target = 2 * bytesPerMs * this.#minRttMs
    // Grows at once, shrinks slowly: a pause of the application is not a slower path.
    this.#limit = Math.max(this.#minBytes, Math.min(this.#maxBytes, Math.max(target, this.#limit * 0.98)))
  }
}

/** As BBR's window for the least round trip: so often the flight is drained for one round trip, ms. */
const epochMs = 10_000
