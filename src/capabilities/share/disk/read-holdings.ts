/** Chunks that are read from files when somebody wants them, checked against the manifest, and sealed anew. */

import { RdvError } from "../../../base/error.ts"
import { Bitmap } from "../content/bitmap.ts"
import { largestChunk } from "../content/chunk-crypto.ts"
import type { ChunkCrypto, Soon } from "../content/chunk-crypto.ts"
import type { ChunkTable } from "../content/chunk-table.ts"
import type { Manifest, Piece } from "../content/manifest.ts"
import type { ByteCache } from "./byte-cache.ts"
import type { FileSet } from "./file-set.ts"
import { PieceMap } from "./piece-map.ts"

export interface ReadHoldingsParts {
  readonly table: ChunkTable
  readonly manifest: Manifest
  readonly crypto: ChunkCrypto
  readonly files: FileSet
  /** Sealed chunks; they count from the first one of the content. */
  readonly cache: ByteCache
  /** The first chunks of the table, where they can be given. */
  readonly sealedManifest?: readonly Uint8Array[]
}

export class ReadHoldings {
  readonly table: ChunkTable
  readonly manifest: Manifest
  readonly have: Bitmap
  protected readonly places: PieceMap
  readonly #parts: ReadHoldingsParts
  /** For bytes on their way to be sealed. */
  #scratch: Buffer | undefined
  #isReleased = false

  /** Throws `protocol` when manifest and table do not belong together. */
  constructor(parts: ReadHoldingsParts) {
    this.#parts = parts
    this.table = parts.table
    this.manifest = parts.manifest
    this.have = new Bitmap(parts.table.count)
    this.places = new PieceMap(parts.manifest, parts.table)
  }

  read(chunk: number, into?: Uint8Array): Soon<Uint8Array> {
    const { cache, table } = this.#parts
    if (!this.have.has(chunk)) return Promise.reject(new RdvError("not_found", `Chunk ${chunk} is not here`))
    if (chunk < table.manifestChunks) return this.#readManifest(chunk)
    const kept = cache.get(chunk - table.manifestChunks)
    if (kept !== undefined) return kept
    if (this.#isReleased) return Promise.reject(new RdvError("closed", "The content is closed"))
    return this.#readContent(chunk, into)
  }

  /** Lets go of files and memory; nothing can be read any more. */
  protected release(): void {
    this.#isReleased = true
    this.#parts.cache.clear()
    this.#parts.files.close()
  }

  #readManifest(chunk: number): Soon<Uint8Array> {
    const sealed = this.#parts.sealedManifest?.[chunk]
    return sealed ?? Promise.reject(new RdvError("not_found", "The manifest's chunks are kept elsewhere"))
  }

  #readContent(chunk: number, into: Uint8Array | undefined): Soon<Uint8Array> {
    const { files } = this.#parts
    const piece = this.places.firstOf(chunk)
    const { length } = this.manifest.pieces[piece] as Piece
    const memory = this.#scratch ?? Buffer.allocUnsafeSlow(largestChunk)
    this.#scratch = undefined
    const plain = memory.subarray(0, length)
    try {
      const reading = files.read(this.places.starts[piece] as number, plain)
      if (reading instanceof Promise) {
        return reading.then(
          () => this.#seal(chunk, plain, memory, into),
          (error: unknown) => this.#fail(chunk, error),
        )
      }
    } catch (error) {
      return this.#fail(chunk, error)
    }
    return this.#seal(chunk, plain, memory, into)
  }

  #seal(chunk: number, plain: Buffer, memory: Buffer, into: Uint8Array | undefined): Soon<Uint8Array> {
    const identity = this.places.identityOf(chunk)
    if (Buffer.compare(this.#parts.crypto.identify(plain), identity) !== 0) return this.#fail(chunk, undefined)
    const sealed = this.#sealKnown(chunk, plain, into)
    // Sealed later, its bytes are still being read.
    if (!(sealed instanceof Promise)) this.#scratch = memory
    return sealed
  }

  #sealKnown(chunk: number, plain: Uint8Array, into: Uint8Array | undefined): Soon<Uint8Array> {
    const { crypto, cache, table } = this.#parts
    if (into !== undefined && crypto.sealInto !== undefined) {
      crypto.sealInto(plain, this.places.identityOf(chunk), into)
      return into
    }
    const sealed = crypto.seal(plain, this.places.identityOf(chunk))
    if (!(sealed instanceof Promise)) cache.put(chunk - table.manifestChunks, sealed)
    return sealed
  }

  #fail(chunk: number, error: unknown): Promise<never> {
    // Too many open files pass; all else means that the bytes are not there any more.
    if (error instanceof RdvError && error.code === "limit") return Promise.reject(error)
    this.have.remove(chunk)
    const text = error instanceof RdvError ? error.message : "A file has changed since it was looked at"
    return Promise.reject(new RdvError("corrupt", text, { cause: error }))
  }
}
