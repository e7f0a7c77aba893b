/**
 * The relay's memory of chunks, over all swarms: what came in once goes out many times from here. It is bounded, and all of
 * it counts: chunks that are kept, chunks that are expected, chunks that somebody slow has not taken yet. Chunks are known
 * by their hash, so equal chunks of two versions are one.
 *
 *     expected ─▶ kept ─▶ (on disk) ─▶ gone
 *                  │  ▲
 *                  ▼  │
 *                 pinned: a path reads it
 *
 * Who is slow must not take memory from who is fast: chunks that only slow members hold have a quarter of it, and what
 * goes beyond that is taken from them by ending their paths.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import { latin1Decode } from "../../../base/text.ts"
import type { ChunkDisk } from "./chunk-disk.ts"
import { Slabs } from "./slabs.ts"

/** Whoever finds chunks in the cache: a version of a swarm. */
export interface CacheUser {
  /** False: nothing is kept for it longer than it is wanted. */
  readonly keeps: boolean
  /** Somebody may still want it from here; what nobody wants goes first. */
  isLacked(chunk: number): boolean
  /** A chunk that it used is gone. Called from within any call to the cache. */
  evicted(chunk: number): void
}

export interface ChunkCacheOptions {
  readonly bytes: number
  readonly clock: Clock
  /** A pin that is older stands in the way of others, ms. */
  readonly slowMs: number
  readonly disk?: ChunkDisk | undefined
}

/** A chunk that is here, in memory or on disk. */
export class CachedChunk {
  readonly key: string
  readonly length: number
  /** Undefined while it is on disk alone. */
  memory: Uint8Array | undefined
  readonly users: Map<CacheUser, number> = new Map()
  /** In queues of members: these go last. */
  wants = 0
  fastPins = 0
  slowPins = 0
  file: "none" | "writing" | "there" = "none"
  loading: ((isHere: boolean) => void)[] | undefined

  constructor(key: string, memory: Uint8Array) {
    this.key = key
    this.length = memory.length
    this.memory = memory
  }

  /** False once it was forgotten. */
  get isHere(): boolean {
    return this.memory !== undefined || this.file === "there"
  }

  get isPinned(): boolean {
    return this.fastPins > 0 || this.slowPins > 0
  }
}

/** Somebody reads a chunk's memory until `unpin`. */
export interface Pin {
  readonly chunk: CachedChunk
  readonly since: number
  isSlow: boolean
  /** The memory is needed: the reader shall end what it does. `unpin` follows. */
  readonly cut: (error: RdvError) => void
}

/** Tries again; true when it need not be called any more. */
type Waiter = () => boolean

export class ChunkCache {
  readonly #options: ChunkCacheOptions
  readonly #slabs: Slabs
  readonly #all: Map<string, CachedChunk> = new Map()
  /** In memory and not pinned, those that were used last at the end. */
  readonly #idle: Set<CachedChunk> = new Set()
  /** The same, in somebody's queue. */
  readonly #wanted: Set<CachedChunk> = new Set()
  readonly #pins: Set<Pin> = new Set()
  #fastBytes = 0
  #slowBytes = 0
  readonly #roomWaiters: Fifo<Waiter> = new Fifo()
  readonly #fastWaiters: Fifo<Waiter> = new Fifo()
  readonly #slowWaiters: Fifo<Waiter> = new Fifo()
  #isDue = false
  #pressure: Timer | undefined
  #evictions = 0
  #cuts = 0

  constructor(options: ChunkCacheOptions) {
    this.#options = options
    this.#slabs = new Slabs(options.bytes)
    if (options.disk !== undefined) options.disk.onGone = (key) => this.#fileGone(key)
  }

