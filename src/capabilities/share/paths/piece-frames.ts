/**
 * The frames of a path of chunks over ordered bytes: `type u8 | why u8 | version u16 | chunk u32 | length u32`, big-endian,
 * and for `data` so many bytes. A chunk that is larger than `partBytes` goes out as a first frame, whose length is that of
 * the whole chunk and which carries its first `partBytes`, and further ones with `why` 1 and their own length: between them
 * small frames find their way, and no other chunk. docs/reference/share-paths.md has the same for other programs.
 */

import { RdvError } from "../../../base/error.ts"
import { largestChunk, sealBytes } from "../content/chunk-crypto.ts"
import type { ChunkName, Refusal } from "./chunk-path.ts"

export const headBytes = 12
/** Most that one data frame carries: a chunk of the usual 256 KiB is one frame. */
export const partBytes: number = 262144 + sealBytes
/** Nothing larger is a chunk. */
export const largestSealed: number = largestChunk + sealBytes

export const pieceType = { data: 1, ask: 2, cancel: 3, refuse: 4, ping: 5, pong: 6 } as const

export type SmallType = 2 | 3 | 4 | 5 | 6

/** `why` of a data frame that goes on with the chunk before it. */
const goesOn = 1

const refusals: readonly Refusal[] = ["missing", "busy", "leaving"]

/** What `why` says in a `refuse` frame. */
export function refusalNumber(why: Refusal): number {
  return refusals.indexOf(why) + 1
}

/** A reason of a newer peer reads as `busy`: whoever asked asks elsewhere. */
export function refusalFrom(number: number): Refusal {
  return refusals[number - 1] ?? "busy"
}

/** Writes a small frame: `chunk` is the number of a ping and its pong. */
export function writeSmall(into: Uint8Array, at: number, type: SmallType, why: number, name: ChunkName): void {
  writeHead(into, at, type, why, name, 0)
}

/** The head of a part of `length` bytes that begins at `from` of a chunk of `total` bytes. */
export function dataHead(name: ChunkName, from: number, length: number, total: number): Uint8Array {
  const head = new Uint8Array(headBytes)
  if (from === 0) writeHead(head, 0, pieceType.data, 0, name, total)
  else writeHead(head, 0, pieceType.data, goesOn, name, length)
  return head
}

function writeHead(into: Uint8Array, at: number, type: number, why: number, name: ChunkName, length: number): void {
  const { version, chunk } = name
  into[at] = type
  into[at + 1] = why
  into[at + 2] = version >>> 8
  into[at + 3] = version
  into[at + 4] = chunk >>> 24
  into[at + 5] = chunk >>> 16
  into[at + 6] = chunk >>> 8
  into[at + 7] = chunk
  into[at + 8] = length >>> 24
  into[at + 9] = length >>> 16
  into[at + 10] = length >>> 8
  into[at + 11] = length
}

export interface PieceSink {
  /** Memory of exactly this length, or undefined to skip. */
  room(name: ChunkName, length: number): Uint8Array | undefined
  /** It is whole, or undefined: it was skipped and is through. */
  chunk(name: ChunkName, sealed: Uint8Array | undefined): void
  small(type: SmallType, why: number, name: ChunkName): void
}

/** Takes bytes however they are cut and copies each chunk once, into the memory that the sink gives. */
export class PieceReader {
  readonly #sink: PieceSink
  readonly #head: Uint8Array = new Uint8Array(headBytes)
  #headHas = 0
  /** The chunk that comes in; undefined between chunks. */
  #name: ChunkName | undefined
  #memory: Uint8Array | undefined
  #total = 0
  #has = 0
  /** Of the frame that is being read. */
  #left = 0
  #stopped = false
  #receivedBytes = 0

  constructor(sink: PieceSink) {
    this.#sink = sink
  }

  /** Of chunks, also of those that were skipped. */
  get receivedBytes(): number {
    return this.#receivedBytes
  }

  /** A chunk has begun and is not whole. */
  get isInside(): boolean {
    return this.#name !== undefined
  }

  /** Lets go of the memory of a chunk that will not come; takes nothing any more. */
  stop(): void {
    this.#stopped = true
    this.#memory = undefined
  }

  /** Keeps no reference into `bytes`. Throws `protocol`; then the path is over. */
  push(bytes: Uint8Array): void {
    const end = bytes.length
    let at = 0
    while (at < end && !this.#stopped) {
      if (this.#left > 0) {
        const take = Math.min(this.#left, end - at)
        this.#memory?.set(take === end ? bytes : bytes.subarray(at, at + take), this.#has)
        at += take
        this.#has += take
        this.#left -= take
        this.#receivedBytes += take
        if (this.#has === this.#total) this.#whole()
      } else if (this.#headHas === 0 && end - at >= headBytes) {
        this.#frame(bytes, at)
        at += headBytes
      } else {
        const take = Math.min(headBytes - this.#headHas, end - at)
        for (let next = 0; next < take; next++) this.#head[this.#headHas++] = bytes[at++] as number
        if (this.#headHas < headBytes) return
        this.#headHas = 0
        this.#frame(this.#head, 0)
      }
    }
  }

  #frame(bytes: Uint8Array, at: number): void {
    const type = bytes[at] as number
    const why = bytes[at + 1] as number
    const version = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)
    const chunk = readU32(bytes, at + 4)
    const length = readU32(bytes, at + 8)
    if (type === pieceType.data) {
      if (why === 0) this.#begin({ version, chunk }, length)
      else if (why === goesOn) this.#goOn(version, chunk, length)
      else throw broken(`a chunk of kind ${why}`)
      return
    }
    if (type < pieceType.ask || type > pieceType.pong) throw broken(`a frame of type ${type}`)
    if (length !== 0) throw broken("bytes behind a frame that has none")
    this.#sink.small(type as SmallType, why, { version, chunk })
  }

  #begin(name: ChunkName, length: number): void {
    if (this.#name !== undefined) throw broken("a chunk within another one")
    if (length === 0 || length > largestSealed) throw broken(`a chunk of ${length} bytes`)
    const memory = this.#sink.room(name, length)
    if (this.#stopped) return
    if (memory !== undefined && memory.length !== length) {
      throw new RdvError("internal", `${memory.length} bytes were given for a chunk of ${length}`)
    }
    this.#name = name
    this.#memory = memory
    this.#total = length
    this.#has = 0
    this.#left = Math.min(length, partBytes)
  }

  #goOn(version: number, chunk: number, length: number): void {
    const name = this.#name
    if (name === undefined || name.version !== version || name.chunk !== chunk) throw broken("a part of another chunk")
    if (length !== Math.min(this.#total - this.#has, partBytes)) throw broken(`a part of ${length} bytes`)
    this.#left = length
  }

  #whole(): void {
    const name = this.#name as ChunkName
    const memory = this.#memory
    this.#name = undefined
    this.#memory = undefined
    this.#sink.chunk(name, memory)
  }
}

function readU32(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
  return high * 65536 + (((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number))
}

function broken(what: string): RdvError {
  return new RdvError("protocol", `A path of chunks brought ${what}`, { origin: "remote" })
}
