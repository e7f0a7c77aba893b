/**
 * The table of a version: length and hash of every sealed chunk. It is all that the relay learns about the content, and what
 * everybody checks chunks against. Its first `manifestChunks` chunks are the sealed manifest (`sealed-manifest.ts`).
 *
 * Encoded: format u8 = 1 | hash u8 | 0 u16 | version u32 | manifestChunks u32 | count u32, then per chunk length u32 | hash 32
 * bytes; big-endian.
 */

import { RdvError } from "../../../base/error.ts"
import { latin1Decode } from "../../../base/text.ts"
import { hashBytes, largestChunk, sealBytes } from "./chunk-crypto.ts"
import type { ChunkHash, HashName } from "./chunk-crypto.ts"

/** Most chunks of a table: 256 GiB in chunks of the largest size. A bitmap of so many fits into one control message. */
export const mostChunks: number = 2 ** 18

/** Bytes of the largest manifest before it is sealed. */
export const largestManifest: number = 64 * 1024 * 1024
/** A sealed manifest is cut into parts of so many bytes, but for the last one. */
export const manifestPartBytes: number = 256 * 1024
/** Random bytes in front of the first part. */
export const manifestSaltBytes = 32
/** Most chunks that a manifest takes. Receivers keep them in memory before they know anything of the content. */
export const mostManifestChunks: number = largestManifest / manifestPartBytes

const headBytes = 16
const rowBytes = 4 + hashBytes
const longestManifestChunk = manifestSaltBytes + manifestPartBytes + sealBytes

/** Bytes of the largest table: 9 MiB. */
export const largestTableBytes: number = headBytes + mostChunks * rowBytes

const hashNumbers: Record<HashName, number> = { blake3: 1, sha256: 2 }

export interface ChunkFacts {
  /** Bytes of the sealed chunk. */
  readonly length: number
  /** Of the sealed chunk. */
  readonly hash: Uint8Array
}

export interface ChunkTableParts {
  /** 1 and up. */
  readonly version: number
  readonly hash: ChunkHash
  /** 1 and up. */
  readonly manifestChunks: number
  readonly chunks: readonly ChunkFacts[]
}

export class ChunkTable {
  /** 1 and up. */
  readonly version: number
  readonly hash: HashName
  readonly manifestChunks: number
  readonly count: number
  /** Of all chunks. */
  readonly sealedBytes: number
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #hash: ChunkHash
  #root: Uint8Array | undefined
  #indexes: Map<string, number> | undefined

