/**
 * What `tail -f` looks at. It reads when the file's time or size has changed, of a file over a network no more than the size
 * has grown by, and takes a smaller size for a truncated file. So the size is what has been read through this inode while
 * somebody has it open, and what waits to be read; and the time is now for as long as something waits.
 */

import type { Reader } from "../core/reader.ts"

/** One for each inode that is open. */
export class TailProgress {
  readonly #readers: Set<Reader> = new Set()
  /** Read through this inode, or told as waiting and taken by another receiver since. */
  #bytes = 0
  #told = 0

  /** Never shrinks while somebody has it open. */
  get length(): number {
    let waiting = 0
    for (const reader of this.#readers) waiting = Math.max(waiting, reader.channel.waitingBytes(reader))
    this.#bytes = Math.max(this.#bytes, this.#told - waiting)
    this.#told = this.#bytes + waiting
    return this.#told
  }

  /** Something is there for one of its readers. */
  get isBehind(): boolean {
    for (const reader of this.#readers) if (reader.channel.canReceive(reader)) return true
    return false
  }

  get isOpen(): boolean {
    return this.#readers.size > 0
  }

  join(reader: Reader): void {
    this.#readers.add(reader)
  }

  leave(reader: Reader): void {
    this.#readers.delete(reader)
    if (this.#readers.size > 0) return
    this.#bytes = 0
    this.#told = 0
  }

  count(bytes: number): void {
    this.#bytes += bytes
  }
}
