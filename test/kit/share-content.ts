/** Shared content without files: versions of named bytes, and a target that keeps what it gets in memory. */

import { RdvError } from "../../src/base/error.ts"
import { Bitmap } from "../../src/capabilities/share/content/bitmap.ts"
import type { ChunkCrypto } from "../../src/capabilities/share/content/chunk-crypto.ts"
import { ChunkTable } from "../../src/capabilities/share/content/chunk-table.ts"
import type { Content } from "../../src/capabilities/share/content/content.ts"
import type { Manifest, Piece } from "../../src/capabilities/share/content/manifest.ts"
import { sealManifest } from "../../src/capabilities/share/content/sealed-manifest.ts"
import type { Finished, Target, TargetHoldings, TargetVersion } from "../../src/capabilities/share/peer/target.ts"

export interface MemoryContentOptions {
  readonly bytes: Uint8Array
  readonly crypto: ChunkCrypto
  readonly name?: string
  readonly version?: number
  /** Default 4 KiB. */
  readonly chunkBytes?: number
  readonly salt?: Uint8Array
}

export type MemoryContent = Content & {
  /** How often each chunk was read. */
  readonly reads: Map<number, number>
  /** From now on this chunk cannot be read: its file has changed. */
  spoil(chunk: number): void
}

/** One file. */
export async function memoryContent(options: MemoryContentOptions): Promise<MemoryContent> {
  const { bytes, crypto, name = "file.bin", version = 1, chunkBytes = 4096, salt } = options
  const identities: Uint8Array[] = []
  const plain: Uint8Array[] = []
  const sealed: Uint8Array[] = []
  const known = new Map<string, number>()
  const order: number[] = []
  for (let at = 0; at < bytes.length; at += chunkBytes) {
    const part = bytes.subarray(at, at + chunkBytes)
    const identity = crypto.identify(part)
    const key = Buffer.from(identity).toString("hex")
    let index = known.get(key)
    if (index === undefined) {
      index = identities.length
      known.set(key, index)
      identities.push(identity)
      plain.push(part)
      sealed.push(await crypto.seal(part, identity))
    }
    order.push(index)
  }
  const pieces = (offset: number): Piece[] =>
    order.map((index) => ({
      chunk: offset + index,
      length: (plain[index] as Uint8Array).length,
      identity: identities[index] as Uint8Array,
    }))
  const manifestFor = (offset: number): Manifest => ({
    name,
    entries: [{ type: "file", path: "", size: bytes.length }],
    pieces: pieces(offset),
  })
  // The number of the manifest's chunks does not change the length of a small manifest.
  let manifestChunks = 1
  let head = await sealManifest(manifestFor(manifestChunks), crypto, salt)
  while (head.length !== manifestChunks) {
    manifestChunks = head.length
    head = await sealManifest(manifestFor(manifestChunks), crypto, salt)
  }
  const all = [...head, ...sealed]
  const table = ChunkTable.build({
    version,
    hash: crypto,
    manifestChunks,
    chunks: all.map((chunk) => ({ length: chunk.length, hash: crypto.hash(chunk) })),
  })
  const have = new Bitmap(table.count)
  have.fill()
  const reads = new Map<number, number>()
  const spoiled = new Set<number>()
  return {
    table,
    manifest: manifestFor(manifestChunks),
    have,
    reads,
    spoil: (chunk) => void spoiled.add(chunk),
    read(chunk) {
      reads.set(chunk, (reads.get(chunk) ?? 0) + 1)
      if (!spoiled.has(chunk)) return all[chunk] as Uint8Array
      have.remove(chunk)
      throw new RdvError("corrupt", "The file has changed")
    },
    store: () => undefined,
    close: () => Promise.resolve(),
  }
}

/** Keeps what it gets over several runs, by identity, as a folder does. */
export class MemoryTarget implements Target {
  /** Plain pieces by identity. */
  readonly #pieces = new Map<string, Uint8Array>()
  /** What `finish` made. */
  result: Uint8Array | undefined
  finishes = 0
  /** Chunks that were stored, over all runs. */
  stores = 0
  /** Refuses so many stores from now on as a full disk does. */
  isFull = false
  /** Fills up when so many chunks were stored. */
  fullAfter: number = Infinity
  /** Takes its time. */
  slow: (() => Promise<void>) | undefined
  openings = 0

  async open({ table, manifest, crypto }: TargetVersion): Promise<TargetHoldings> {
    this.openings++
    await this.slow?.()
    const have = new Bitmap(table.count)
    const identity = new Map<number, Uint8Array>()
    let foundBytes = 0
    for (let chunk = 0; chunk < table.manifestChunks; chunk++) have.add(chunk)
    for (const piece of manifest.pieces) {
      if (piece.chunk === "zeros") continue
      identity.set(piece.chunk, piece.identity)
      if (this.#pieces.has(keyOf(piece.identity)) && have.add(piece.chunk)) foundBytes += piece.length
    }
    return {
      have,
      foundBytes,
      read: (chunk) => {
        const name = identity.get(chunk) as Uint8Array
        return crypto.seal(this.#pieces.get(keyOf(name)) as Uint8Array, name)
      },
      store: async (chunk, sealed) => {
        if (this.isFull || this.stores >= this.fullAfter) throw new RdvError("limit", "The disk is full")
        this.stores++
        const name = identity.get(chunk) as Uint8Array
        const copy = sealed.slice()
        await this.slow?.()
        this.#pieces.set(keyOf(name), await crypto.open(copy, name))
        have.add(chunk)
      },
      finish: (): Promise<Finished> => {
        const parts = manifest.pieces.map((piece) => this.#pieces.get(keyOf(piece.identity)) as Uint8Array)
        this.result = new Uint8Array(Buffer.concat(parts))
        this.finishes++
        return Promise.resolve({ place: manifest.name, files: 1, bytes: this.result.length, remarks: [] })
      },
      close: () => Promise.resolve(),
      discard: () => Promise.resolve(),
    }
  }
}

function keyOf(identity: Uint8Array): string {
  return Buffer.from(identity).toString("hex")
}
