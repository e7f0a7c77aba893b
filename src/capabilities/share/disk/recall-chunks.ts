/**
 * Which chunks of an interrupted run can be trusted. Its journal names them; when the part looks as the journal left it, a few
 * of them are looked at, else every one is read: after a crash of the machine the disk may have lost what was written last.
 */

import { largestChunk } from "../content/chunk-crypto.ts"
import type { ChunkCrypto } from "../content/chunk-crypto.ts"
import type { Bitmap } from "../content/bitmap.ts"
import { isZeros } from "../content/chunker.ts"
import { Breath } from "./breath.ts"
import type { DiskPath } from "./disk-path.ts"
import type { FileSet } from "./file-set.ts"
import type { JournalFacts } from "./journal.ts"
import type { FoundPart } from "./part-files.ts"
import type { PieceMap } from "./piece-map.ts"
import { ZeroRuns } from "./zero-runs.ts"

export interface RecallOptions {
  readonly places: PieceMap
  readonly crypto: ChunkCrypto
  readonly files: FileSet
  readonly pathOf: (file: number) => DiskPath
  readonly journal: JournalFacts
  readonly part: FoundPart
  /** Gets what is there. */
  readonly have: Bitmap
  readonly signal?: AbortSignal | undefined
}

interface Recall extends RecallOptions {
  readonly memory: Buffer
}

const spotChecks = 16
/** The journal is behind by half a second; more than this was written by somebody else, or in another life. */
const behindMs = 2_000

/** Returns how many chunks it read to be sure. */
export async function recallChunks(given: RecallOptions): Promise<number> {
  const options = { ...given, memory: Buffer.allocUnsafeSlow(largestChunk) }
  const { places, journal, part, have } = options
  const named: number[] = []
  for (let chunk = 0; chunk < have.length; chunk++) {
    if (places.firstOf(chunk) >= 0 && journal.have.has(chunk) && hasFiles(options, chunk)) named.push(chunk)
  }
  const age = part.mtimeMs - journal.mtimeMs
  let checked = 0
  if (journal.isSameBoot && age >= 0 && age <= behindMs) {
    const spots = named.length <= spotChecks ? named : spotsOf(named)
    checked = await firstWrong(options, spots)
    if (checked === spots.length) {
      for (const chunk of named) have.add(chunk)
      return checked
    }
  }
  const breath = new Breath(options.signal)
  for (const chunk of named) {
    if (breath.isDue) await breath.take()
    if (await isThere(options, chunk)) have.add(chunk)
  }
  await clearZeros(options)
  return checked + named.length
}

/** Zeros have no chunk that would come again: where somebody else, or another version, wrote something else, they are written. */
async function clearZeros({ places, files, pathOf, part, memory, signal }: Recall): Promise<void> {
  const holes = new ZeroRuns()
  const breath = new Breath(signal)
  try {
    for (const [piece, { chunk }] of places.manifest.pieces.entries()) {
      if (chunk !== "zeros") continue
      const end = places.starts[piece + 1] as number
      for (let at = places.starts[piece] as number; at < end;) {
        if (breath.isDue) await breath.take()
        const file = files.fileAt(at)
        const start = files.starts[file] as number
        const next = Math.min(end, files.starts[file + 1] as number)
        // What is made new has zeros everywhere.
        const zeros =
          part.isThere[file] === true ? await holes.zerosFrom(file, pathOf(file), at - start, next - start) : next - at
        const bytes = memory.subarray(0, Math.min(memory.length, next - at - zeros))
        at += zeros
        if (bytes.length === 0) continue
        await files.readLater(at, bytes)
        if (!isZeros(bytes)) await files.write(at, bytes.fill(0))
        at += bytes.length
      }
    }
  } finally {
    holes.close()
  }
}

/** Some from everywhere, among them the last. */
function spotsOf(named: readonly number[]): number[] {
  const every = named.length / spotChecks
  return Array.from({ length: spotChecks }, (_, spot) => {
    const at = spot === spotChecks - 1 ? named.length - 1 : Math.floor((spot + Math.random()) * every)
    return named[at] as number
  })
}

async function firstWrong(options: Recall, spots: readonly number[]): Promise<number> {
  for (const [index, chunk] of spots.entries()) if (!(await isThere(options, chunk))) return index
  return spots.length
}

/** All files that the chunk lies in are there. */
function hasFiles({ places, files, part }: RecallOptions, chunk: number): boolean {
  for (let piece = places.firstOf(chunk); piece >= 0; piece = places.nextOf(piece)) {
    const start = places.starts[piece] as number
    const end = places.starts[piece + 1] as number
    for (let file = files.fileAt(start); file < part.isThere.length; file++) {
      if ((files.starts[file] as number) >= end) break
      if (part.isThere[file] !== true && files.starts[file] !== files.starts[file + 1]) return false
    }
  }
  return true
}

async function isThere({ places, files, crypto, memory }: Recall, chunk: number): Promise<boolean> {
  const identity = places.identityOf(chunk)
  const bytes = memory.subarray(0, places.lengthOf(chunk))
  for (let piece = places.firstOf(chunk); piece >= 0; piece = places.nextOf(piece)) {
    try {
      await files.readLater(places.starts[piece] as number, bytes)
    } catch {
      // What cannot be read is fetched again.
      return false
    }
    if (Buffer.compare(crypto.identify(bytes), identity) !== 0) return false
  }
  return true
}
