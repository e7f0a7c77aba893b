/**
 * What each client has over several event loops: its connections, and when it may make the next one. A table of fixed size
 * in shared memory, in buckets with a lock each that is held for less than a microsecond.
 *
 * Both limits are exact as long as a bucket has room. It has none while more than 16 clients of one bucket have connections
 * at once (from about 60,000 such clients in all, and then for few of them): those are let in uncounted, because nobody is
 * refused for want of a place. Clients without connections make room for others, those first that owe the least.
 */

import { randomInt } from "node:crypto"
import { hashText } from "../policy/hashing.ts"

export interface ClientLimits {
  /** Connections at once. */
  readonly most: number | undefined
  /** New ones per second, with bursts of one second. */
  readonly perSecond: number | undefined
}

export class ClientCells {
  /** For so many loops: `new ClientCells(memory, loops, loop)` in each. */
  static shared(loops: number): SharedArrayBuffer {
    const memory = new SharedArrayBuffer(sizeFor(loops))
    new Uint32Array(memory, 0, 1)[0] = randomInt(2 ** 32)
    return memory
  }

  readonly #loops: number
  readonly #loop: number
  readonly #seed: number
  /** Per bucket, 0 or the number of the loop that holds it, from 1. */
  readonly #locks: Int32Array
  /** Two words per client; the first is never 0 in one that is used. */
  readonly #names: Uint32Array
  /** Per client: when its allowance is whole again, ms (the generic cell rate algorithm, ITU-T I.371). */
  readonly #paidAt: Float64Array
  /** Per client and loop. */
  readonly #counts: Int32Array

  constructor(memory: SharedArrayBuffer, loops: number, loop: number) {
    if (memory.byteLength !== sizeFor(loops)) throw new RangeError("the memory has another size")
    this.#loops = loops
    this.#loop = loop
    this.#seed = new Uint32Array(memory, 0, 1)[0] as number
    this.#locks = new Int32Array(memory, headBytes, buckets)
    this.#paidAt = new Float64Array(memory, headBytes + 4 * buckets, clients)
    this.#names = new Uint32Array(memory, headBytes + 4 * buckets + 8 * clients, 2 * clients)
    this.#counts = new Int32Array(memory, headBytes + 4 * buckets + 16 * clients, loops * clients)
  }

  /** One more connection, unless a limit forbids it: then it costs nothing. `now`: of a clock that all loops have. */
  admit(name: string, { most, perSecond }: ClientLimits, now: number): "limit-client" | "rate-client" | undefined {
    const first = this.#hash(name)
    const second = hashText(name, this.#seed ^ otherSeed)
    const bucket = second % buckets
    this.#lock(bucket)
    try {
      const at = this.#find(bucket, first, second) ?? this.#make(bucket, first, second)
      if (most === 0) return "limit-client"
      if (at === undefined) return undefined
      if (most !== undefined && this.#total(at) >= most) return "limit-client"
      if (perSecond !== undefined) {
        // Nobody owes more than this rate lets owe: a slower one may have held before.
        const most = now + debtMs(perSecond) + 1_000 / perSecond
        const paidAt = Math.min(most, Math.max(this.#paidAt[at] as number, now))
        const isLate = paidAt - now > debtMs(perSecond)
        this.#paidAt[at] = isLate ? paidAt : paidAt + 1_000 / perSecond
        if (isLate) return "rate-client"
      }
      const own = at * this.#loops + this.#loop
      this.#counts[own] = (this.#counts[own] as number) + 1
      return undefined
    } finally {
      this.#unlock(bucket)
    }
  }

  /** A connection that was admitted here is over. */
  left(name: string): void {
    const first = this.#hash(name)
    const second = hashText(name, this.#seed ^ otherSeed)
    const bucket = second % buckets
    this.#lock(bucket)
    const at = this.#find(bucket, first, second)
    if (at !== undefined) {
      const own = at * this.#loops + this.#loop
      this.#counts[own] = Math.max(0, (this.#counts[own] as number) - 1)
    }
    this.#unlock(bucket)
  }

  /** Gives back what one `admit` has taken of the rate; the connection is not counted any more either. */
  refund(name: string, perSecond: number): void {
    const second = hashText(name, this.#seed ^ otherSeed)
    const bucket = second % buckets
    this.#lock(bucket)
    const at = this.#find(bucket, this.#hash(name), second)
    if (at !== undefined) this.#paidAt[at] = (this.#paidAt[at] as number) - 1_000 / perSecond
    this.#unlock(bucket)
  }

  /** Of all loops. */
  connections(name: string): number {
    const second = hashText(name, this.#seed ^ otherSeed)
    const at = this.#find(second % buckets, this.#hash(name), second)
    return at === undefined ? 0 : this.#total(at)
  }

  /** Gives back what a loop held that is gone for good. */
  release(loop: number): void {
    for (let bucket = 0; bucket < buckets; bucket++) {
      Atomics.compareExchange(this.#locks, bucket, loop + 1, 0)
      this.#lock(bucket)
      for (let at = bucket * bucketSize; at < (bucket + 1) * bucketSize; at++) {
        const own = at * this.#loops + loop
        // Pages that nobody has written to stay so.
        if (this.#counts[own] !== 0) this.#counts[own] = 0
      }
      this.#unlock(bucket)
    }
  }

  #hash(name: string): number {
    return (hashText(name, this.#seed) | 1) >>> 0
  }

  #find(bucket: number, first: number, second: number): number | undefined {
    for (let at = bucket * bucketSize; at < (bucket + 1) * bucketSize; at++) {
      if (this.#names[2 * at] === first && this.#names[2 * at + 1] === second) return at
    }
    return undefined
  }

  #make(bucket: number, first: number, second: number): number | undefined {
    let best: number | undefined
    for (let at = bucket * bucketSize; at < (bucket + 1) * bucketSize; at++) {
      if (this.#total(at) > 0) continue
      if (best === undefined || (this.#paidAt[at] as number) < (this.#paidAt[best] as number)) best = at
    }
    if (best === undefined) return undefined
    this.#names[2 * best] = first
    this.#names[2 * best + 1] = second
    this.#paidAt[best] = 0
    return best
  }

  #total(at: number): number {
    let sum = 0
    for (let loop = 0; loop < this.#loops; loop++) sum += this.#counts[at * this.#loops + loop] as number
    return sum
  }

  #lock(bucket: number): void {
    for (let tries = 0; ; tries++) {
      const holder = Atomics.compareExchange(this.#locks, bucket, 0, this.#loop + 1)
      if (holder === 0) return
      // Whoever holds it was interrupted: its thread needs the processor.
      if (tries > 100) Atomics.wait(this.#locks, bucket, holder, 1)
    }
  }

  #unlock(bucket: number): void {
    Atomics.store(this.#locks, bucket, 0)
  }
}

function sizeFor(loops: number): number {
  return headBytes + 4 * buckets + (16 + 4 * loops) * clients
}

/** How far ahead of its rate a client may be, ms: what one second brings, and always one; and what sums may be off. */
function debtMs(perSecond: number): number {
  return ((Math.max(1, perSecond) - 1) * 1_000) / perSecond + 1e-6
}

const headBytes = 8
const buckets = 8_192
const bucketSize = 16
const clients = buckets * bucketSize
const otherSeed = 0x5bd1e995
