/** The pieces of a version while it is cut: each chunk is named, sealed and hashed once, however often it comes. */

import { latin1Decode } from "../../../base/text.ts"
import type { ChunkCrypto } from "../content/chunk-crypto.ts"
import { ChunkTable } from "../content/chunk-table.ts"
import type { ChunkFacts } from "../content/chunk-table.ts"
import { isZeros } from "../content/chunker.ts"
import type { Entry, Manifest, Piece } from "../content/manifest.ts"
import { sealManifest } from "../content/sealed-manifest.ts"
import type { ByteCache } from "./byte-cache.ts"

export interface Version {
  readonly table: ChunkTable
  readonly manifest: Manifest
  /** The first chunks of the table. */
  readonly sealedManifest: readonly Uint8Array[]
}

export class PieceList {
  readonly #crypto: ChunkCrypto
  readonly #sealed: ByteCache
  /** Chunks count from 0 here: how many those of the manifest are is known at the end. */
  readonly #pieces: Piece[] = []
  readonly #chunks: ChunkFacts[] = []
  readonly #firstPiece: number[] = []
  readonly #byIdentity = new Map<string, number>()

  /** As many of the first sealed chunks as `sealed` has room for are kept there, counted from 0. */
  constructor(crypto: ChunkCrypto, sealed: ByteCache) {
    this.#crypto = crypto
    this.#sealed = sealed
  }

  /** The bytes are free again when it is done. Returns nothing when it was done at once. */
  add(plain: Uint8Array): Promise<void> | undefined {
    if (isZeros(plain)) {
      this.addZeros(plain.length)
      return undefined
    }
    const identity = this.#crypto.identify(plain)
    const key = latin1Decode(identity)
    const known = this.#byIdentity.get(key)
    if (known !== undefined) {
      this.#pieces.push({ ...(this.#pieces[this.#firstPiece[known] as number] as Piece) })
      return undefined
    }
    const chunk = this.#begin(key, plain.length, identity)
    const sealed = this.#crypto.seal(plain, identity)
    if (!(sealed instanceof Promise)) {
      this.#keep(chunk, sealed)
      return undefined
    }
    return sealed.then((bytes) => this.#keep(chunk, bytes))
  }

  addZeros(length: number): void {
    const last = this.#pieces.at(-1)
    if (last?.chunk === "zeros") this.#pieces.pop()
    const before = last?.chunk === "zeros" ? last.length : 0
    this.#pieces.push({ chunk: "zeros", length: before + length, identity: noIdentity })
  }

  /** A piece of an earlier version, with what its table says of it. */
  addKnown({ length, identity }: Piece, facts: ChunkFacts): void {
    const key = latin1Decode(identity)
    const known = this.#byIdentity.get(key)
    if (known === undefined) this.#chunks[this.#begin(key, length, identity)] = facts
    else this.#pieces.push({ chunk: known, length, identity })
  }

  /** Names the version and seals its manifest. */
  async end(name: string, entries: readonly Entry[], version: number): Promise<Version> {
    // The numbers of chunks take more bytes behind a longer manifest, which may make it longer still.
    for (let manifestChunks = 1; ;) {
      const pieces = this.#pieces.map((piece) =>
        piece.chunk === "zeros" ? piece : { ...piece, chunk: piece.chunk + manifestChunks },
      )
      const manifest = { name, entries, pieces }
      const sealedManifest = await sealManifest(manifest, this.#crypto)
      if (sealedManifest.length > manifestChunks) {
        manifestChunks = sealedManifest.length
        continue
      }
      const chunks = sealedManifest.map((sealed) => ({ length: sealed.length, hash: this.#crypto.hash(sealed) }))
      const table = ChunkTable.build({
        version,
        hash: this.#crypto,
        manifestChunks: sealedManifest.length,
        chunks: [...chunks, ...this.#chunks],
      })
      return { table, manifest, sealedManifest }
    }
  }

  #begin(key: string, length: number, identity: Uint8Array): number {
    const chunk = this.#firstPiece.length
    this.#byIdentity.set(key, chunk)
    this.#firstPiece.push(this.#pieces.length)
    this.#pieces.push({ chunk, length, identity })
    return chunk
  }

  #keep(chunk: number, sealed: Uint8Array): void {
    this.#chunks[chunk] = { length: sealed.length, hash: this.#crypto.hash(sealed) }
    if (this.#sealed.hasRoom(sealed.length)) this.#sealed.put(chunk, sealed)
  }
}

const noIdentity = new Uint8Array(0)
