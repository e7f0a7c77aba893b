/** Reads a run of files from the front to the back in large windows, the next one while the last one is being worked on. */

import type { FileSet } from "./file-set.ts"

const windowBytes = 2 * 1024 * 1024

interface Window {
  readonly offset: number
  readonly memory: Buffer
  readonly bytes: Buffer
  readonly filled: Promise<void>
}

export class WindowReader {
  readonly #files: FileSet
  readonly #windowBytes: number
  readonly #spare: Buffer[] = []
  #shown: Window | undefined
  #next: Window | undefined

  /** Windows are a whole number of `unitBytes`, but for the last one. */
  constructor(files: FileSet, unitBytes: number) {
    this.#files = files
    this.#windowBytes = Math.max(1, Math.floor(windowBytes / unitBytes)) * unitBytes
  }

  /**
   * The bytes from `offset`, as many as a window has, or up to the end: valid until the next call. With `ahead`, the next
   * window is expected to follow.
   */
  async read(offset: number, ahead: boolean): Promise<Uint8Array> {
    if (this.#shown !== undefined) this.#spare.push(this.#shown.memory)
    this.#shown = undefined
    let window = this.#next
    this.#next = undefined
    if (window !== undefined && window.offset !== offset) {
      await window.filled.catch(() => undefined)
      this.#spare.push(window.memory)
      window = undefined
    }
    window ??= this.#begin(offset)
    await window.filled
    this.#shown = window
    const next = offset + window.bytes.length
    if (ahead && next < this.#files.totalBytes) this.#next = this.#begin(next)
    return window.bytes
  }

  /** Waits for what is under way, so that files may be closed. */
  async close(): Promise<void> {
    await this.#next?.filled.catch(() => undefined)
    this.#next = undefined
  }

  #begin(offset: number): Window {
    const length = Math.min(this.#windowBytes, this.#files.totalBytes - offset)
    const memory = this.#spare.pop() ?? Buffer.allocUnsafeSlow(Math.min(this.#windowBytes, this.#files.totalBytes))
    const bytes = memory.subarray(0, length)
    const filled = this.#files.readLater(offset, bytes)
    // Whoever waits for it hears of a failure; until then nobody does.
    filled.catch(() => undefined)
    return { offset, memory, bytes, filled }
  }
}
