/**
 * What may be asked of a carrier at once, a holder's uplink or the relay's, so that it never runs dry and what waits there is
 * young. The relay sends at once: as much as it gets done in a sixth of a second. Of a holder as much as `giver-window.ts` says.
 */

import type { Clock } from "../../../base/clock.ts"
import type { GiverWindow, Order } from "./giver-window.ts"

export interface LoadOptions {
  readonly clock: Clock
  /** Before anything is known, and the least ever, bytes. */
  readonly leastBytes: number
  readonly mostBytes: number
  /** Says it instead. */
  readonly window?: GiverWindow
}

export class Load {
  readonly #options: LoadOptions
  #bytes = 0
  /** bytes/ms while it was busy. */
  #rate: number | undefined
  #limit = Infinity
  #busySince = 0
  #doneBytes = 0
  #served = 0

  constructor(options: LoadOptions) {
    this.#options = options
  }

  /** Asked for and not done, bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Done since the beginning, bytes. */
  get served(): number {
    return this.#served
  }

  get capacity(): number {
    const { leastBytes, mostBytes } = this.#options
    if (this.#limit === 0) return 0
    const { window } = this.#options
    if (window !== undefined) return window.bytes(this.#bytes)
    const rate = Math.min(this.#rate ?? 0, this.#limit)
    return Math.min(mostBytes, Math.max(leastBytes, rate * aheadMs))
  }

  /** How long it has to do with what it was asked, ms; for comparing two of them. */
  get delayMs(): number {
    const rate = Math.min(this.#rate ?? startRate, this.#limit)
    return rate === 0 ? Infinity : this.#bytes / rate
  }

  /** bytes/s; undefined: what the network gives. */
  set limit(bytesPerSecond: number | undefined) {
    this.#limit = bytesPerSecond === undefined ? Infinity : bytesPerSecond / 1000
    if (this.#options.window !== undefined) this.#options.window.limit = this.#limit
  }

  get isShut(): boolean {
    return this.#limit === 0
  }

  hasRoom(bytes: number): boolean {
    if (this.#limit === 0) return false
    if (this.#bytes === 0 || this.#bytes + bytes <= this.capacity) return true
    this.#options.window?.refused()
    return false
  }

  begin(bytes: number): Order {
    const since = this.#options.clock.now()
    const order = { since, ahead: this.#bytes, served: this.#served }
    if (this.#bytes === 0) {
      this.#busySince = since
      this.#doneBytes = 0
      this.#options.window?.began()
    }
    this.#bytes += bytes
    return order
  }

  /** `isDone` false: it came to nothing. `order`: what `begin` gave. */
  end(bytes: number, isDone: boolean, order?: Order): void {
    this.#bytes -= bytes
    if (!isDone) return
    this.#served += bytes
    if (order !== undefined) this.#options.window?.done(bytes, order, this.#served - order.served)
    this.#doneBytes += bytes
    const tookMs = this.#options.clock.now() - this.#busySince
    if (tookMs < measureMs && (this.#bytes > 0 || tookMs <= 0)) return
    const rate = this.#doneBytes / Math.max(tookMs, 0.1)
    // Short bursts say little.
    const weight = Math.min(1, tookMs / measureMs) * 0.5
    this.#rate = this.#rate === undefined ? rate : this.#rate + (rate - this.#rate) * weight
    this.#busySince = this.#options.clock.now()
    this.#doneBytes = 0
  }
}

/** What stands before a carrier is done in this time. */
const aheadMs = 160
const measureMs = 100
/** For comparing those who have not shown theirs, bytes/ms. */
const startRate = 10_000
