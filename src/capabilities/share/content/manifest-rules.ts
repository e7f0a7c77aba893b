/** What a manifest has to be, whoever made it: senders check it before they seal it, receivers before they touch a disk. */

import { RdvError } from "../../../base/error.ts"
import { hashBytes, largestChunk, sealBytes } from "./chunk-crypto.ts"
import type { ChunkTable } from "./chunk-table.ts"
import type { Entry, Manifest, Piece } from "./manifest.ts"
import { comparePaths, isPath, isSegment, longestPath, normalTarget } from "./path-rules.ts"
import { pathBytes } from "./path-text.ts"

/** Most entries of a manifest. */
export const mostEntries: number = 2 ** 20
/** Most pieces: more than chunks, since the same chunk may come twice and zeros have none. */
export const mostPieces: number = 2 ** 20
/** Bytes of all paths and targets together. */
export const mostPathBytes: number = 2 ** 27

/** Throws `protocol`: what is wrong with it by itself. */
export function checkShape(manifest: Manifest): void {
  const name = manifest.name
  if (!isSegment(name) || (pathBytes(name)?.length ?? Infinity) > longestPath)
    throw wrong(`A manifest has the name ${shown(name)}`)
  const contentBytes = checkEntries(manifest.entries)
  let pieceBytes = 0
  if (manifest.pieces.length > mostPieces) throw wrong("The manifest has too many pieces")
  for (const [index, piece] of manifest.pieces.entries()) {
    checkPiece(piece, index)
    pieceBytes += piece.length
  }
  if (pieceBytes !== contentBytes || !Number.isSafeInteger(pieceBytes)) {
    throw wrong(`The manifest's files have ${contentBytes} bytes and its pieces ${pieceBytes}`)
  }
}

/**
 * Throws `protocol` when manifest and table do not belong together: each chunk behind the manifest's is the content of some
 * piece, and of the same one wherever it is named.
 */
export function checkManifest(manifest: Manifest, table: ChunkTable): void {
  const first = new Map<number, Piece>()
  for (const piece of manifest.pieces) {
    if (piece.chunk === "zeros") continue
    const chunk = piece.chunk
    if (chunk < table.manifestChunks || chunk >= table.count)
      throw wrong(`The manifest names chunk ${chunk}, which is none`)
    if (table.lengthOf(chunk) !== piece.length + sealBytes) {
      throw wrong(`Chunk ${chunk} has another length in the manifest than in the table`)
    }
    const before = first.get(chunk)
    if (before === undefined) first.set(chunk, piece)
    else if (!same(before.identity, piece.identity)) throw wrong(`Chunk ${chunk} has two identities in the manifest`)
  }
  if (first.size !== table.count - table.manifestChunks)
    throw wrong("The table has chunks that the manifest does not name")
}

/** True when it is no folder that is shared. */
export function isFileAlone(entries: readonly Entry[]): boolean {
  const [only] = entries
  return entries.length === 1 && only?.path === "" && only.type === "file"
}

/** The bytes of all files. */
function checkEntries(entries: readonly Entry[]): number {
  if (entries.length > mostEntries) throw wrong("The manifest has too many entries")
  if (isFileAlone(entries)) return checkEntry(entries[0] as Entry)
  let contentBytes = 0
  let pathsBytes = 0
  let before: { entry: Entry; key: Uint8Array } | undefined
  for (const [index, entry] of entries.entries()) {
    const key = pathBytes(entry.path)
    const isWhole = index === 0 && entry.path === "" && entry.type === "folder"
    if (key === undefined || key.length > longestPath || !(isWhole || isPath(entry.path))) {
      throw wrong(`The manifest has an entry ${shown(entry.path)}, which no path may be`)
    }
    if (before !== undefined) {
      const order = comparePaths(before.key, key)
      if (order === 0) throw wrong(`The manifest has two entries ${shown(entry.path)}`)
      if (order > 0) throw wrong(`The manifest's entries are out of order at ${shown(entry.path)}`)
      // In this order, whatever lies below an entry follows it.
      if (before.entry.type !== "folder" && entry.path.startsWith(`${before.entry.path}/`)) {
        throw wrong(`The manifest has ${shown(entry.path)} below what is no folder`)
      }
    }
    pathsBytes += key.length
    if (entry.type === "symlink") pathsBytes += entry.target.length
    if (pathsBytes > mostPathBytes) throw wrong("The manifest's paths are too long together")
    contentBytes += checkEntry(entry)
    before = { entry, key }
  }
  return contentBytes
}

/** The bytes of its content. */
function checkEntry(entry: Entry): number {
  if (entry.type === "symlink") {
    const bytes = pathBytes(entry.target)
    if (bytes === undefined || bytes.length > longestPath || normalTarget(entry.path, entry.target) !== entry.target) {
      throw wrong(`The link ${shown(entry.path)} of the manifest leads to ${shown(entry.target)}`)
    }
    return 0
  }
  const { mode, mtimeMs } = entry
  if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o777)) {
    throw wrong(`${shown(entry.path)} of the manifest has an impossible mode`)
  }
  if (mtimeMs !== undefined && !(Number.isInteger(mtimeMs) && Math.abs(mtimeMs) <= farthestMs)) {
    throw wrong(`${shown(entry.path)} of the manifest has an impossible time`)
  }
  if (entry.type === "folder") return 0
  if (!Number.isSafeInteger(entry.size) || entry.size < 0)
    throw wrong(`${shown(entry.path)} of the manifest has an impossible size`)
  return entry.size
}

function checkPiece({ chunk, length, identity }: Piece, index: number): void {
  if (!Number.isSafeInteger(length) || length < 1)
    throw wrong(`Piece ${index} of the manifest has an impossible length`)
  if (chunk === "zeros") {
    if (identity.length !== 0) throw wrong(`Piece ${index} of the manifest is zeros and has an identity`)
    return
  }
  if (length > largestChunk) throw wrong(`Piece ${index} of the manifest is too long`)
  if (!Number.isSafeInteger(chunk) || chunk < 0) throw wrong(`Piece ${index} of the manifest names no chunk`)
  if (identity.length !== hashBytes) throw wrong(`Piece ${index} of the manifest has a malformed identity`)
}

/** Up to the year 144,683: what the encoding can say. */
const farthestMs = 2 ** 52 - 1

function same(a: Uint8Array, b: Uint8Array): boolean {
  for (let at = 0; at < hashBytes; at++) if (a[at] !== b[at]) return false
  return true
}

/** For error texts: short, and without what could command a terminal. */
function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}

function wrong(text: string): RdvError {
  return new RdvError("protocol", text)
}
