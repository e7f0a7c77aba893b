/**
 * How much may be asked of a holder at once: what it gets done in the time that an order and its answer take anyway, and
 * `queueMs` more, so that its uplink never runs dry and what waits there is young. The wait is what orders take beyond the
 * shortest recent time (as in LEDBAT, RFC 6817, and FAST TCP), the window grows and shrinks until it is `queueMs`: so a holder
 * that is far away, or on a machine that is busy, is no slow one. It is looked at once a round, by the orders that were given
 * when the window was nearly full. Where they wait for nothing it is multiplied: an estimate that was too low heals.
 *
 * A wait that is always there would pass for distance in the end. So now and then, when nothing was answered sooner for a
 * while, one round goes with less than what is on the way anyway (as in BBR).
 */

import type { Clock } from "../../../base/clock.ts"

/** What was known when a holder was asked. */
export interface Order {
  /** ms. */
  readonly since: number
  /** What it had before it, bytes. */
  readonly ahead: number
  /** What it had done since the beginning, bytes. */
  readonly served: number
}

export interface GiverWindowOptions {
  readonly clock: Clock
  /** Before anything is known, and the least ever, bytes. */
  readonly leastBytes: number
  readonly mostBytes: number
}

export class GiverWindow {
  readonly #options: GiverWindowOptions
  #bytes: number
  /** Declared, bytes/ms. */
  #limit = Infinity
  #isKnown = false
  /** Somebody wanted more than there was room for in this round. */
  #wasFull = false
  #roundSince = 0
  /** Bytes of `loaded`, and the sum of what was done meanwhile, bytes/ms. */
  #loadedBytes = 0
  #rates = 0
  /** What the orders of this round took, ms: those given when the window was nearly full, and all. */
  readonly #loaded: number[] = []
  readonly #all: number[] = []
  /** The time in which the holder had something to do, ms, and what it did. */
  #busyMs = 0
  #busyBytes = 0
  #progressAt = 0
  /** The usual time of a round, ms, and its rate, bytes/ms. */
  readonly #shortest: Recent = new Recent(Math.min, Infinity)
  readonly #fastest: Recent = new Recent(Math.max, 0)
  /** When there was hardly any wait, ms. */
  #lowAt: number
  #isDraining = false

  constructor(options: GiverWindowOptions) {
    this.#options = options
    this.#bytes = options.leastBytes
    this.#lowAt = options.clock.now()
  }

