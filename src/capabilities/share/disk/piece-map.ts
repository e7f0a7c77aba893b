/** Where the bytes of each chunk belong. A chunk may stand at several places, and a piece may lie across several files. */

import type { ChunkTable } from "../content/chunk-table.ts"
import type { FileEntry, Manifest, Piece } from "../content/manifest.ts"
import { checkManifest, checkShape } from "../content/manifest-rules.ts"

export class PieceMap {
  readonly manifest: Manifest
  /** The entries that have bytes, in their order. */
  readonly files: readonly FileEntry[]
  /** Where each piece begins in the run of all files, and the end. */
  readonly starts: Float64Array
  readonly totalBytes: number
  /** By chunk: its first piece, or -1 for those of the manifest. */
  readonly #first: Int32Array
  /** By piece: the next one of the same chunk, or -1. */
  readonly #next: Int32Array

  /** Throws `protocol` when manifest and table do not belong together. */
  constructor(manifest: Manifest, table: ChunkTable) {
    checkShape(manifest)
    checkManifest(manifest, table)
    const { pieces } = manifest
    this.manifest = manifest
    this.files = manifest.entries.filter((entry) => entry.type === "file")
    this.starts = new Float64Array(pieces.length + 1)
    this.#first = new Int32Array(table.count).fill(-1)
    this.#next = new Int32Array(pieces.length).fill(-1)
    for (let piece = pieces.length - 1; piece >= 0; piece--) {
      const { chunk } = pieces[piece] as Piece
      if (chunk === "zeros") continue
      this.#next[piece] = this.#first[chunk] as number
      this.#first[chunk] = piece
    }
    let at = 0
    for (const [piece, { length }] of pieces.entries()) this.starts[piece + 1] = at += length
    this.totalBytes = at
  }

  /** The first piece that a chunk stands for; -1 for chunks of the manifest. */
  firstOf(chunk: number): number {
    return this.#first[chunk] ?? -1
  }

  /** The next piece of the same chunk; -1 behind the last one. */
  nextOf(piece: number): number {
    return this.#next[piece] as number
  }

  identityOf(chunk: number): Uint8Array {
    return (this.manifest.pieces[this.firstOf(chunk)] as Piece).identity
  }

  lengthOf(chunk: number): number {
    return (this.manifest.pieces[this.firstOf(chunk)] as Piece).length
  }

  /** The piece that has the byte at `offset`, which lies before the end. */
  pieceAt(offset: number): number {
    let low = 0
    let high = this.starts.length - 2
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((this.starts[middle] as number) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
}
