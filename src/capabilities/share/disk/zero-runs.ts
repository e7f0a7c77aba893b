/**
 * Skips holes of sparse files. Nothing in Node tells where they are, and reading them through the page cache costs more than
 * anything else of a share. Read past the page cache they cost next to nothing: the kernel has no block to fetch and
 * fills the memory with zeros, tens of gigabytes a second.
 */

import * as fs from "node:fs"
import type { DiskPath } from "./disk-path.ts"

/** What a read past the page cache needs of offsets, lengths and memory, on any disk of today. */
const blockBytes = 4096
const windowBytes = 4 * 1024 * 1024

export class ZeroRuns {
  #window: Uint8Array | undefined
  #zeros: Uint8Array | undefined
  #file = -1
  #fd = -1
  #misses = 0
  #quietUntil = 0
  /** What is known: zeros from `#from` to `#to`. */
  #from = 0
  #to = 0

  /**
   * How many bytes from `offset` of a file are zeros for certain; more may follow. `file` is any number that names it
   * here. What fails counts as none: then the bytes are read as all others are.
   */
  async zerosFrom(file: number, path: DiskPath, offset: number, size: number): Promise<number> {
    if (file !== this.#file) this.#use(file, path)
    if (offset >= this.#from && offset < this.#to) return Math.min(this.#to, size) - offset
    if (this.#fd < 0 || offset < this.#quietUntil) return 0
    let at = offset - (offset % blockBytes)
    this.#from = at
    this.#to = at
    while (at < size) {
      const count = await this.#read(at)
      if (count <= 0) break
      const zeros = this.#leadingZeros(count)
      at += zeros
      this.#to = at
      if (zeros < count || count < windowBytes) break
    }
    const zeros = Math.max(0, Math.min(this.#to, size) - offset)
    // Where a compressing disk says fewer blocks there may be no holes at all: then it asks less and less often.
    this.#misses = zeros > 0 ? 0 : Math.min(this.#misses + 1, 8)
    if (zeros === 0) this.#quietUntil = offset + windowBytes * 2 ** this.#misses
    return zeros
  }

  close(): void {
    if (this.#fd >= 0) fs.closeSync(this.#fd)
    this.#fd = -1
    this.#file = -1
  }

  #use(file: number, path: DiskPath): void {
    this.close()
    this.#file = file
    this.#from = this.#to = this.#misses = this.#quietUntil = 0
    const direct = fs.constants.O_DIRECT
    if (direct === undefined) return
    try {
      this.#fd = fs.openSync(path, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | direct)
    } catch {
      // Some file systems do not offer it: the file is read like any other.
      this.#fd = -1
    }
  }

  #read(at: number): Promise<number> {
    const window = (this.#window ??= pages(windowBytes))
    return new Promise((resolve) => {
      fs.read(this.#fd, window, 0, windowBytes, at, (error, count) => resolve(error === null ? count : 0))
    })
  }

  /** In whole blocks, but for the end of the file. */
  #leadingZeros(count: number): number {
    const window = this.#window as Uint8Array
    const zeros = (this.#zeros ??= new Uint8Array(windowBytes))
    if (Buffer.compare(window.subarray(0, count), zeros.subarray(0, count)) === 0) return count
    let low = 0
    let length = count
    // The first block that is not empty is in the half whose front is not.
    while (length > blockBytes) {
      const half = Math.ceil(length / 2 / blockBytes) * blockBytes
      if (Buffer.compare(window.subarray(low, low + half), zeros.subarray(0, half)) === 0) {
        low += half
        length -= half
      } else length = half
    }
    return low
  }
}

/** Memory that begins at a page: that of WebAssembly does. */
function pages(bytes: number): Uint8Array {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: { Memory: MemoryMaker } }
  return new Uint8Array(new WebAssembly.Memory({ initial: bytes / 65_536 }).buffer)
}

type MemoryMaker = new (options: { initial: number }) => { readonly buffer: ArrayBuffer }
