/**
 * Content that stays where it is: files and folders of this machine. Its chunks are read and sealed again whenever somebody
 * wants one, so that sharing a file costs no second copy of it.
 */

import * as fs from "node:fs"
import { RdvError } from "../../../base/error.ts"
import { chunkBoundsFor, chunkSizeFor } from "../content/chunk-size.ts"
import type { ChunkBounds } from "../content/chunk-size.ts"
import { contentChunker, fixedChunker } from "../content/chunker.ts"
import type { ChunkCrypto } from "../content/chunk-crypto.ts"
import type { Content } from "../content/content.ts"
import { ByteCache } from "./byte-cache.ts"
import { cutFiles } from "./cut-files.ts"
import { diskError } from "./disk-error.ts"
import { shownPath } from "./disk-path.ts"
import { FileSet } from "./file-set.ts"
import { KnownPieces } from "./known-pieces.ts"
import type { CutVersion } from "./known-pieces.ts"
import { PieceList } from "./piece-list.ts"
import { ReadHoldings } from "./read-holdings.ts"
import type { ReadHoldingsParts } from "./read-holdings.ts"
import { openScanned, scanTree } from "./tree-scan.ts"
import type { Scan, ScannedFile } from "./tree-scan.ts"

export type Chunking = "fixed" | "content-defined"

export interface CutSettings {
  readonly crypto: ChunkCrypto
  /** Default `fixed`. */
  readonly chunking?: Chunking
  /** Of a piece, or the average where the content delimits them. Default: by the size of the whole. */
  readonly chunkBytes?: number
  /** 1 and up. Default: the one behind `previous`, or 1. */
  readonly version?: number
  /** Memory for sealed chunks, bytes. Default 16 MiB. */
  readonly cacheBytes?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (bytes: number, total: number) => void
}

export interface FileContentOptions extends CutSettings {
  /** Files and folders; several of them become entries of one folder. */
  readonly paths: readonly string[]
  readonly name?: string
  /** What may not be read is left out; without it, it is refused. */
  readonly skipUnreadable?: boolean
  /** An earlier version of the same paths: files that have not changed since are not read again. */
  readonly previous?: FileContent
  /** What is there, when somebody has just looked. */
  readonly scan?: Scan
}

export interface FileContent extends Content {
  readonly scan: Scan
  /** When the look at the files began, ms since 1970. */
  readonly scannedAt: number
  /** What is not shared and why, for people. */
  readonly remarks: readonly string[]
  /** Bytes of the files. */
  readonly totalBytes: number
  /** How its pieces were cut; the next version has to be cut alike. */
  readonly bounds: ChunkBounds
}

/**
 * Rejects `not_found`, `forbidden`, `usage`, `too_large`, and `corrupt` when a file changed while it was read: the text names it.
 */
export async function fileContent(options: FileContentOptions): Promise<FileContent> {
  const scannedAt = Date.now()
  const scan = options.scan ?? (await scanTree(options))
  return cutContent(options, { scan, scannedAt, open: openScanned, check: checkUnchanged })
}

interface Source {
  readonly scan: Scan
  readonly scannedAt: number
  /** Returns a descriptor. */
  open(file: ScannedFile): number
  /** Throws when it is not what was scanned any more. */
  check(file: ScannedFile): void
}

/** For content whose files are found in another way than by their names. */
export async function cutContent(
  options: CutSettings & { readonly previous?: FileContent },
  source: Source,
): Promise<FileContent> {
  const { crypto, chunking = "fixed", previous, signal, onProgress } = options
  const { scan } = source
  const files = new FileSet({
    sizes: scan.files.map((file) => file.size),
    pathOf: (file) => (scan.files[file] as ScannedFile).path,
    open: (file) => source.open(scan.files[file] as ScannedFile),
  })
  const bounds = boundsOf(options, files.totalBytes)
  const cache = new ByteCache(options.cacheBytes ?? 16 * 1024 * 1024)
  const pieces = new PieceList(crypto, cache)
  const known = previous instanceof HeldContent ? previous.knownFor(files, scan.files, bounds) : undefined
  try {
    await cutFiles({
      files,
      scanned: scan.files,
      chunker: chunking === "fixed" ? fixedChunker(bounds.max) : contentChunker(bounds, crypto),
      unitBytes: chunking === "fixed" ? bounds.max : 1,
      pieces,
      ...(known === undefined ? {} : { known }),
      ...(signal === undefined ? {} : { signal }),
      ...(onProgress === undefined ? {} : { onProgress }),
    })
    for (const file of scan.files) source.check(file)
    const version = options.version ?? (previous === undefined ? 1 : previous.table.version + 1)
    const cut = await pieces.end(scan.name, scan.entries, version)
    return new HeldContent({ ...cut, scan, scannedAt: source.scannedAt, bounds, files, crypto, cache })
  } catch (error) {
    try {
      // A file that shrank under the reader says so in words of its own; which one changed is the better answer.
      if (error instanceof RdvError && error.code === "corrupt") for (const file of scan.files) source.check(file)
    } finally {
      files.close()
    }
    throw error
  }
}

interface HeldParts extends ReadHoldingsParts {
  readonly scan: Scan
  readonly scannedAt: number
  readonly bounds: ChunkBounds
}

class HeldContent extends ReadHoldings implements FileContent {
  readonly scan: Scan
  readonly scannedAt: number
  readonly bounds: ChunkBounds
  readonly #files: FileSet

  constructor(parts: HeldParts) {
    super(parts)
    this.scan = parts.scan
    this.scannedAt = parts.scannedAt
    this.bounds = parts.bounds
    this.#files = parts.files
    this.have.fill()
  }

  get remarks(): readonly string[] {
    return this.scan.remarks
  }

  get totalBytes(): number {
    return this.#files.totalBytes
  }

  /** Its pieces, for a next version that is cut alike. */
  knownFor(next: FileSet, scanned: readonly ScannedFile[], bounds: ChunkBounds): KnownPieces | undefined {
    if (bounds.min !== this.bounds.min || bounds.max !== this.bounds.max) return undefined
    const { table, manifest, scannedAt } = this
    const old: CutVersion = { table, manifest, files: this.#files, scanned: this.scan.files, scannedAt }
    return new KnownPieces(old, next, scanned)
  }

  store(): Promise<void> {
    return Promise.reject(new RdvError("internal", "A sender was given a chunk of its own content"))
  }

  async close(): Promise<void> {
    this.release()
  }
}

function boundsOf(options: CutSettings & { readonly previous?: FileContent }, totalBytes: number): ChunkBounds {
  const { chunking = "fixed", chunkBytes, previous } = options
  if (chunkBytes === undefined && previous !== undefined) {
    const isFixed = previous.bounds.min === previous.bounds.max
    if (isFixed === (chunking === "fixed")) return previous.bounds
  }
  if (chunking === "content-defined") {
    return chunkBytes === undefined
      ? chunkBoundsFor(totalBytes)
      : { min: chunkBytes >> 2, average: chunkBytes, max: chunkBytes * 4 }
  }
  const size = chunkBytes ?? chunkSizeFor(totalBytes)
  return { min: size, average: size, max: size }
}

function checkUnchanged(file: ScannedFile): void {
  let stat: fs.Stats
  try {
    stat = fs.lstatSync(file.path)
  } catch (error) {
    throw diskError(error, file.path)
  }
  if (stat.size === file.size && stat.mtimeMs === file.mtimeMs && stat.ino === file.inode) return
  throw new RdvError("corrupt", `The file changed while it was read: ${shownPath(file.path)}`, {
    mend: "share it when nothing writes to it, or share a copy",
  })
}
