/**
 * A member's path for chunks, at the relay: what goes to the member waits here as numbers and becomes memory only when the
 * path takes it, so that a member that does not read holds one chunk, or two small rests. What comes in goes to the version
 * that asked for it.
 */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { ChunkName, ChunkPath, ChunkPathSink, Refusal } from "../paths/chunk-path.ts"
import type { CachedChunk, ChunkCache, Pin } from "./chunk-cache.ts"
import type { Egress } from "./egress.ts"

/** The version that a lane carries chunks of. */
export interface LaneVersion {
  readonly version: number
  /** Where it is now; undefined when it is not here any more. */
  cached(chunk: number): CachedChunk | undefined
  isRight(chunk: number, memory: Uint8Array): boolean
  /** A chunk that was to be sent was not. */
  unpushed(member: string, chunk: number): void
  /** Memory for what the member begins to send, or undefined when it was not asked. */
  begins(member: string, chunk: number, length: number): Uint8Array | undefined
  came(member: string, chunk: number, memory: Uint8Array): void
  /** It will not come; the memory of `begins` is back. */
  broke(member: string, chunk: number, memory: Uint8Array): void
  refused(member: string, chunk: number, why: Refusal): void
}

export interface LaneOptions {
  readonly path: ChunkPath
  readonly member: LaneMember
  readonly cache: ChunkCache
  readonly clock: Clock
  readonly egress: Egress
  readonly slowMs: number
  readonly version: () => LaneVersion | undefined
  readonly sent: (bytes: number) => void
  readonly closed: (error: RdvError | undefined) => void
}

/** What a lane keeps beyond its own life. */
export interface LaneMember {
  readonly id: string
  /** It was slow when it was seen last. */
  isSlow: boolean
}

interface Coming {
  readonly from: LaneVersion
  readonly memory: Uint8Array
  /** ms. */
  readonly since: number
}

export class Lane implements ChunkPathSink {
  readonly path: ChunkPath
  readonly #options: LaneOptions
  /** In the order in which they were given. */
  #queue: Map<number, CachedChunk> = new Map()
  readonly #coming: Map<string, Coming> = new Map()
  #underWay = 0
  /** The path has room beside what is under way. */
  #isReady = true
  /** Somebody will call back. */
  #waits = false
  #isPumping = false
  #isClosed = false
  #isTurn = false
  /** The path takes nothing more. */
  #isOver = false

  constructor(options: LaneOptions) {
    this.#options = options
    this.path = options.path
  }

