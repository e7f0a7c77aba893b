/**
 * Many files as one run of bytes, one behind the other. At most so many of them are open at a time. Reads and writes are
 * done at once while the disk answers from memory; when several took long, the next ones go by the thread pool, so that a
 * slow disk does not hold up the connections. One alone says nothing: the process may have lost its turn meanwhile, and
 * many calls in the pool cost memory and time.
 */

import * as fs from "node:fs"
import { RdvError } from "../../../base/error.ts"
import type { Soon } from "../content/chunk-crypto.ts"
import { diskError } from "./disk-error.ts"
import { shownPath } from "./disk-path.ts"
import type { DiskPath } from "./disk-path.ts"
import { WriteSize } from "./write-size.ts"

export interface FileSetOptions {
  /** Bytes of each file. */
  readonly sizes: readonly number[]
  pathOf(file: number): DiskPath
  /** A descriptor, which is the set's from then on. */
  open(file: number): number
  /** Default 64. */
  readonly mostOpen?: number
}

interface OpenFile {
  readonly fd: number
  /** Calls under way in the thread pool. */
  busy: number
  isDropped: boolean
}

const slowMs = 20
/** A slow call in so many is none. */
const slowWeight = 6
/** So many calls go by the thread pool after two slow ones. */
const slowCalls = 16
const shortBytes = 65_536

export class FileSet {
  /** Where each file begins, and the end. */
  readonly starts: Float64Array
  readonly #options: FileSetOptions
  readonly #open = new Map<number, OpenFile>()
  readonly #writeSize: WriteSize = new WriteSize()
  #slowLeft = 0
  /** Grows with slow calls, shrinks with quick ones. */
  #slowness = 0
  #lastFile = -1
  #last: OpenFile | undefined

  constructor(options: FileSetOptions) {
    this.#options = options
    this.starts = new Float64Array(options.sizes.length + 1)
    let at = 0
    for (const [file, size] of options.sizes.entries()) this.starts[file + 1] = at += size
  }

  get totalBytes(): number {
    return this.starts.at(-1) as number
  }

