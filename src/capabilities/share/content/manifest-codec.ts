/**
 * The bytes of a manifest, before they are sealed (docs/reference/share-protocol.md). Paths share beginnings with the one before.
 *
 * format u8 = 1, name, count, entries, count, pieces. Numbers are LEB128 (`manifest-bytes.ts`); texts are their length and their bytes.
 *   entry: kind u8 = 0 file, 1 folder, 2 link; + 4 a mode, + 8 a time | bytes shared with the path before | rest of the path
 *          | size (file) | mode | time, ms, twice its value, or -1 - twice its value below 0 | target (link)
 *   piece: length | chunk + 1, or 0 for zeros | identity, 32 bytes, not for zeros
 */

import { RdvError } from "../../../base/error.ts"
import { hashBytes } from "./chunk-crypto.ts"
import { largestManifest } from "./chunk-table.ts"
import type { Entry, Manifest, Piece } from "./manifest.ts"
import { checkShape, mostEntries, mostPathBytes, mostPieces } from "./manifest-rules.ts"
import { longestPath } from "./path-rules.ts"
import { pathBytes, pathText } from "./path-text.ts"
import { ByteReader, ByteWriter } from "./manifest-bytes.ts"

const kinds = ["file", "folder", "symlink"] as const
const hasMode = 4
const hasTime = 8

/** Throws `protocol` when it breaks a rule of manifests, `too_large`. */
export function encodeManifest(manifest: Manifest): Uint8Array {
  checkShape(manifest)
  const writer = new ByteWriter()
  writer.byte(1)
  writeText(writer, manifest.name)
  writer.number(manifest.entries.length)
  let before = new Uint8Array(0) as Uint8Array
  for (const entry of manifest.entries) before = writeEntry(writer, entry, before)
  writer.number(manifest.pieces.length)
  for (const { chunk, length, identity } of manifest.pieces) {
    writer.number(length)
    writer.number(chunk === "zeros" ? 0 : chunk + 1)
    writer.bytes(identity)
  }
  if (writer.length > largestManifest) {
    throw new RdvError("too_large", "There are too many files, or too much in them, to be shared at once", {
      mend: "share them in parts",
    })
  }
  return writer.finish()
}

/** Throws `protocol`. What it returns keeps nothing of the bytes. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > largestManifest) throw wrong("The manifest is too long")
  const reader = new ByteReader(bytes)
  if (reader.byte() !== 1) throw wrong("The manifest has an unknown format")
  const name = readText(reader)
  const entries = readEntries(reader)
  const pieces = readPieces(reader)
  if (reader.left > 0) throw wrong("The manifest has bytes behind its end")
  const manifest = { name, entries, pieces }
  checkShape(manifest)
  return manifest
}

/** Returns the bytes of the path. */
function writeEntry(writer: ByteWriter, entry: Entry, before: Uint8Array): Uint8Array {
  const path = bytesOf(entry.path)
  const { mode, mtimeMs } = entry.type === "symlink" ? {} : entry
  writer.byte(kinds.indexOf(entry.type) | (mode === undefined ? 0 : hasMode) | (mtimeMs === undefined ? 0 : hasTime))
  const shared = sharedLength(before, path)
  writer.number(shared)
  writer.number(path.length - shared)
  writer.bytes(path.subarray(shared))
  if (entry.type === "file") writer.number(entry.size)
  if (mode !== undefined) writer.number(mode)
  if (mtimeMs !== undefined) writer.number(mtimeMs < 0 ? -1 - 2 * mtimeMs : 2 * mtimeMs)
  if (entry.type === "symlink") writeText(writer, entry.target)
  return path
}

function readEntries(reader: ByteReader): Entry[] {
  const count = reader.number()
  // An entry takes 3 bytes or more, so that a count alone costs nobody memory.
  if (count > mostEntries || count * 3 > reader.left) throw wrong("The manifest has too many entries")
  const entries: Entry[] = []
  const path = new Uint8Array(longestPath)
  let length = 0
  let sum = 0
  for (let index = 0; index < count; index++) {
    const flags = reader.byte()
    const kind = kinds[flags & 3]
    if (kind === undefined || flags > (hasTime | hasMode | 2) || (kind === "symlink" && flags > 2)) {
      throw wrong("The manifest has an unknown kind of entry")
    }
    const shared = reader.number()
    const more = reader.number()
    if (shared > length || shared + more > longestPath) throw wrong("The manifest has a malformed path")
    const rest = reader.bytes(more)
    if (shared < length && more > 0 && rest[0] === path[shared]) throw wrong("The manifest has a malformed path")
    path.set(rest, shared)
    length = shared + more
    sum += length
    if (sum > mostPathBytes) throw wrong("The manifest's paths are too long together")
    entries.push(readEntry(reader, kind, flags, pathText(path.subarray(0, length))))
  }
  return entries
}

function readEntry(reader: ByteReader, type: Entry["type"], flags: number, path: string): Entry {
  if (type === "symlink") return { type, path, target: readText(reader) }
  const size = type === "file" ? { size: reader.number() } : undefined
  const mode = (flags & hasMode) === 0 ? undefined : { mode: reader.number() }
  const time = (flags & hasTime) === 0 ? undefined : { mtimeMs: readTime(reader.number()) }
  return size === undefined
    ? { type: "folder", path, ...mode, ...time }
    : { type: "file", path, ...size, ...mode, ...time }
}

function readTime(value: number): number {
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2
}

function readPieces(reader: ByteReader): Piece[] {
  const count = reader.number()
  if (count > mostPieces || count * 2 > reader.left) throw wrong("The manifest has too many pieces")
  const pieces: Piece[] = []
  for (let index = 0; index < count; index++) {
    const length = reader.number()
    const chunk = reader.number()
    pieces.push(
      chunk === 0
        ? { chunk: "zeros", length, identity: noIdentity }
        : { chunk: chunk - 1, length, identity: reader.bytes(hashBytes).slice() },
    )
  }
  return pieces
}

const noIdentity = new Uint8Array(0)

function writeText(writer: ByteWriter, text: string): void {
  const bytes = bytesOf(text)
  writer.number(bytes.length)
  writer.bytes(bytes)
}

function readText(reader: ByteReader): string {
  const length = reader.number()
  if (length > longestPath) throw wrong("The manifest has a name that is too long")
  return pathText(reader.bytes(length))
}

/** Of a text that was checked. */
function bytesOf(text: string): Uint8Array {
  return pathBytes(text) as Uint8Array
}

function sharedLength(a: Uint8Array, b: Uint8Array): number {
  const most = Math.min(a.length, b.length)
  let length = 0
  while (length < most && a[length] === b[length]) length++
  return length
}

function wrong(text: string): RdvError {
  return new RdvError("protocol", text)
}