  status(): {
    chunks: number
    bytes: number
    usedBytes: number
    mostBytes: number
    pinnedBytes: number
    slowBytes: number
    evictions: number
    cuts: number
    disk: { chunks: number; bytes: number } | null
  } {
    let bytes = 0
    for (const { memory } of this.#all.values()) bytes += memory?.length ?? 0
    return {
      chunks: this.#all.size,
      bytes,
      usedBytes: this.#slabs.usedBytes,
      mostBytes: this.#options.bytes,
      pinnedBytes: this.#fastBytes + this.#slowBytes,
      slowBytes: this.#slowBytes,
      evictions: this.#evictions,
      cuts: this.#cuts,
      disk: this.#options.disk?.status() ?? null,
    }
  }

  find(hash: Uint8Array): CachedChunk | undefined {
    return this.#all.get(latin1Decode(hash))
  }

  /** Promises memory for a chunk that is expected. False: `whenRoom` tells. */
  reserve(length: number): boolean {
    while (!this.#slabs.reserve(length)) if (!this.#evictOne()) return false
    return true
  }

  /** It does not come. */
  release(length: number): void {
    this.#slabs.release(length)
    this.#wake()
  }

  /** The memory that was promised. */
  take(length: number): Uint8Array {
    return this.#slabs.take(length)
  }

  /** What came into it was not what it should be. */
  giveBack(memory: Uint8Array): void {
    this.#slabs.give(memory)
    this.#wake()
  }

  /** Keeps what came into memory of `take`. It counts as wanted once: `unwant` when those who wait have been told. */
  add(hash: Uint8Array, memory: Uint8Array): CachedChunk {
    const key = latin1Decode(hash)
    const known = this.#all.get(key)
    if (known !== undefined) {
      known.wants++
      if (known.memory === undefined && known.loading === undefined) known.memory = memory
      else this.giveBack(memory)
      this.#place(known)
      return known
    }
    const chunk = new CachedChunk(key, memory)
    chunk.wants = 1
    this.#all.set(key, chunk)
    this.#place(chunk)
    return chunk
  }

  use(chunk: CachedChunk, user: CacheUser, index: number): void {
    chunk.users.set(user, index)
  }

  /** It may be forgotten, as far as this user is concerned. */
  leave(chunk: CachedChunk, user: CacheUser): void {
    chunk.users.delete(user)
    this.#place(chunk)
  }

  want(chunk: CachedChunk): void {
    chunk.wants++
    this.#place(chunk)
  }

  unwant(chunk: CachedChunk): void {
    chunk.wants--
    this.#place(chunk)
  }

  /** Undefined when too much is pinned: `whenPinnable` tells. The chunk has to be in memory. */
  pin(chunk: CachedChunk, isSlow: boolean, cut: (error: RdvError) => void): Pin | undefined {
    if (!this.canPin(chunk, isSlow)) return undefined
    const pin: Pin = { chunk, since: this.#options.clock.now(), isSlow, cut }
    this.#pins.add(pin)
    this.#count(chunk, () => (isSlow ? chunk.slowPins++ : chunk.fastPins++))
    this.#place(chunk)
    return pin
  }

  canPin(chunk: CachedChunk, isSlow: boolean): boolean {
    if (!isSlow) {
      if (chunk.isPinned || this.#fastBytes === 0) return true
      return this.#fastBytes + chunk.length <= this.#options.bytes * fastPart
    }
    if (this.#slowBytes === 0 || (chunk.slowPins > 0 && chunk.fastPins === 0)) return true
    return this.#slowBytes + chunk.length <= this.#options.bytes * slowPart
  }

  unpin(pin: Pin): void {
    if (!this.#pins.delete(pin)) return
    const { chunk } = pin
    this.#count(chunk, () => (pin.isSlow ? chunk.slowPins-- : chunk.fastPins--))
    this.#place(chunk)
    this.#wake()
  }

  /** Brings a chunk from disk into memory; `done` says whether it is there. `isRight` looks at what was read. */
  load(chunk: CachedChunk, isRight: (memory: Uint8Array) => boolean, done: (isHere: boolean) => void): void {
    if (chunk.loading !== undefined) {
      chunk.loading.push(done)
      return
    }
    chunk.loading = [done]
    const begin = () => {
      if (this.#all.get(chunk.key) !== chunk) return true
      if (!this.reserve(chunk.length)) return false
      void this.#read(chunk, isRight)
      return true
    }
    if (!begin()) this.whenRoom(begin)
  }

  /** Called when there may be room for a fetch, oldest first, until it answers true. */
  whenRoom(waiter: Waiter): void {
    this.#roomWaiters.push(waiter)
    this.#press()
  }

  /** The same for pins. */
  whenPinnable(isSlow: boolean, waiter: Waiter): void {
    if (isSlow) this.#slowWaiters.push(waiter)
    else this.#fastWaiters.push(waiter)
    this.#press()
  }

  close(): void {
    this.#pressure?.cancel()
    this.#options.disk?.close()
  }

  async #read(chunk: CachedChunk, isRight: (memory: Uint8Array) => boolean): Promise<void> {
    const memory = this.#slabs.take(chunk.length)
    const isHere = (await this.#options.disk?.read(chunk.key, memory)) === true && isRight(memory)
    const waiting = chunk.loading ?? []
    chunk.loading = undefined
    if (this.#all.get(chunk.key) !== chunk) {
      this.giveBack(memory)
      for (const done of waiting) done(false)
      return
    }
    if (isHere) {
      chunk.memory = memory
      chunk.wants++
    } else this.giveBack(memory)
    if (!isHere) this.#forget(chunk)
    for (const done of waiting) done(isHere)
    if (isHere) this.unwant(chunk)
  }

  /** Keeps the sums of pinned bytes over a change. */
  #count(chunk: CachedChunk, change: () => void): void {
    this.#sum(chunk, -chunk.length)
    change()
    this.#sum(chunk, chunk.length)
  }

  #sum(chunk: CachedChunk, bytes: number): void {
    if (chunk.fastPins > 0) this.#fastBytes += bytes
    else if (chunk.slowPins > 0) this.#slowBytes += bytes
  }

  /** Puts it where it belongs, as the one that was used last. */
  #place(chunk: CachedChunk): void {
    this.#idle.delete(chunk)
    this.#wanted.delete(chunk)
    if (chunk.isPinned || this.#all.get(chunk.key) !== chunk) return
    if (chunk.wants === 0 && !keeps(chunk)) {
      if (chunk.file !== "writing") this.#forget(chunk)
      return
    }
    if (chunk.memory === undefined || chunk.file === "writing") return
    if (chunk.wants > 0) this.#wanted.add(chunk)
    else this.#idle.add(chunk)
  }

  /** False when nothing more can go. */
  #evictOne(): boolean {
    const idle = this.#leastOfUse()
    if (idle !== undefined) return this.#evict(idle)
    for (const chunk of this.#wanted) return this.#evict(chunk)
    return false
  }

  /** What nobody lacks, else what was not used for longest: who is behind the others still needs what they used long ago. */
  #leastOfUse(): CachedChunk | undefined {
    let looks = mostLooks
    for (const chunk of this.#idle) {
      if (!isLacked(chunk)) return chunk
      if (--looks === 0) break
    }
    const [oldest] = this.#idle
    return oldest
  }

  /** False when its memory is free only when it is on disk: `whenRoom` tells. */
  #evict(chunk: CachedChunk): boolean {
    const { disk } = this.#options
    this.#evictions++
    if (disk === undefined || !keeps(chunk)) {
      this.#forget(chunk)
      return true
    }
    if (chunk.file === "there") {
      this.#idle.delete(chunk)
      this.#wanted.delete(chunk)
      this.#slabs.give(chunk.memory as Uint8Array)
      chunk.memory = undefined
      return true
    }
    if (!disk.hasRoom) {
      this.#forget(chunk)
      return true
    }
    chunk.file = "writing"
    this.#place(chunk)
    void this.#write(chunk, disk)
    return false
  }

  async #write(chunk: CachedChunk, disk: ChunkDisk): Promise<void> {
    const isThere = await disk.write(chunk.key, chunk.memory as Uint8Array)
    chunk.file = isThere ? "there" : "none"
    if (isThere && !chunk.isPinned && chunk.wants === 0 && keeps(chunk) && chunk.memory !== undefined) {
      this.#slabs.give(chunk.memory)
      chunk.memory = undefined
    }
    this.#place(chunk)
    this.#wake()
  }

  #fileGone(key: string): void {
    const chunk = this.#all.get(key)
    if (chunk === undefined) return
    chunk.file = "none"
    if (chunk.memory === undefined && chunk.loading === undefined) this.#forget(chunk)
  }

  /** It is not pinned. */
  #forget(chunk: CachedChunk): void {
    this.#all.delete(chunk.key)
    this.#idle.delete(chunk)
    this.#wanted.delete(chunk)
    if (chunk.file === "there") this.#options.disk?.remove(chunk.key)
    chunk.file = "none"
    if (chunk.memory !== undefined) {
      this.#slabs.give(chunk.memory)
      chunk.memory = undefined
      this.#wake()
    }
    for (const [user, index] of chunk.users) user.evicted(index)
    chunk.users.clear()
  }

