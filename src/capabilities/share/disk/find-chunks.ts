/**
 * Finds chunks of a version among what is on the disk already: an older version, or a part of one. What is there need not be
 * fetched. Nothing is believed: a chunk is found when its bytes have its identity.
 */

import * as fs from "node:fs"
import { latin1Decode } from "../../../base/text.ts"
import type { Bitmap } from "../content/bitmap.ts"
import type { ChunkBounds } from "../content/chunk-size.ts"
import { contentChunker, isZeros } from "../content/chunker.ts"
import { largestChunk } from "../content/chunk-crypto.ts"
import type { ChunkCrypto, Soon } from "../content/chunk-crypto.ts"
import type { Entry, FileEntry, Piece } from "../content/manifest.ts"
import { isFileAlone } from "../content/manifest-rules.ts"
import { Breath } from "./breath.ts"
import type { DiskPath } from "./disk-path.ts"
import type { FileSet } from "./file-set.ts"
import { PartFiles } from "./part-files.ts"
import type { PieceMap } from "./piece-map.ts"
import { scanAt, scannedFiles } from "./tree-scan.ts"
import type { Scan, ScannedFile } from "./tree-scan.ts"
import { WindowReader } from "./window-reader.ts"
import { ZeroRuns } from "./zero-runs.ts"

export interface Search {
  readonly places: PieceMap
  readonly crypto: ChunkCrypto
  /** Chunks that are here already are not looked for. */
  readonly have: Bitmap
  readonly signal?: AbortSignal | undefined
  /** Keeps what was found, and adds it to `have`. The bytes are free again when it is done. */
  put(chunk: number, plain: Uint8Array): Soon<void>
}

/** Files and links under a path, as a manifest would have them; undefined when there is nothing, or something else. */
export async function lookAt(root: DiskPath, signal?: AbortSignal): Promise<Scan | undefined> {
  const stat = fs.lstatSync(root, { throwIfNoEntry: false })
  return stat?.isFile() || stat?.isDirectory() ? scanAt(root, signal) : undefined
}

/** True when these are the very entries of the version, contents, modes and times aside. */
export function hasSameShape(scan: Scan, places: PieceMap): boolean {
  // Of the folder itself there is nothing to compare.
  const [there, entries] = [scan.entries, places.manifest.entries].map((all) =>
    all.filter(({ type, path }) => type !== "folder" || path !== ""),
  ) as [Entry[], Entry[]]
  const [isFile, shallBeFile] = [scan.entries, places.manifest.entries].map(isFileAlone)
  return (
    scan.remarks.length === 0 &&
    isFile === shallBeFile &&
    there.length === entries.length &&
    there.every((entry, index) => {
      const other = entries[index]
      if (other === undefined || entry.type !== other.type || entry.path !== other.path) return false
      if (entry.type === "file") return entry.size === (other as FileEntry).size
      return entry.type !== "symlink" || (other.type === "symlink" && entry.target === other.target)
    })
  )
}

/** True when all bytes of the version stand below `root` where they belong. `scan` has its shape. */
export async function hasSameBytes(
  root: DiskPath,
  scan: Scan,
  places: PieceMap,
  crypto: ChunkCrypto,
  signal?: AbortSignal,
): Promise<boolean> {
  const files = new PartFiles(root, places.files, true).set
  const holes = new ZeroRuns()
  const breath = new Breath(signal)
  const memory = Buffer.allocUnsafeSlow(largestChunk)
  try {
    for (const [index, piece] of places.manifest.pieces.entries()) {
      if (breath.isDue) await breath.take()
      const start = places.starts[index] as number
      if (piece.chunk === "zeros") {
        if (!(await areZeros(files, scan.files, holes, start, piece.length, memory))) return false
      } else {
        const bytes = memory.subarray(0, piece.length)
        await files.readLater(start, bytes)
        if (Buffer.compare(crypto.identify(bytes), piece.identity) !== 0) return false
      }
    }
    return true
  } catch {
    signal?.throwIfAborted()
    // What cannot be read is not the same.
    return false
  } finally {
    holes.close()
    files.close()
  }
}

/** Looks where the pieces of another version are, whose manifest is known. `has` says which of its chunks are there. */
export async function findByManifest(
  files: FileSet,
  places: PieceMap,
  has: (chunk: number) => boolean,
  search: Search,
): Promise<void> {
  const wanted = wantedOf(search)
  const breath = new Breath(search.signal)
  const memory = Buffer.allocUnsafeSlow(largestChunk)
  for (const [index, { chunk, length, identity }] of places.manifest.pieces.entries()) {
    if (chunk === "zeros" || !has(chunk)) continue
    const found = wanted.get(latin1Decode(identity))
    if (found === undefined || search.have.has(found)) continue
    if (breath.isDue) await breath.take()
    await tryPlace(files, places.starts[index] as number, memory.subarray(0, length), found, search)
  }
}

