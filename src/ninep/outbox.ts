/**
 * Messages on their way to a link: written behind one another into one piece of memory, which leaves when the current
 * work is done, so that many small messages are one write. While the link is full, what is added waits here.
 */

import { Fifo } from "../base/fifo.ts"
import type { ByteLink } from "./byte-link.ts"

/** What one write takes; a larger message gets memory of its own. */
const batchBytes = 32 * 1024

export class Outbox {
  readonly #link: ByteLink
  readonly #waiting = new Fifo<Uint8Array>()
  readonly #leave: () => void = () => {
    this.#scheduled = false
    this.flush()
  }
  #bytes: Uint8Array = new Uint8Array(batchBytes)
  #used = 0
  #waitingBytes = 0
  #scheduled = false
  #full = false
  #over = false

  constructor(link: ByteLink) {
    this.#link = link
  }

  /** Where `reserve` has made room. */
  get bytes(): Uint8Array {
    return this.#bytes
  }

  /** What the link has not been given yet. */
  get queuedBytes(): number {
    return this.#waitingBytes + this.#used
  }

  /** True from a write that filled the link until `drain`. */
  get full(): boolean {
    return this.#full
  }

  /** Room for a message of `size` in `bytes`; the caller fills it before it does anything else. Returns where it begins. */
  reserve(size: number): number {
    if (this.#used + size > this.#bytes.length) {
      this.#seal()
      if (size > this.#bytes.length) this.#bytes = new Uint8Array(size)
    }
    const at = this.#used
    this.#used = at + size
    if (!this.#scheduled && !this.#full) {
      this.#scheduled = true
      queueMicrotask(this.#leave)
    }
    return at
  }

  /** Gives the link what is there. */
  flush(): void {
    if (this.#over) return
    while (!this.#full && this.#waiting.length > 0) {
      const bytes = this.#waiting.shift() as Uint8Array
      this.#waitingBytes -= bytes.length
      this.#full = !this.#link.write(bytes)
    }
    if (this.#full || this.#used === 0) return
    const used = this.#used
    this.#used = 0
    this.#full = !this.#link.write(this.#bytes.subarray(0, used))
    // The link still looks at it, or it was for one large message.
    if (this.#full || this.#bytes.length !== batchBytes) this.#bytes = new Uint8Array(batchBytes)
  }

  /** The link has said that there is room. */
  drain(): void {
    this.#full = false
    this.flush()
  }

  /** Nothing leaves any more. */
  stop(): void {
    this.#over = true
    this.#waiting.clear()
    this.#waitingBytes = 0
    this.#used = 0
  }

  /** The memory is full: it leaves, or waits for the link. */
  #seal(): void {
    if (!this.#full) {
      this.flush()
      if (this.#used === 0) return
    }
    if (this.#used > 0) {
      this.#waiting.push(this.#bytes.subarray(0, this.#used))
      this.#waitingBytes += this.#used
    }
    this.#used = 0
    this.#bytes = new Uint8Array(batchBytes)
  }
}
