/**
 * Cuts a run of files into pieces. Holes are skipped without being read, and what an earlier version has cut out of files
 * that are as they were is taken from there.
 */

import type { Chunker } from "../content/chunker.ts"
import { Breath } from "./breath.ts"
import type { FileSet } from "./file-set.ts"
import type { PieceList } from "./piece-list.ts"
import type { KnownPieces } from "./known-pieces.ts"
import type { ScannedFile } from "./tree-scan.ts"
import { WindowReader } from "./window-reader.ts"
import { ZeroRuns } from "./zero-runs.ts"

export interface CutOptions {
  readonly files: FileSet
  /** What stands behind `files`, in their order. */
  readonly scanned: readonly ScannedFile[]
  readonly chunker: Chunker
  /** Bytes of a piece where all have one size, else 1. */
  readonly unitBytes: number
  readonly pieces: PieceList
  readonly known?: KnownPieces
  readonly signal?: AbortSignal
  readonly onProgress?: (bytes: number, total: number) => void
}

/** Fewer zeros are not worth a piece of their own where the content says where pieces end. */
const leastHole = 262_144

/** Rejects what the disk says, `corrupt` when a file has become shorter. */
export async function cutFiles(options: CutOptions): Promise<void> {
  const holes = new ZeroRuns()
  const reader = new WindowReader(options.files, options.unitBytes)
  try {
    await new Cutting(options, reader, holes).run()
  } finally {
    holes.close()
    await reader.close()
  }
}

class Cutting {
  readonly #options: CutOptions
  readonly #reader: WindowReader
  readonly #holes: ZeroRuns
  readonly #total: number
  /** All before it are in pieces, or held by the chunker. */
  #at = 0
  #heldBytes = 0

  constructor(options: CutOptions, reader: WindowReader, holes: ZeroRuns) {
    this.#options = options
    this.#reader = reader
    this.#holes = holes
    this.#total = options.files.totalBytes
  }

  async run(): Promise<void> {
    const { signal, onProgress } = this.#options
    const breath = new Breath()
    onProgress?.(0, this.#total)
    while (this.#at < this.#total) {
      if (breath.isDue) await breath.take()
      signal?.throwIfAborted()
      if (!this.#takeKnown() && !(await this.#skipHole())) await this.#cutWindow()
      onProgress?.(this.#at, this.#total)
    }
    await this.#flush()
  }

  #takeKnown(): boolean {
    const { known, pieces } = this.#options
    if (known === undefined || this.#heldBytes > 0) return false
    let { piece, length } = known.at(this.#at) ?? {}
    if (piece === undefined || length === undefined) return false
    // Many at once, so that a version of unchanged files takes no time.
    for (let more = 0; piece !== undefined && length !== undefined && more < 4096; more++) {
      if (piece.chunk === "zeros") pieces.addZeros(length)
      else pieces.addKnown(piece, known.factsOf(piece.chunk))
      this.#at += length
      ;({ piece, length } = known.at(this.#at) ?? {})
    }
    return true
  }

  async #skipHole(): Promise<boolean> {
    const { files, scanned, unitBytes, pieces } = this.#options
    let zeros = 0
    // A hole may go on in the next file.
    while (this.#at + zeros < this.#total) {
      const at = this.#at + zeros
      const index = files.fileAt(at)
      const file = scanned[index] as ScannedFile
      if (!file.isSparse) break
      const more = await this.#holes.zerosFrom(index, file.path, at - (files.starts[index] as number), file.size)
      zeros += more
      if (at + more < (files.starts[index + 1] as number)) break
    }
    if (this.#at + zeros < this.#total) zeros -= zeros % unitBytes
    if (zeros < Math.max(unitBytes, Math.min(leastHole, this.#total))) return false
    await this.#flush()
    pieces.addZeros(zeros)
    this.#at += zeros
    return true
  }

  async #cutWindow(): Promise<void> {
    const { chunker, pieces, known } = this.#options
    const bytes = await this.#reader.read(this.#at, known === undefined && !this.#isSparseHere())
    this.#heldBytes += bytes.length
    this.#at += bytes.length
    for (const piece of chunker.push(bytes)) {
      const pending = pieces.add(piece)
      if (pending !== undefined) await pending
      this.#heldBytes -= piece.length
      if (known?.at(this.#at - this.#heldBytes) === undefined) continue
      // From here on it is cut already: what the chunker holds is forgotten.
      chunker.end()
      this.#at -= this.#heldBytes
      this.#heldBytes = 0
      return
    }
  }

  #isSparseHere(): boolean {
    const { files, scanned } = this.#options
    return (scanned[files.fileAt(this.#at)] as ScannedFile).isSparse
  }

  /** The piece that was begun ends here. */
  async #flush(): Promise<void> {
    const last = this.#options.chunker.end()
    if (last !== undefined) await this.#options.pieces.add(last)
    this.#heldBytes = 0
  }
}
