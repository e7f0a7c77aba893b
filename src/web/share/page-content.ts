/**
 * What a page shares: files that the user gave it, read in slices whenever somebody wants a chunk. Nothing of them is kept
 * but names, sizes and hashes. A browser refuses to read a file that has changed since it was given.
 */

import { RdvError } from "../../base/error.ts"
import { Bitmap } from "../../capabilities/share/content/bitmap.ts"
import type { ChunkCrypto } from "../../capabilities/share/content/chunk-crypto.ts"
import { chunkSizeFor } from "../../capabilities/share/content/chunk-size.ts"
import { ChunkTable } from "../../capabilities/share/content/chunk-table.ts"
import type { ChunkFacts } from "../../capabilities/share/content/chunk-table.ts"
import type { Content } from "../../capabilities/share/content/content.ts"
import type { Entry, Manifest, Piece } from "../../capabilities/share/content/manifest.ts"
import { sortEntries } from "../../capabilities/share/content/path-rules.ts"
import { sealManifest } from "../../capabilities/share/content/sealed-manifest.ts"

export interface SharedFile {
  /** Segments with `/` between them; empty for a file alone. */
  readonly path: string
  readonly content: Blob
  readonly mtimeMs: number | undefined
}

export interface PageContentOptions {
  /** Of the file alone, or of the folder that all lie in. */
  readonly name: string
  readonly files: readonly SharedFile[]
  readonly crypto: ChunkCrypto
  readonly signal: AbortSignal
  /** Bytes that were hashed. */
  readonly onProgress?: (bytes: number) => void
}

/** Reads everything once. Rejects `not_found` when a file cannot be read, `too_large`, and with the signal's reason. */
export async function pageContent(options: PageContentOptions): Promise<Content> {
  const { name, crypto, signal, onProgress } = options
  const spans = new Spans(sortEntries(options.files))
  const size = chunkSizeFor(spans.bytes)
  const cuts: Cut[] = []
  const chunks: Chunk[] = []
  const known = new Map<string, number>()
  for (let at = 0; at < spans.bytes; at += size) {
    signal.throwIfAborted()
    const plain = await spans.read(at, Math.min(size, spans.bytes - at))
    if (isZeros(plain)) cuts.push({ length: plain.length, chunk: undefined })
    else {
      const identity = crypto.identify(plain)
      const key = String.fromCharCode(...identity)
      let chunk = known.get(key)
      if (chunk === undefined) {
        const sealed = await crypto.seal(plain, identity)
        chunk =
          chunks.push({ at, length: plain.length, identity, sealed: sealed.length, hash: crypto.hash(sealed) }) - 1
        known.set(key, chunk)
      }
      cuts.push({ length: plain.length, chunk })
    }
    onProgress?.(Math.min(at + size, spans.bytes))
  }
  const { manifest, sealed } = await sealedManifest(name, spans, cuts, chunks, crypto)
  const table = ChunkTable.build({
    version: 1,
    hash: crypto,
    manifestChunks: sealed.length,
    chunks: [
      ...sealed.map((bytes): ChunkFacts => ({ length: bytes.length, hash: crypto.hash(bytes) })),
      ...chunks.map(({ sealed: length, hash }): ChunkFacts => ({ length, hash })),
    ],
  })
  return new PageContent(table, manifest, sealed, chunks, spans, crypto)
}

/** A part of the contents; without a chunk it is all zeros. */
interface Cut {
  readonly length: number
  readonly chunk: number | undefined
}

interface Chunk {
  readonly at: number
  readonly length: number
  readonly identity: Uint8Array
  /** Bytes. */
  readonly sealed: number
  readonly hash: Uint8Array
}

class PageContent implements Content {
  readonly have: Bitmap
  readonly table: ChunkTable
  readonly manifest: Manifest
  readonly #sealedManifest: readonly Uint8Array[]
  readonly #chunks: readonly Chunk[]
  readonly #spans: Spans
  readonly #crypto: ChunkCrypto