  /** It may be over before this returns. */
  start(): void {
    this.path.attach(this)
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** It waits here. */
  has(chunk: number): boolean {
    return this.#queue.has(chunk)
  }

  /** Whoever begins chunks and does not go on with them holds memory that all swarms share. */
  look(now: number): void {
    for (const { since } of this.#coming.values()) {
      if (now - since < mostComingMs) return
      this.path.abort(new RdvError("timeout", "A chunk has taken too long to come"))
      return
    }
  }

  push(chunk: number, cached: CachedChunk): void {
    if (this.#queue.has(chunk)) return
    this.#queue.set(chunk, cached)
    this.#options.cache.want(cached)
    this.#pump()
  }

  unpush(chunk: number): void {
    const cached = this.#queue.get(chunk)
    if (cached === undefined) return
    this.#queue.delete(chunk)
    this.#options.cache.unwant(cached)
  }

  /** Another version follows: what waits is of no use. */
  clear(): void {
    const queue = this.#queue
    this.#queue = new Map()
    for (const cached of queue.values()) this.#options.cache.unwant(cached)
  }

  /** Goes on with what waits at a path that this one replaces; what is under way there arrives there. */
  inherit(older: Lane): void {
    for (const [chunk, cached] of older.#queue) this.push(chunk, cached)
    older.clear()
    older.path.close()
  }

  ask(version: number, chunk: number): void {
    this.path.ask({ version: version & 0xffff, chunk })
  }

  cancel(version: number, chunk: number): void {
    this.path.cancel({ version: version & 0xffff, chunk })
  }

  room(name: ChunkName, length: number): Uint8Array | undefined {
    const from = this.#versionOf(name)
    const memory = from?.begins(this.#options.member.id, name.chunk, length)
    if (from === undefined || memory === undefined) return undefined
    const since = this.#options.clock.now()
    this.#coming.set(`${name.version}/${name.chunk}`, { from, memory, since })
    return memory
  }

  chunk(name: ChunkName): void {
    const key = `${name.version}/${name.chunk}`
    const coming = this.#coming.get(key)
    if (coming === undefined) return
    this.#coming.delete(key)
    coming.from.came(this.#options.member.id, name.chunk, coming.memory)
  }

  asked(name: ChunkName): void {
    // The relay sends what it decides to send; who asks has another idea of the protocol, and is told so.
    this.path.refuse(name, "missing")
  }

  cancelled(name: ChunkName): void {
    if (this.#versionOf(name) !== undefined) this.unpush(name.chunk)
  }

  refused(name: ChunkName, why: Refusal): void {
    this.#versionOf(name)?.refused(this.#options.member.id, name.chunk, why)
  }

  ready(): void {
    this.#isReady = true
    this.#pump()
  }

  closed(error: RdvError | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.clear()
    const { id } = this.#options.member
    for (const [key, { from, memory }] of this.#coming) {
      from.broke(id, Number(key.slice(key.indexOf("/") + 1)), memory)
    }
    this.#coming.clear()
    this.#options.closed(error)
  }

  #versionOf(name: ChunkName): LaneVersion | undefined {
    const version = this.#options.version()
    return version !== undefined && name.version === (version.version & 0xffff) ? version : undefined
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    while (this.#canSend && this.#next());
    this.#isPumping = false
  }

  get #canSend(): boolean {
    if (this.#isClosed || this.#isOver || this.#waits || this.#queue.size === 0) return false
    return this.#underWay === 0 || (this.#underWay === 1 && this.#isReady && !this.#options.member.isSlow)
  }

  /** Sends the next chunk or arranges to be called back; false when that is so. */
  #next(): boolean {
    const { cache, egress, member } = this.#options
    const version = this.#options.version()
    const [chunk, queued] = this.#queue.entries().next().value as [number, CachedChunk]
    const cached = version?.cached(chunk)
    if (version === undefined || cached === undefined) {
      this.unpush(chunk)
      version?.unpushed(member.id, chunk)
      return true
    }
    if (!this.#isTurn && !egress.isOpen) {
      this.#waits = true
      egress.wait(() => {
        this.#isTurn = true
        this.#again()
        this.#isTurn = false
      })
      return false
    }
    if (cached.memory === undefined) {
      this.#waits = true
      const isRight = (memory: Uint8Array) => version.isRight(chunk, memory)
      cache.load(cached, isRight, () => queueMicrotask(() => this.#again()))
      return false
    }
    const pin = cache.pin(cached, member.isSlow, (error) => this.path.abort(error))
    if (pin === undefined) {
      this.#waits = true
      cache.whenPinnable(member.isSlow, () => {
        const [next] = this.#queue.keys()
        const here = next === undefined ? undefined : this.#options.version()?.cached(next)
        if (!this.#isClosed && here?.memory !== undefined && !cache.canPin(here, member.isSlow)) return false
        this.#again()
        return true
      })
      return false
    }
    this.#queue.delete(chunk)
    cache.unwant(queued)
    this.#send(version.version, chunk, pin, cached.memory)
    return true
  }

  #send(version: number, chunk: number, pin: Pin, memory: Uint8Array): void {
    const { egress, sent } = this.#options
    this.#underWay++
    this.#isTurn = false
    let isDone = false
    this.#isReady = this.path.send({ version: version & 0xffff, chunk }, memory, () => {
      if (isDone) return
      isDone = true
      this.#sent(pin)
    })
    // Back at once and not to be followed: the path is over, and tells it in a moment.
    if (isDone && !this.#isReady) this.#isOver = true
    else {
      egress.spend(memory.length)
      sent(memory.length)
    }
  }

  #sent(pin: Pin): void {
    const { cache, clock, member, slowMs } = this.#options
    const tookMs = clock.now() - pin.since
    if (tookMs > slowMs) member.isSlow = true
    else if (tookMs < slowMs / 2) member.isSlow = false
    this.#underWay--
    cache.unpin(pin)
    this.#pump()
  }

  #again(): void {
    this.#waits = false
    this.#pump()
  }
}

/** 9 KB/s with the largest chunk. */
const mostComingMs = 120_000
