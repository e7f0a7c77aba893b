/**
 * What `tail -f` looks at. It reads when the file's time or size has changed, and takes a size below what it has read for a
 * truncated file. So the size is what has been read through this inode while somebody has it open, and the time is now for
 * as long as something waits to be read.
 */

import type { Reader } from "../core/reader.ts"

/** One for each inode that is open. */
export class TailProgress {
  readonly #readers: Set<Reader> = new Set()
  #bytes = 0

  get length(): number {
    return this.#bytes
  }

  /** Something is there for one of its readers. */
  get isBehind(): boolean {
    for (const reader of this.#readers) if (reader.channel.canReceive(undefined, reader)) return true
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
    if (this.#readers.size === 0) this.#bytes = 0
  }

  count(bytes: number): void {
    this.#bytes += bytes
  }
}
