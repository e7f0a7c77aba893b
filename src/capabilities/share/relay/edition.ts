/**
 * One version of a swarm at the relay: its table, who decides (the scheduler) and who does: chunks are asked for, proven
 * and kept, and sent to those whom the scheduler names.
 */

import type { Clock } from "../../../base/clock.ts"
import type { Bitmap } from "../content/bitmap.ts"
import { hashBytes } from "../content/chunk-crypto.ts"
import type { ChunkTable } from "../content/chunk-table.ts"
import type { Refusal } from "../paths/chunk-path.ts"
import type { TableFacts } from "../protocol/control.ts"
import { Scheduler } from "../swarm/scheduler.ts"
import type { CachedChunk, CacheUser, ChunkCache } from "./chunk-cache.ts"
import type { Lane, LaneVersion } from "./lane.ts"
import { ReplacedLanes } from "./replaced-lanes.ts"

/** What an edition needs of its swarm. */
export interface EditionSwarm {
  readonly cache: ChunkCache
  readonly clock: Clock
  readonly keeps: boolean
  /** What the cache has for this swarm, bytes. */
  readonly cacheBytes: number
  laneOf(member: string): Lane | undefined
  take(member: string, chunk: number, from: string): void
  drop(member: string, chunk: number): void
  /** It sent something else than what it was asked for. */
  lied(member: string, chunk: number): void
  fetched(member: string, bytes: number): void
}

interface Fetch {
  readonly chunk: number
  readonly holder: string
  /** `room`: memory is waited for; `asked`: promised; `coming`: in use. */
  state: "room" | "asked" | "coming" | "over"
}

export class Edition implements CacheUser, LaneVersion {
  readonly facts: TableFacts
  readonly table: ChunkTable
  readonly scheduler: Scheduler
  readonly keeps: boolean
  /** Chunks that were asked for, and that were sent. */
  misses = 0
  pushes = 0
  readonly #swarm: EditionSwarm
  readonly #here: Map<number, CachedChunk> = new Map()
  readonly #fetches: Map<number, Fetch[]> = new Map()
  readonly #replaced: ReplacedLanes
  #isOver = false

  constructor(swarm: EditionSwarm, facts: TableFacts, table: ChunkTable) {
    this.#swarm = swarm
    this.facts = facts
    this.table = table
    this.keeps = swarm.keeps
    this.scheduler = new Scheduler({
      clock: swarm.clock,
      count: table.count,
      manifestChunks: table.manifestChunks,
      lengthOf: (chunk) => table.lengthOf(chunk),
      cacheBytes: swarm.cacheBytes,
      port: {
        push: (member, chunk) => this.push(member, chunk),
        fetch: (holder, chunk) => this.fetch(holder, chunk),
        unfetch: (holder, chunk) => this.unfetch(holder, chunk),
        take: (member, chunk, from) => this.take(member, chunk, from),
        drop: (member, chunk) => this.drop(member, chunk),
        cached: (chunk) => this.#here.get(chunk)?.isHere === true,
      },
    })
    this.#replaced = new ReplacedLanes(swarm.clock, this.scheduler)
    // What an older version left, or another swarm of the same content.
    for (let chunk = 0; chunk < table.count; chunk++) {
      const known = swarm.cache.find(table.hashOf(chunk))
      if (known?.length === table.lengthOf(chunk)) this.#keep(chunk, known)
    }
  }

  get version(): number {
    return this.facts.version
  }

  get cachedChunks(): number {
    return this.#here.size
  }

