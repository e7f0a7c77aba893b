/**
 * What a member gives to others, over all its paths: few reads at once, little memory, the same chunk read once for all who
 * ask for it together, and no more bytes a second than it was allowed. The paths take turns.
 */

import { Bucket } from "../../../base/bucket.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { asRdvError } from "../../../base/error.ts"
import type { RdvError } from "../../../base/error.ts"
import type { ChunkName, ChunkPath } from "../paths/chunk-path.ts"
import { shortVersion } from "./local-version.ts"
import type { LocalVersion } from "./local-version.ts"
import type { ChunkMemory } from "./chunk-memory.ts"

export interface UploadsOptions {
  readonly clock: Clock
  /** Chunks that came in a moment ago lie in it, and it is read into. */
  readonly memory: ChunkMemory
  /** Over all paths; undefined: what the network gives. 0: nothing is given. */
  readonly bytesPerSecond?: number | undefined
  /** A chunk cannot be read any more: it is not there, though it was said to be. */
  readonly lost: (version: LocalVersion, chunk: number, error: RdvError) => void
}

export class Uploads {
  readonly #options: UploadsOptions
  readonly #bucket: Bucket | undefined
  readonly #lanes = new Set<UploadLane>()
  #turns: UploadLane[] = []
  #version: LocalVersion | undefined
  #number = -1
  readonly #reads = new Map<number, SharedRead>()
  #reading = 0
  #heldBytes = 0
  #isLeaving = false
  #isPumping = false
  #timer: Timer | undefined

  constructor(options: UploadsOptions) {
    this.#options = options
    const { bytesPerSecond, clock } = options
    if (bytesPerSecond !== undefined && bytesPerSecond > 0) {
      // A tenth of a second at once, so that what follows a pause is no burst.
      this.#bucket = new Bucket({ clock, perSecond: bytesPerSecond, size: Math.max(leastBurst, bytesPerSecond / 10) })
    }
  }