  constructor(
    table: ChunkTable,
    manifest: Manifest,
    sealedManifest: readonly Uint8Array[],
    chunks: readonly Chunk[],
    spans: Spans,
    crypto: ChunkCrypto,
  ) {
    this.table = table
    this.manifest = manifest
    this.#sealedManifest = sealedManifest
    this.#chunks = chunks
    this.#spans = spans
    this.#crypto = crypto
    this.have = new Bitmap(table.count)
    this.have.fill()
  }

  async read(chunk: number): Promise<Uint8Array> {
    const first = this.#sealedManifest[chunk]
    if (first !== undefined) return first
    const { at, length, identity } = this.#chunks[chunk - this.#sealedManifest.length] as Chunk
    let sealed: Uint8Array | undefined
    try {
      sealed = await this.#crypto.seal(await this.#spans.read(at, length), identity)
    } catch (error) {
      if (!(error instanceof RdvError)) throw error
    }
    if (sealed !== undefined && this.table.matches(chunk, sealed)) return sealed
    this.have.remove(chunk)
    throw new RdvError("corrupt", "A file has changed since it was shared", { mend: "share it again" })
  }

  store(): never {
    throw new RdvError("usage", "A sender stores nothing")
  }

  async close(): Promise<void> {}
}

/** The manifest names chunks behind its own, and how many those are depends on its length. */
async function sealedManifest(
  name: string,
  spans: Spans,
  cuts: readonly Cut[],
  chunks: readonly Chunk[],
  crypto: ChunkCrypto,
): Promise<{ manifest: Manifest; sealed: Uint8Array[] }> {
  const entries = spans.files.map(({ path, content, mtimeMs }): Entry => ({
    type: "file",
    path,
    size: content.size,
    ...(mtimeMs !== undefined && { mtimeMs: Math.round(mtimeMs) }),
  }))
  for (let first = 1; ;) {
    const manifest: Manifest = { name, entries, pieces: piecesOf(cuts, chunks, first) }
    const sealed = await sealManifest(manifest, crypto)
    if (sealed.length === first) return { manifest, sealed }
    first = sealed.length
  }
}

function piecesOf(cuts: readonly Cut[], chunks: readonly Chunk[], first: number): Piece[] {
  const pieces: Piece[] = []
  for (const { length, chunk } of cuts) {
    const last = pieces.at(-1)
    if (chunk !== undefined) {
      pieces.push({ chunk: first + chunk, length, identity: (chunks[chunk] as Chunk).identity })
    } else if (last?.chunk === "zeros") pieces.splice(-1, 1, { ...last, length: last.length + length })
    else pieces.push({ chunk: "zeros", length, identity: new Uint8Array(0) })
  }
  return pieces
}

/** All contents behind each other. */
class Spans {
  readonly files: readonly SharedFile[]
  readonly bytes: number
  /** Where each file begins. */
  readonly #starts: number[] = []

  constructor(files: readonly SharedFile[]) {
    this.files = files
    let at = 0
    for (const { content } of files) {
      this.#starts.push(at)
      at += content.size
    }
    this.bytes = at
  }

  /** Rejects `not_found`. */
  async read(at: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length)
    for (let index = this.#indexAt(at), done = 0; done < length; index++) {
      const { path, content } = this.files[index] as SharedFile
      const from = at + done - (this.#starts[index] as number)
      const part = content.slice(from, from + length - done)
      try {
        bytes.set(new Uint8Array(await part.arrayBuffer()), done)
      } catch (cause) {
        throw new RdvError("not_found", `The file ${path === "" ? "" : `"${path}" `}cannot be read any more`, {
          mend: "choose it again: it was moved, deleted or changed",
          cause,
        })
      }
      done += part.size
    }
    return bytes
  }

  /** The file that holds this byte. */
  #indexAt(at: number): number {
    let low = 0
    for (let high = this.#starts.length - 1; low < high;) {
      const middle = (low + high + 1) >> 1
      if ((this.#starts[middle] as number) <= at) low = middle
      else high = middle - 1
    }
    return low
  }
}

function isZeros(bytes: Uint8Array): boolean {
  // Most contents say so in their first bytes.
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== 0) return false
  return true
}
