/**
 * Chunks that come in, whatever brings them: memory for each, its hash against the table, then to its place. No byte that
 * was not checked is stored, and none that is not stored is told to be there.
 *
 *     room ─▶ (bytes) ─▶ chunk: hash ─▶ holdings.store ─▶ stored
 *      └ not wanted: skipped   └ wrong: corrupt   └ full disk: unstored
 */

import { asRdvError } from "../../../base/error.ts"
import type { RdvError } from "../../../base/error.ts"
import type { ChunkName } from "../paths/chunk-path.ts"
import type { ChunkMemory } from "./chunk-memory.ts"
import type { Way } from "./have-batch.ts"
import { shortVersion } from "./local-version.ts"
import type { LocalVersion } from "./local-version.ts"

/** Where chunks come from: one path, or the multicast. */
export interface ChunkSource {
  /** `relay`, a member, or `cast`. */
  readonly from: string
  readonly way: Way
  /** It gave something false: it is used no more, or made anew. */
  readonly reject: () => void
}

export interface IntakeEvents {
  /** It is kept. */
  stored(chunk: number, bytes: number, source: ChunkSource): void
  /** It came a second time; nothing was done with it. */
  duplicate(chunk: number, bytes: number, source: ChunkSource): void
  /** What came is not the chunk. */
  corrupt(chunk: number, source: ChunkSource): void
  /** There was no memory for it. */
  skipped(chunk: number, source: ChunkSource): void
  /** It is right, and could not be kept. */
  unstored(chunk: number, error: RdvError): void
  /** How many bytes wait for the disk. */
  backlog(bytes: number): void
}

export class Intake {
  readonly #events: IntakeEvents
  readonly #memory: ChunkMemory
  #version: LocalVersion | undefined
  #number = 0
  /** On their way to the disk. */
  readonly #storing = new Set<number>()
  #storingBytes = 0
  #idle: (() => void)[] = []

  constructor(events: IntakeEvents, memory: ChunkMemory) {
    this.#events = events
    this.#memory = memory
  }

  /** Undefined: nothing is wanted. What is on its way to the disk still belongs to the version before. */
  set version(version: LocalVersion | undefined) {
    if (version?.number !== this.#version?.number) this.#memory.forget()
    this.#version = version
    this.#number = version === undefined ? -1 : shortVersion(version.number)
    this.#storing.clear()
  }

  get memoryBytes(): number {
    return this.#memory.taken
  }

  /** Chunks whose bytes are here and that are not stored. */
  isStoring(chunk: number): boolean {
    return this.#storing.has(chunk)
  }

  source(facts: ChunkSource): Inflow {
    return new Inflow(facts, this)
  }

  /** Settles when nothing is on its way to the disk. */
  async idle(): Promise<void> {
    if (this.#storingBytes > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
  }

  /** For `Inflow`. */
  room(name: ChunkName, length: number, source: ChunkSource): Uint8Array | undefined {
    const version = this.#version
    if (version === undefined || name.version !== this.#number || name.chunk >= version.table.count) return undefined
    const { chunk } = name
    if (version.table.lengthOf(chunk) !== length) {
      this.#events.corrupt(chunk, source)
      return undefined
    }
    if (version.holdings.have.has(chunk) || this.#storing.has(chunk)) {
      this.#events.duplicate(chunk, length, source)
      return undefined
    }
    const memory = version.accepts(chunk) ? this.#memory.take(length) : undefined
    if (memory === undefined) this.#events.skipped(chunk, source)
    return memory
  }

  /** For `Inflow`. */
  free(memory: Uint8Array): void {
    this.#memory.give(memory)
  }

  /** For `Inflow`. */
  chunk(name: ChunkName, sealed: Uint8Array, source: ChunkSource): void {
    const version = this.#version
    const { chunk } = name
    if (version === undefined || name.version !== this.#number) {
      this.#memory.give(sealed)
      return
    }
    // The same chunk may have come another way since its first byte did.
    if (version.holdings.have.has(chunk) || this.#storing.has(chunk)) {
      this.#memory.give(sealed)
      this.#events.duplicate(chunk, sealed.length, source)
      return
    }
    if (!version.table.matches(chunk, sealed)) {
      this.#memory.give(sealed)
      this.#events.corrupt(chunk, source)
      return
    }
    this.#store(version, chunk, sealed, source)
  }

  #store(version: LocalVersion, chunk: number, sealed: Uint8Array, source: ChunkSource): void {
    let stored: void | Promise<void>
    try {
      stored = version.holdings.store(chunk, sealed)
    } catch (error) {
      this.#memory.give(sealed)
      this.#events.unstored(chunk, asRdvError(error))
      return
    }
    if (stored === undefined) {
      const bytes = sealed.length
      this.#memory.give(sealed, chunk)
      this.#events.stored(chunk, bytes, source)
      return
    }
    this.#storing.add(chunk)
    this.#count(sealed.length)
    stored.then(
      () => this.#settle(version, chunk, sealed, source, undefined),
      (error: unknown) => this.#settle(version, chunk, sealed, source, asRdvError(error)),
    )
  }

  #settle(
    version: LocalVersion,
    chunk: number,
    sealed: Uint8Array,
    source: ChunkSource,
    error: RdvError | undefined,
  ): void {
    const isCurrent = this.#version === version
    if (isCurrent) this.#storing.delete(chunk)
    this.#memory.give(sealed, isCurrent && error === undefined ? chunk : undefined)
    this.#count(-sealed.length)
    if (!isCurrent) return
    if (error === undefined) this.#events.stored(chunk, sealed.length, source)
    else this.#events.unstored(chunk, error)
  }

  #count(bytes: number): void {
    this.#storingBytes += bytes
    this.#events.backlog(this.#storingBytes)
    if (this.#storingBytes > 0) return
    const idle = this.#idle
    this.#idle = []
    for (const resolve of idle) resolve()
  }
}

/** One source's part of the intake: it knows which memory has to come back when the source is gone. */
export class Inflow {
  readonly #source: ChunkSource
  readonly #intake: Intake
  readonly #open = new Map<number, Uint8Array>()

  constructor(source: ChunkSource, intake: Intake) {
    this.#source = source
    this.#intake = intake
  }

  room(name: ChunkName, length: number): Uint8Array | undefined {
    const key = keyOf(name)
    // Twice at once over one path: the first one counts.
    if (this.#open.has(key)) return undefined
    const memory = this.#intake.room(name, length, this.#source)
    if (memory !== undefined) this.#open.set(key, memory)
    return memory
  }

  chunk(name: ChunkName, sealed: Uint8Array): void {
    const key = keyOf(name)
    if (this.#open.delete(key)) this.#intake.chunk(name, sealed, this.#source)
  }

  /** It will not be completed. */
  lost(name: ChunkName): void {
    const key = keyOf(name)
    const memory = this.#open.get(key)
    if (memory === undefined) return
    this.#open.delete(key)
    this.#intake.free(memory)
  }

  /** Whether its bytes are coming. */
  isComing(name: ChunkName): boolean {
    return this.#open.has(keyOf(name))
  }

  /** The source is gone, and writes no more. */
  close(): void {
    for (const memory of this.#open.values()) this.#intake.free(memory)
    this.#open.clear()
  }
}

function keyOf({ version, chunk }: ChunkName): number {
  return shortVersion(version) * 2 ** 32 + chunk
}