  /** bytes/ms; infinite: what the network gives. */
  set limit(bytesPerMs: number) {
    this.#limit = bytesPerMs
    if (this.#isKnown) return
    const { leastBytes } = this.#options
    this.#bytes = bytesPerMs === Infinity ? leastBytes : this.#within(Math.min(mostFirstBytes, bytesPerMs * queueMs))
  }

  /** Now, with `underWay` bytes asked for. */
  bytes(underWay: number): number {
    return underWay > 0 && this.#isStalled(this.#options.clock.now()) ? this.#options.leastBytes : this.#bytes
  }

  refused(): void {
    this.#wasFull = true
  }

  /** It had nothing to do, and is asked for something. */
  began(): void {
    const now = this.#options.clock.now()
    this.#progressAt = now
    this.#begin(now)
  }

  /** An order is done. `served`: bytes since it was given, with it. */
  done(bytes: number, order: Order, served: number): void {
    const now = this.#options.clock.now()
    this.#isKnown = true
    if (this.#isStalled(now)) {
      this.#progressAt = now
      this.#bytes = this.#within(this.#bytes / 4)
      this.#begin(now)
      return
    }
    this.#worked(now, bytes, order.since + this.#baseMs)
    const tookMs = now - order.since
    if (order.since < this.#roundSince || tookMs <= 0) return
    this.#all.push(tookMs)
    // Or one more would not have had room.
    if (order.ahead + bytes >= Math.min(this.#bytes * loadedPart, this.#bytes - bytes)) {
      this.#loaded.push(tookMs)
      this.#rates += served / tookMs
      this.#loadedBytes += bytes
    }
    if (this.#loadedBytes * 8 < this.#bytes && this.#all.length < mostOrders) return
    if (this.#judge(now)) this.#begin(now)
  }

  /** From when it can have begun with it, or was through with the one before. */
  #worked(now: number, bytes: number, mayBegin: number): void {
    if (this.#progressAt >= mayBegin) {
      this.#busyMs += now - this.#progressAt
      this.#busyBytes += bytes
    } else if (mayBegin < now) this.#busyMs += now - mayBegin
    this.#progressAt = now
  }

  #begin(now: number): void {
    this.#roundSince = now
    this.#loadedBytes = 0
    this.#rates = 0
    this.#loaded.length = 0
    this.#all.length = 0
    this.#busyMs = 0
    this.#busyBytes = 0
    this.#wasFull = false
  }

  /** False when the round goes on. */
  #judge(now: number): boolean {
    const soonest = usual(this.#all)
    this.#shortest.add(soonest, now)
    if (this.#loaded.length === 0) return true
    const neededMs = this.#baseMs + this.#queueMs
    const rate = Math.min(this.#rates / this.#loaded.length, this.#limit)
    if (soonest <= this.#baseMs + this.#queueMs / 4) this.#lowAt = now
    if (this.#isDraining) {
      this.#isDraining = false
      this.#lowAt = now
      this.#bytes = this.#within(rate * neededMs)
      return true
    }
    if (now - this.#lowAt > drainAfterMs) {
      this.#isDraining = true
      this.#bytes = this.#within(rate * this.#baseMs * drainPart)
      return true
    }
    const waitMs = usual(this.#loaded) - this.#baseMs
    const next = this.#next(rate, waitMs, neededMs)
    if (next >= this.#bytes) {
      this.#fastest.add(rate, now)
      if (this.#wasFull) this.#bytes = this.#within(next)
      return true
    }
    // One that took long may have met with something else.
    if (this.#loaded.length < fewestOrders) return false
    this.#fastest.add(rate, now)
    // What it did a moment ago it can do again, unless it has plainly become slow.
    const least = waitMs < 3 * this.#queueMs ? this.#fastest.value * neededMs : 0
    this.#bytes = this.#within(Math.min(this.#bytes, Math.max(next, least)))
    return true
  }

  #next(rate: number, waitMs: number, neededMs: number): number {
    const isIdle = waitMs < this.#queueMs / 4
    const moreMs = isIdle ? queueMs + 2 * this.#baseMs : this.#queueMs - waitMs
    // A burst waits for itself, and its end shows how fast the holder is.
    const busyRate = this.#busyMs > 0 ? this.#busyBytes / this.#busyMs : 0
    const next = Math.max(this.#bytes / 2, this.#bytes + rate * moreMs, busyRate * neededMs)
    return Math.min(next, this.#bytes * (isIdle ? 4 : 2), this.#limit * neededMs)
  }

  get #baseMs(): number {
    return this.#shortest.value
  }

  /** The wait that is aimed at, ms. */
  get #queueMs(): number {
    return queueMs + this.#baseMs * farPart
  }

  #isStalled(now: number): boolean {
    const base = Math.min(this.#baseMs, mostBaseMs)
    const patienceMs = Math.max(leastPatienceMs, 3 * (base + queueMs))
    return now - this.#progressAt > patienceMs
  }

  #within(bytes: number): number {
    const { leastBytes, mostBytes } = this.#options
    return Math.min(mostBytes, Math.max(leastBytes, bytes))
  }
}

/** The least or the most of this period and of the one before. */
class Recent {
  readonly #pick: (a: number, b: number) => number
  readonly #none: number
  #now: number
  #before: number
  #since = 0

  constructor(pick: (a: number, b: number) => number, none: number) {
    this.#pick = pick
    this.#none = none
    this.#now = none
    this.#before = none
  }

  get value(): number {
    return this.#pick(this.#now, this.#before)
  }

  add(value: number, now: number): void {
    if (now - this.#since >= periodMs) {
      this.#before = this.#now
      this.#now = this.#none
      this.#since = now
    }
    this.#now = this.#pick(this.#now, value)
  }
}

/** Of those who take something, some are slow themselves. */
function usual(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[times.length >> 2] as number
}

/** More than what a process is kept from its work for on a busy machine. */
const queueMs = 130
/** And so much of the shortest time, since what is far away varies more. */
const farPart = 0.5
/** Of the window. */
const loadedPart = 0.75
/** In a round that makes the window smaller. */
const fewestOrders = 4
const mostOrders = 512
const mostFirstBytes = 4 << 20
const periodMs = 4_000
const drainAfterMs = 3_000
const drainPart = 0.85
/** Nothing came from it: it is asked for little until something does. */
const leastPatienceMs = 500
const mostBaseMs = 500