  private constructor(bytes: Uint8Array, hash: (name: HashName) => ChunkHash) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (bytes.length < headBytes || bytes[0] !== 1 || this.#view.getUint16(2) !== 0) {
      throw wrong("The chunk table has an unknown format")
    }
    this.version = this.#view.getUint32(4)
    this.manifestChunks = this.#view.getUint32(8)
    this.count = this.#view.getUint32(12)
    if (this.version === 0) throw wrong("The chunk table has version 0")
    if (this.count > mostChunks) throw wrong(`The chunk table has more than ${mostChunks} chunks`)
    if (bytes.length !== headBytes + this.count * rowBytes) throw wrong("The chunk table has the wrong length")
    if (this.manifestChunks === 0 || this.manifestChunks > this.count) {
      throw wrong("The chunk table has no room for its manifest")
    }
    if (this.manifestChunks > mostManifestChunks) throw wrong("The chunk table has too large a manifest")
    const name = hashNames.get(bytes[1] as number)
    if (name === undefined) throw wrong("The chunk table names an unknown hash")
    this.hash = name
    this.#hash = hash(name)
    let sum = 0
    for (let chunk = 0; chunk < this.count; chunk++) {
      const length = this.lengthOf(chunk)
      if (length <= sealBytes || length > largestChunk + sealBytes) {
        throw wrong(`Chunk ${chunk} of the table has an impossible length`)
      }
      if (chunk < this.manifestChunks && length > longestManifestChunk) {
        throw wrong(`Chunk ${chunk} of the table is too long for a part of a manifest`)
      }
      sum += length
    }
    this.sealedBytes = sum
  }

  /** Throws `protocol`. Copies the bytes. `hash` is asked for the hash that the table names. */
  static decode(bytes: Uint8Array, hash: (name: HashName) => ChunkHash): ChunkTable {
    // The length first: a copy of what is refused anyway would be memory for nothing.
    if (bytes.length > largestTableBytes) throw wrong("The chunk table is too long")
    return new ChunkTable(bytes.slice(), hash)
  }

  /** Throws `too_large` when these are more chunks than a table has, `protocol` when they make no table. */
  static build({ version, hash, manifestChunks, chunks }: ChunkTableParts): ChunkTable {
    if (chunks.length > mostChunks) {
      throw new RdvError("too_large", `A version has at most ${mostChunks} chunks, and this one has ${chunks.length}`, {
        mend: "share it in parts",
      })
    }
    const bytes = new Uint8Array(headBytes + chunks.length * rowBytes)
    const view = new DataView(bytes.buffer)
    bytes[0] = 1
    bytes[1] = hashNumbers[hash.name]
    view.setUint32(4, version)
    view.setUint32(8, manifestChunks)
    view.setUint32(12, chunks.length)
    let at = headBytes
    for (const { length, hash: digest } of chunks) {
      if (digest.length !== hashBytes) throw wrong("A chunk's hash has the wrong length")
      view.setUint32(at, length)
      bytes.set(digest, at + 4)
      at += rowBytes
    }
    return new ChunkTable(bytes, () => hash)
  }

  /** Bytes of the sealed chunk. */
  lengthOf(chunk: number): number {
    return this.#view.getUint32(headBytes + chunk * rowBytes)
  }

  /** Of the sealed chunk: a view, which nobody may change. */
  hashOf(chunk: number): Uint8Array {
    const at = headBytes + chunk * rowBytes + 4
    return this.#bytes.subarray(at, at + hashBytes)
  }

  /** The first chunk that has this hash. */
  indexOf(hash: Uint8Array): number | undefined {
    if (this.#indexes === undefined) {
      this.#indexes = new Map()
      for (let chunk = this.count - 1; chunk >= 0; chunk--) this.#indexes.set(latin1Decode(this.hashOf(chunk)), chunk)
    }
    return this.#indexes.get(latin1Decode(hash))
  }

  /** True when these are the bytes of this chunk. */
  matches(chunk: number, sealed: Uint8Array): boolean {
    if (sealed.length !== this.lengthOf(chunk)) return false
    const [is, should] = [this.#hash.hash(sealed), this.hashOf(chunk)]
    for (let at = 0; at < hashBytes; at++) if (is[at] !== should[at]) return false
    return true
  }

  /** The name of this version: the root of a binary tree over the rows, together with the header. */
  get root(): Uint8Array {
    this.#root ??= this.#makeRoot()
    return this.#root
  }

  /** The encoded table: a view, which nobody may change. */
  encode(): Uint8Array {
    return this.#bytes
  }

  #makeRoot(): Uint8Array {
    let level: Uint8Array[] = []
    const leaf = new Uint8Array(1 + rowBytes)
    for (let at = headBytes; at < this.#bytes.length; at += rowBytes) {
      leaf[0] = 0
      leaf.set(this.#bytes.subarray(at, at + rowBytes), 1)
      level.push(this.#hash.hash(leaf))
    }
    const node = new Uint8Array(1 + 2 * hashBytes)
    node[0] = 1
    while (level.length > 1) {
      const above: Uint8Array[] = []
      for (let at = 0; at + 1 < level.length; at += 2) {
        node.set(level[at] as Uint8Array, 1)
        node.set(level[at + 1] as Uint8Array, 1 + hashBytes)
        above.push(this.#hash.hash(node))
      }
      // One without a neighbour moves up as it is.
      if (level.length % 2 === 1) above.push(level.at(-1) as Uint8Array)
      level = above
    }
    const top = new Uint8Array(1 + headBytes + hashBytes)
    top[0] = 2
    top.set(this.#bytes.subarray(0, headBytes), 1)
    top.set(level[0] as Uint8Array, 1 + headBytes)
    return this.#hash.hash(top)
  }
}

const hashNames: ReadonlyMap<number, HashName> = new Map(
  Object.entries(hashNumbers).map(([name, number]) => [number, name as HashName]),
)

function wrong(text: string): RdvError {
  return new RdvError("protocol", text)
}