  /** The file that has the byte at `offset`, which lies before the end. */
  fileAt(offset: number): number {
    const { starts } = this
    let low = 0
    let high = starts.length - 2
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] as number) <= offset) low = middle
      else high = middle - 1
    }
    return low
  }

  /** Fills `into`. Throws or rejects `corrupt` where a file is shorter than it was, and what the disk says. */
  read(offset: number, into: Uint8Array): Soon<void> {
    if (this.#slowLeft > 0) {
      this.#slowLeft--
      return this.readLater(offset, into)
    }
    const begun = performance.now()
    this.readNow(offset, into)
    this.#took(performance.now() - begun)
    return undefined
  }

  /** Throws or rejects what the disk says. */
  write(offset: number, bytes: Uint8Array): Soon<void> {
    if (this.#slowLeft > 0) {
      this.#slowLeft--
      return this.#writeLater(offset, bytes)
    }
    const begun = performance.now()
    this.#writeNow(offset, bytes, this.#writeSize.next())
    const ms = performance.now() - begun
    this.#writeSize.took(bytes.length, ms)
    this.#took(ms)
    return undefined
  }

  readNow(offset: number, into: Uint8Array): void {
    let done = 0
    while (done < into.length) {
      const file = this.fileAt(offset + done)
      const at = offset + done - (this.starts[file] as number)
      const length = Math.min(into.length - done, (this.starts[file + 1] as number) - offset - done)
      const { fd } = this.#take(file)
      let count = 0
      try {
        count = fs.readSync(fd, into, done, length, at)
      } catch (error) {
        throw diskError(error, this.#options.pathOf(file))
      }
      if (count === 0) throw this.#short(file)
      done += count
    }
  }

  /** By the thread pool, but for short files, which are read sooner than asked for. */
  async readLater(offset: number, into: Uint8Array): Promise<void> {
    let done = 0
    while (done < into.length) {
      const file = this.fileAt(offset + done)
      const at = offset + done - (this.starts[file] as number)
      const length = Math.min(into.length - done, (this.starts[file + 1] as number) - offset - done)
      if (length <= shortBytes) {
        this.readNow(offset + done, into.subarray(done, done + length))
        done += length
        continue
      }
      const count = await this.#later(file, (fd, settle) => fs.read(fd, into, done, length, at, settle))
      if (count === 0) throw this.#short(file)
      done += count
    }
  }

  /** What was written to a file is on the disk when this is done. */
  async sync(file: number): Promise<void> {
    await this.#later(file, (fd, settle) => fs.fsync(fd, (error) => settle(error, 0)))
  }

  /** The descriptor of a file, until the next call. */
  descriptor(file: number): number {
    return this.#take(file).fd
  }

  /** Closes all; the next call opens what it needs. */
  close(): void {
    for (const file of this.#open.keys()) this.#drop(file)
  }

  #took(ms: number): void {
    if (ms <= slowMs) {
      if (this.#slowness > 0) this.#slowness--
      return
    }
    this.#slowness = Math.min(this.#slowness + slowWeight, 2 * slowWeight)
    if (this.#slowness > slowWeight) this.#slowLeft = slowCalls
  }

  #writeNow(offset: number, bytes: Uint8Array, mostBytes: number): void {
    let done = 0
    while (done < bytes.length) {
      const file = this.fileAt(offset + done)
      const at = offset + done - (this.starts[file] as number)
      const length = Math.min(mostBytes, bytes.length - done, (this.starts[file + 1] as number) - offset - done)
      const { fd } = this.#take(file)
      try {
        done += fs.writeSync(fd, bytes, done, length, at)
      } catch (error) {
        throw diskError(error, this.#options.pathOf(file))
      }
    }
  }

  async #writeLater(offset: number, bytes: Uint8Array): Promise<void> {
    let done = 0
    while (done < bytes.length) {
      const file = this.fileAt(offset + done)
      const at = offset + done - (this.starts[file] as number)
      const length = Math.min(bytes.length - done, (this.starts[file + 1] as number) - offset - done)
      done += await this.#later(file, (fd, settle) => fs.write(fd, bytes, done, length, at, settle))
    }
  }

  /** A call in the thread pool; the descriptor stays open until it is back. */
  #later(
    file: number,
    call: (fd: number, settle: (error: Error | null, count: number) => void) => void,
  ): Promise<number> {
    const open = this.#take(file)
    open.busy++
    return new Promise((resolve, reject) => {
      call(open.fd, (error, count) => {
        open.busy--
        if (open.isDropped && open.busy === 0) fs.closeSync(open.fd)
        if (error === null) resolve(count)
        else reject(diskError(error, this.#options.pathOf(file)))
      })
    })
  }

  #take(file: number): OpenFile {
    if (file === this.#lastFile && this.#last !== undefined) return this.#last
    let open = this.#open.get(file)
    if (open === undefined) {
      const most = this.#options.mostOpen ?? 64
      for (const oldest of this.#open.keys()) {
        if (this.#open.size < most) break
        this.#drop(oldest)
      }
      try {
        open = { fd: this.#options.open(file), busy: 0, isDropped: false }
      } catch (error) {
        throw diskError(error, this.#options.pathOf(file))
      }
    } else this.#open.delete(file)
    this.#open.set(file, open)
    this.#lastFile = file
    this.#last = open
    return open
  }

  #drop(file: number): void {
    const open = this.#open.get(file)
    if (open === undefined) return
    this.#open.delete(file)
    if (file === this.#lastFile) this.#last = undefined
    open.isDropped = true
    if (open.busy === 0) fs.closeSync(open.fd)
  }

  #short(file: number): RdvError {
    const name = this.#options.pathOf(file)
    return new RdvError("corrupt", `The file has become shorter: ${shownPath(name)}`)
  }
}