  /** Chunks of the version before are not here any more. */
  set version(version: LocalVersion | undefined) {
    const isAnother = version?.number !== this.#version?.number
    this.#version = version
    this.#number = version === undefined ? -1 : shortVersion(version.number)
    if (isAnother) for (const lane of this.#lanes) lane.refuseAll("missing")
    this.#reads.clear()
  }

  /** Read and not yet with the operating system. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Whether anybody waits for something. */
  get isBusy(): boolean {
    for (const lane of this.#lanes) if (lane.length > 0) return true
    return this.#heldBytes > 0 || this.#reading > 0
  }

  lane(path: ChunkPath): UploadLane {
    const lane = new UploadLane(path, {
      asked: (name) => this.#asked(lane, name),
      ready: () => this.#pump(),
      close: () => {
        this.#lanes.delete(lane)
        this.#turns = this.#turns.filter((each) => each !== lane)
      },
    })
    this.#lanes.add(lane)
    return lane
  }

  /** Refuses what waits and what comes: who asked asks elsewhere. */
  leave(): void {
    this.#isLeaving = true
    for (const lane of this.#lanes) lane.refuseAll("leaving")
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #asked(lane: UploadLane, name: ChunkName): void {
    const version = this.#version
    if (this.#isLeaving) lane.path.refuse(name, "leaving")
    else if (version === undefined || name.version !== this.#number || name.chunk >= version.table.count)
      lane.path.refuse(name, "missing")
    else if (!version.holdings.have.has(name.chunk)) lane.path.refuse(name, "missing")
    else if (this.#options.bytesPerSecond === 0 || lane.length >= mostAsks) lane.path.refuse(name, "busy")
    else {
      if (lane.push(name) && !this.#turns.includes(lane)) this.#turns.push(lane)
      this.#pump()
    }
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    // Each lane in turn gives one chunk; who has nothing more or cannot take it leaves the round until something changes.
    let idle = 0
    while (idle < this.#turns.length && this.#mayBegin()) {
      const lane = this.#turns.shift() as UploadLane
      if (lane.length === 0) {
        idle = 0
        continue
      }
      this.#turns.push(lane)
      if (lane.isFull) idle++
      else {
        idle = 0
        this.#begin(lane, lane.shift() as ChunkName)
      }
    }
    this.#isPumping = false
  }

  #mayBegin(): boolean {
    if (this.#reading >= mostReads || this.#heldBytes >= mostHeldBytes) return false
    const bucket = this.#bucket
    if (bucket === undefined || bucket.level > 0) return true
    this.#timer ??= this.#options.clock.after(Math.max(1, bucket.waitMs(1)), () => {
      this.#timer = undefined
      this.#pump()
    })
    return false
  }

  #begin(lane: UploadLane, name: ChunkName): void {
    const version = this.#version
    if (version === undefined) return
    const length = version.table.lengthOf(name.chunk)
    this.#bucket?.spend(length)
    const shared = this.#reads.get(name.chunk)
    if (shared !== undefined) {
      if (shared.sealed === undefined) shared.waiting.push([lane, name])
      else this.#send(shared, lane, name)
      return
    }
    if (!version.holdings.have.has(name.chunk)) {
      lane.path.refuse(name, "missing")
      return
    }
    const read: SharedRead = {
      version,
      chunk: name.chunk,
      length,
      memory: undefined,
      sealed: undefined,
      users: 0,
      waiting: [[lane, name]],
    }
    this.#reads.set(name.chunk, read)
    this.#heldBytes += length
    const { memory } = this.#options
    read.memory = memory.find(name.chunk)
    if (read.memory !== undefined) {
      this.#arrived(read, read.memory)
      return
    }
    read.memory = memory.take(length)
    let bytes: Uint8Array | Promise<Uint8Array>
    try {
      bytes = version.holdings.read(name.chunk, read.memory)
    } catch (error) {
      this.#failed(read, asRdvError(error))
      return
    }
    if (bytes instanceof Uint8Array) {
      this.#arrived(read, bytes)
      return
    }
    this.#reading++
    bytes.then(
      (sealed) => {
        this.#reading--
        this.#arrived(read, sealed)
        this.#pump()
      },
      (error: unknown) => {
        this.#reading--
        this.#failed(read, asRdvError(error))
        this.#pump()
      },
    )
  }

  #arrived(read: SharedRead, sealed: Uint8Array): void {
    read.sealed = sealed
    // It lies elsewhere.
    if (sealed !== read.memory) this.#free(read)
    // Kept until all who asked meanwhile have theirs.
    read.users++
    for (const [lane, name] of read.waiting) {
      if (lane.isOpen && this.#version?.number === read.version.number && !this.#isLeaving) this.#send(read, lane, name)
      else if (lane.isOpen) lane.path.refuse(name, this.#isLeaving ? "leaving" : "missing")
    }
    read.waiting.length = 0
    this.#release(read)
  }

  #send(read: SharedRead, lane: UploadLane, name: ChunkName): void {
    read.users++
    lane.sent(lane.path.send(name, read.sealed as Uint8Array, () => this.#release(read)))
  }

  #release(read: SharedRead): void {
    if (--read.users > 0) return
    this.#heldBytes -= read.length
    if (this.#reads.get(read.chunk) === read) this.#reads.delete(read.chunk)
    this.#free(read, this.#version?.number === read.version.number ? read.chunk : undefined)
    this.#pump()
  }

  #free(read: SharedRead, chunk?: number): void {
    if (read.memory !== undefined) this.#options.memory.give(read.memory, chunk)
    read.memory = undefined
  }

  #failed(read: SharedRead, error: RdvError): void {
    this.#free(read)
    this.#heldBytes -= read.length
    if (this.#reads.get(read.chunk) === read) this.#reads.delete(read.chunk)
    // A page's file is not read before it is whole: it is there all the same.
    const isThere = error.code === "would_block"
    for (const [lane, name] of read.waiting) if (lane.isOpen) lane.path.refuse(name, isThere ? "busy" : "missing")
    if (this.#version === read.version && !isThere) this.#options.lost(read.version, read.chunk, error)
  }
}

interface SharedRead {
  readonly version: LocalVersion
  readonly chunk: number
  readonly length: number
  /** Of `ChunkMemory`, until it is given back. */
  memory: Uint8Array | undefined
  sealed: Uint8Array | undefined
  /** Sends under way. */
  users: number
  readonly waiting: [UploadLane, ChunkName][]
}

interface LaneEvents {
  asked(name: ChunkName): void
  ready(): void
  close(): void
}

/** One path's asks, in their order. */
export class UploadLane {
  readonly path: ChunkPath
  readonly #events: LaneEvents
  /** By chunk: who asks and takes it back again and again leaves nothing here. */
  readonly #asks = new Map<number, ChunkName>()
  #isFull = false
  #isOpen = true

  constructor(path: ChunkPath, events: LaneEvents) {
    this.path = path
    this.#events = events
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** It takes no further chunk now. */
  get isFull(): boolean {
    return this.#isFull
  }

  get length(): number {
    return this.#asks.size
  }

  asked(name: ChunkName): void {
    this.#events.asked(name)
  }

  cancelled(name: ChunkName): void {
    this.#asks.delete(name.chunk)
  }

  ready(): void {
    this.#isFull = false
    this.#events.ready()
  }

  /** False when it waits already. */
  push(name: ChunkName): boolean {
    if (this.#asks.has(name.chunk)) return false
    this.#asks.set(name.chunk, name)
    return true
  }

  shift(): ChunkName | undefined {
    for (const name of this.#asks.values()) {
      this.#asks.delete(name.chunk)
      return name
    }
    return undefined
  }

  sent(takesMore: boolean): void {
    if (!takesMore) this.#isFull = true
  }

  refuseAll(why: "missing" | "leaving"): void {
    for (let name = this.shift(); name !== undefined; name = this.shift()) this.path.refuse(name, why)
  }

  /** The path is gone. */
  close(): void {
    this.#isOpen = false
    this.#asks.clear()
    this.#events.close()
  }
}

/** Reads that wait for a disk at once. */
const mostReads = 4
/** Read for others and not sent: with few of these a slow path cannot keep the fast ones waiting for long. */
export const mostHeldBytes: number = 16 * 1024 * 1024
/** One path may have so many asks waiting. */
const mostAsks = 1_024
const leastBurst = 64 * 1024