  cachedBytes(): number {
    let bytes = 0
    for (const { length } of this.#here.values()) bytes += length
    return bytes
  }

  /** Nobody who is here has it, nor the cache; those who have `lost` are not counted. */
  isNowhere(chunk: number, lost: readonly Bitmap[] = []): boolean {
    let copies = this.scheduler.copiesOf(chunk)
    if (copies > lost.length) return false
    for (const have of lost) if (copies > 0 && have.has(chunk)) copies--
    return copies === 0 && this.cached(chunk) === undefined
  }

  close(): void {
    this.#isOver = true
    this.scheduler.close()
    this.#replaced.close()
    for (const fetches of this.#fetches.values()) for (const fetch of fetches) this.#drop(fetch, true)
    const here = [...this.#here.values()]
    this.#here.clear()
    for (const cached of here) this.#swarm.cache.leave(cached, this)
  }

  /** Its path is gone, or it is: nothing comes from it. */
  lose(member: string): void {
    for (const fetches of this.#fetches.values())
      for (const fetch of fetches) if (fetch.holder === member && fetch.state !== "coming") this.#refuse(fetch)
  }

  /** Another path takes the place of this one. */
  replace(member: string, older: Lane): void {
    this.#replaced.replace(member, older)
  }

  /** It has a new path: what it was asked over the old one and did not begin to send is asked again. */
  askAgain(member: string): void {
    const lane = this.#swarm.laneOf(member)
    for (const fetches of this.#fetches.values())
      for (const { holder, state, chunk } of fetches)
        if (holder === member && state === "asked") lane?.ask(this.version, chunk)
  }

  // Of the scheduler.

  push(member: string, chunk: number): void {
    const lane = this.#swarm.laneOf(member)
    const cached = this.cached(chunk)
    if (lane === undefined || cached === undefined) this.unpushed(member, chunk)
    else {
      this.pushes++
      lane.push(chunk, cached)
    }
  }

  fetch(holder: string, chunk: number): void {
    const fetch: Fetch = { chunk, holder, state: "room" }
    const others = this.#fetches.get(chunk)
    if (others === undefined) this.#fetches.set(chunk, [fetch])
    else if (others.some((other) => other.holder === holder)) return
    else others.push(fetch)
    this.misses++
    const { cache } = this.#swarm
    const ask = () => {
      if (fetch.state !== "room") return true
      const lane = this.#swarm.laneOf(holder)
      if (lane === undefined) {
        // Not within the scheduler's own call.
        queueMicrotask(() => fetch.state === "room" && this.#refuse(fetch))
        return true
      }
      if (!cache.reserve(this.table.lengthOf(chunk))) return false
      fetch.state = "asked"
      lane.ask(this.version, chunk)
      return true
    }
    if (!ask()) cache.whenRoom(ask)
  }

  unfetch(holder: string, chunk: number): void {
    const fetch = this.#find(holder, chunk)
    // What has begun to come is let come: its bytes are on their way anyhow.
    if (fetch !== undefined && fetch.state !== "coming") this.#drop(fetch, true)
  }

  take(member: string, chunk: number, from: string): void {
    this.#swarm.take(member, chunk, from)
  }

  drop(member: string, chunk: number): void {
    this.#swarm.laneOf(member)?.unpush(chunk)
    this.#swarm.drop(member, chunk)
  }

  // Of the cache.

  isLacked(chunk: number): boolean {
    return this.scheduler.lackedBy(chunk) > 0
  }

  evicted(chunk: number): void {
    this.#here.delete(chunk)
  }

  // Of lanes.

  cached(chunk: number): CachedChunk | undefined {
    const cached = this.#here.get(chunk)
    return cached?.isHere === true ? cached : undefined
  }

  isRight(chunk: number, memory: Uint8Array): boolean {
    return this.table.matches(chunk, memory)
  }

  unpushed(member: string, chunk: number): void {
    queueMicrotask(() => {
      if (!this.#isOver) this.scheduler.unpushed(member, chunk)
    })
  }

  begins(member: string, chunk: number, length: number): Uint8Array | undefined {
    const fetch = this.#find(member, chunk)
    if (fetch?.state !== "asked") return undefined
    if (length !== this.table.lengthOf(chunk)) {
      this.#refuse(fetch)
      this.#swarm.lied(member, chunk)
      return undefined
    }
    fetch.state = "coming"
    return this.#swarm.cache.take(length)
  }

  came(member: string, chunk: number, memory: Uint8Array): void {
    const { cache } = this.#swarm
    const fetch = this.#find(member, chunk)
    if (this.#isOver || fetch === undefined) {
      cache.giveBack(memory)
      return
    }
    this.#swarm.fetched(member, memory.length)
    if (!this.table.matches(chunk, memory)) {
      cache.giveBack(memory)
      this.#forget(fetch)
      // It says that it has the chunk and has not.
      this.scheduler.refused(member, chunk)
      this.scheduler.lost(member, chunk)
      this.#swarm.lied(member, chunk)
      return
    }
    this.#forget(fetch)
    for (const other of this.#fetches.get(chunk) ?? []) if (other.state !== "coming") this.#drop(other, true)
    const cached = cache.add(this.table.hashOf(chunk), memory)
    this.#keep(chunk, cached)
    this.scheduler.arrived(chunk, member)
    cache.unwant(cached)
  }

  broke(member: string, chunk: number, memory: Uint8Array): void {
    this.#swarm.cache.giveBack(memory)
    const fetch = this.#find(member, chunk)
    if (fetch === undefined) return
    this.#forget(fetch)
    if (!this.#isOver) this.scheduler.refused(member, chunk)
  }

  refused(member: string, chunk: number, why: Refusal): void {
    const fetch = this.#find(member, chunk)
    if (fetch === undefined || fetch.state === "coming") return
    this.#refuse(fetch)
    if (why === "missing") this.scheduler.lost(member, chunk)
  }

  #keep(chunk: number, cached: CachedChunk): void {
    this.#here.set(chunk, cached)
    this.#swarm.cache.use(cached, this, chunk)
  }

  #find(holder: string, chunk: number): Fetch | undefined {
    return this.#fetches.get(chunk)?.find((fetch) => fetch.holder === holder)
  }

  #refuse(fetch: Fetch): void {
    this.#drop(fetch, false)
    if (!this.#isOver) this.scheduler.refused(fetch.holder, fetch.chunk)
  }

  /** Nothing is expected any more; memory that is in use comes back by `broke` or `came`. */
  #drop(fetch: Fetch, tells: boolean): void {
    const { state, holder, chunk } = fetch
    if (state === "coming") return
    this.#forget(fetch)
    if (state !== "asked") return
    this.#swarm.cache.release(this.table.lengthOf(chunk))
    if (tells) this.#swarm.laneOf(holder)?.cancel(this.version, chunk)
  }

  #forget(fetch: Fetch): void {
    fetch.state = "over"
    const left = (this.#fetches.get(fetch.chunk) ?? []).filter((other) => other !== fetch)
    if (left.length === 0) this.#fetches.delete(fetch.chunk)
    else this.#fetches.set(fetch.chunk, left)
  }
}

/** What a table costs beside its bytes, about: counts, order and places of its chunks. */
export function tableCost(bytes: number): number {
  return bytes + (bytes / (4 + hashBytes)) * 64
}