  #wake(): void {
    if (this.#isDue || this.#waiting === 0) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      for (const line of [this.#fastWaiters, this.#roomWaiters, this.#slowWaiters]) {
        for (let waiter = line.peek(); waiter !== undefined && waiter(); waiter = line.peek()) line.shift()
      }
    })
  }

  get #waiting(): number {
    return this.#roomWaiters.length + this.#fastWaiters.length + this.#slowWaiters.length
  }

  /** While somebody waits: looks whether those who are slow are in the way. */
  #press(): void {
    if (this.#pressure !== undefined) return
    this.#pressure = this.#options.clock.after(pressMs, () => {
      this.#pressure = undefined
      if (this.#roomWaiters.length + this.#fastWaiters.length > 0) this.#clear()
      this.#wake()
      if (this.#waiting > 0) this.#press()
    })
  }

  #clear(): void {
    const { clock, slowMs, bytes } = this.#options
    const now = clock.now()
    for (const pin of this.#pins) {
      if (now - pin.since < slowMs) break
      if (pin.isSlow) continue
      const { chunk } = pin
      this.#count(chunk, () => {
        chunk.fastPins--
        chunk.slowPins++
      })
      pin.isSlow = true
    }
    if (this.#slowBytes <= bytes * slowPart) return
    // The newest of them: who has held on for long is let finish.
    for (const pin of [...this.#pins].filter(({ isSlow }) => isSlow).toReversed()) {
      if (this.#slowBytes <= bytes * slowPart) return
      if (pin.chunk.fastPins > 0 || this.#slowBytes <= pin.chunk.length) continue
      this.#cuts++
      pin.cut(new RdvError("timeout", "It took its chunk too slowly while the relay's memory was full"))
    }
  }
}

function keeps(chunk: CachedChunk): boolean {
  for (const user of chunk.users.keys()) if (user.keeps) return true
  return false
}

function isLacked(chunk: CachedChunk): boolean {
  for (const [user, index] of chunk.users) if (user.isLacked(index)) return true
  return false
}

/** Chunks that are looked at before one goes. */
const mostLooks = 256
/** Of the memory, for chunks that are being sent; the rest is for what comes in. */
const fastPart = 0.75
const slowPart = 0.25
const pressMs = 1_000