/** Looks where the chunks of the version would be if the files below `root` were these. */
export async function findByPlace(root: DiskPath, scan: Scan, search: Search): Promise<void> {
  const { places, have } = search
  const sizes = new Map(scan.files.map(({ entry, size }) => [entry.path, size]))
  const files = new PartFiles(root, places.files, true).set
  const breath = new Breath(search.signal)
  const memory = Buffer.allocUnsafeSlow(largestChunk)
  try {
    for (const [index, { chunk, length }] of places.manifest.pieces.entries()) {
      if (chunk === "zeros" || have.has(chunk)) continue
      if (breath.isDue) await breath.take()
      const start = places.starts[index] as number
      if (!coversFiles(start, length)) continue
      await tryPlace(files, start, memory.subarray(0, length), chunk, search)
    }
  } finally {
    files.close()
  }

  /** The old files are long enough to have these bytes. */
  function coversFiles(start: number, length: number): boolean {
    for (let file = files.fileAt(start); file < places.files.length; file++) {
      const begin = files.starts[file] as number
      if (begin >= start + length) return true
      const { path, size } = places.files[file] as FileEntry
      if (Math.min(size, start + length - begin) > (sizes.get(path) ?? -1)) return false
    }
    return true
  }
}

/** Cuts what is below `root` as the version was cut, if it was cut by content, and looks for its chunks wherever they are. */
export async function findByContent(scan: Scan, search: Search): Promise<void> {
  const bounds = boundsOf(search.places.manifest.pieces)
  const wanted = wantedOf(search)
  if (bounds === undefined || wanted.size === 0 || scan.files.length === 0) return
  const { crypto } = search
  const files = scannedFiles(scan.files)
  const chunker = contentChunker(bounds, crypto)
  const reader = new WindowReader(files, 1)
  const holes = new ZeroRuns()
  const breath = new Breath(search.signal)
  try {
    let at = 0
    while (at < files.totalBytes) {
      if (breath.isDue) await breath.take()
      const zeros = await zerosAt(files, scan.files, holes, at)
      if (zeros >= largestChunk) {
        await keep(chunker.end())
        at += zeros
        continue
      }
      // A file that changes meanwhile, or cannot be read, ends the search: what it has is fetched.
      const bytes = await reader.read(at, true).catch(() => undefined)
      if (bytes === undefined) return
      at += bytes.length
      for (const piece of chunker.push(bytes)) await keep(piece)
    }
    await keep(chunker.end())
  } finally {
    holes.close()
    await reader.close()
    files.close()
  }

  async function keep(piece: Uint8Array | undefined): Promise<void> {
    if (piece === undefined || isZeros(piece)) return
    const chunk = wanted.get(latin1Decode(crypto.identify(piece)))
    if (chunk !== undefined && !search.have.has(chunk)) await search.put(chunk, piece)
  }
}

async function tryPlace(files: FileSet, start: number, bytes: Buffer, chunk: number, search: Search): Promise<void> {
  try {
    await files.readLater(start, bytes)
  } catch {
    // It is shorter, or gone: then the chunk is fetched.
    return
  }
  if (Buffer.compare(search.crypto.identify(bytes), search.places.identityOf(chunk)) === 0)
    await search.put(chunk, bytes)
}

/** The chunks that are not here, by identity. */
function wantedOf({ places, have }: Search): Map<string, number> {
  const wanted = new Map<string, number>()
  for (const { chunk, identity } of places.manifest.pieces) {
    if (chunk !== "zeros" && !have.has(chunk)) wanted.set(latin1Decode(identity), chunk)
  }
  return wanted
}

async function areZeros(
  files: FileSet,
  scanned: readonly ScannedFile[],
  holes: ZeroRuns,
  start: number,
  length: number,
  memory: Buffer,
): Promise<boolean> {
  const end = start + length
  for (let at = start; at < end;) {
    const skipped = await zerosAt(files, scanned, holes, at)
    if (skipped > 0) {
      at += skipped
      continue
    }
    const bytes = memory.subarray(0, Math.min(memory.length, end - at))
    await files.readLater(at, bytes)
    if (!isZeros(bytes)) return false
    at += bytes.length
  }
  return true
}

/** Bytes of a hole from this place on; 0 where there is none. */
async function zerosAt(files: FileSet, scanned: readonly ScannedFile[], holes: ZeroRuns, at: number): Promise<number> {
  const index = files.fileAt(at)
  const file = scanned[index] as ScannedFile
  return file.isSparse ? holes.zerosFrom(index, file.path, at - (files.starts[index] as number), file.size) : 0
}

/** How a version was cut, told by what came of it; undefined when all pieces have one size. */
function boundsOf(pieces: readonly Piece[]): ChunkBounds | undefined {
  // The last piece, and one before zeros, end where they are told to.
  const lengths = pieces
    .filter(({ chunk }, index) => chunk !== "zeros" && typeof pieces[index + 1]?.chunk === "number")
    .map(({ length }) => length)
  if (lengths.every((length) => length === lengths[0])) return undefined
  let sum = 0
  let least = Infinity
  let most = 0
  for (const length of lengths) {
    sum += length
    least = Math.min(least, length)
    most = Math.max(most, length)
  }
  const mean = sum / lengths.length
  const distance = ({ average }: ChunkBounds) => Math.abs(Math.log(mean / average))
  return averages
    .map((average) => ({ min: average / 4, average, max: average * 4 }))
    .filter(({ min, max }) => min <= least && max >= most)
    .toSorted((a, b) => distance(a) - distance(b))[0]
}

/** Bytes; senders choose from these. */
const averages: readonly number[] = Array.from({ length: 7 }, (_, power) => 4096 * 2 ** power)
