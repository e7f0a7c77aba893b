/**
 * The pieces of an earlier version that lie in files which have not changed since, by where they lie in the next one. Nobody
 * reads these files again.
 */

import type { ChunkFacts, ChunkTable } from "../content/chunk-table.ts"
import type { Manifest, Piece } from "../content/manifest.ts"
import type { FileSet } from "./file-set.ts"
import type { ScannedFile } from "./tree-scan.ts"

export interface CutVersion {
  readonly table: ChunkTable
  readonly manifest: Manifest
  readonly files: FileSet
  readonly scanned: readonly ScannedFile[]
  /** When the look at the files began, ms since 1970. */
  readonly scannedAt: number
}

/** A file that was written so short a time before it was looked at may have changed without another time. */
const tickMs = 2_000

export class KnownPieces {
  readonly #old: CutVersion
  readonly #next: FileSet
  /** By file of the next version: the same file in the old one, or -1. */
  readonly #same: Int32Array
  readonly #starts: Float64Array
  #cursor = 0

  constructor(old: CutVersion, next: FileSet, scanned: readonly ScannedFile[]) {
    this.#old = old
    this.#next = next
    const byPlace = new Map(old.scanned.map((file, index) => [keyOf(file), index]))
    this.#same = Int32Array.from(scanned, (file) => {
      const index = byPlace.get(keyOf(file))
      return index !== undefined && file.mtimeMs < old.scannedAt - tickMs ? index : -1
    })
    const { pieces } = old.manifest
    this.#starts = new Float64Array(pieces.length + 1)
    let at = 0
    for (const [piece, { length }] of pieces.entries()) this.#starts[piece + 1] = at += length
  }

  /** The old piece whose bytes stand at this place of the next version, if one begins here. */
  at(offset: number): { piece: Piece; length: number } | undefined {
    const { files } = this.#old
    if (offset >= this.#next.totalBytes) return undefined
    let file = this.#next.fileAt(offset)
    const old = this.#same[file] as number
    if (old < 0) return undefined
    const begin = (files.starts[old] as number) + offset - (this.#next.starts[file] as number)
    const index = this.#pieceFrom(begin)
    const piece = this.#old.manifest.pieces[index]
    if (piece === undefined) return undefined
    // Zeros may begin before; of them every part is as good as the whole.
    const start = this.#starts[index] as number
    if (start !== begin && piece.chunk !== "zeros") return undefined
    const end = this.#starts[index + 1] as number
    const shift = offset - begin
    // All files up to its end have to be the same, one behind the other.
    while ((this.#next.starts[file + 1] as number) < end + shift) {
      const other = this.#same[file + 1] ?? -1
      if (other < 0 || (files.starts[other] as number) + shift !== this.#next.starts[file + 1]) break
      file++
    }
    const common = Math.min(end, (this.#next.starts[file + 1] as number) - shift)
    if (piece.chunk === "zeros") return common > begin ? { piece, length: common - begin } : undefined
    return common === end ? { piece, length: piece.length } : undefined
  }

  factsOf(chunk: number): ChunkFacts {
    const { table } = this.#old
    return { length: table.lengthOf(chunk), hash: table.hashOf(chunk) }
  }

  /** The piece that has the byte at `offset`. */
  #pieceFrom(offset: number): number {
    const starts = this.#starts
    // As a rule it is the next one.
    const next = this.#cursor + 1
    if (starts[next] === offset && next < starts.length - 1) return (this.#cursor = next)
    let low = 0
    let high = starts.length - 2
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] as number) <= offset) low = middle
      else high = middle - 1
    }
    return (this.#cursor = low)
  }
}

function keyOf(file: ScannedFile): string {
  return `${file.device}:${file.inode}:${file.size}:${file.mtimeMs}`
}
