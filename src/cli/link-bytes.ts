/** A link as what a 9P conversation runs over. */

import type { RdvError } from "../base/error.ts"
import type { Link, LinkSink } from "../mux/link.ts"
import type { ByteLink } from "../ninep/byte-link.ts"

/** Attaches to the link; nobody else may. */
export function linkBytes(link: Link): LinkBytes {
  return new LinkBytes(link)
}

export class LinkBytes implements ByteLink, LinkSink {
  onData: ((bytes: Uint8Array) => void) | undefined
  onDrain: (() => void) | undefined
  onClose: ((error: Error | undefined) => void) | undefined
  /** Something was written since the peer was heard last. */
  isUnheard = false
  isOver = false
  readonly #link: Link

  constructor(link: Link) {
    this.#link = link
    // Behind the caller, who sets what is called first.
    queueMicrotask(() => link.attach(this))
  }

  get peer(): string {
    return this.#link.peer
  }

  write(bytes: Uint8Array): boolean {
    this.isUnheard = true
    // A link keeps the reference for as long as the kernel does not take the bytes, and does not tell when that is below its mark.
    const { length } = bytes
    const memory = spare.length >= length ? spare : Buffer.allocUnsafeSlow(Math.max(length, spareBytes))
    memory.set(bytes)
    const hasRoom = this.#link.send([memory.subarray(0, length)])
    // Mostly the kernel has taken them at once: what is written next may stand in the same place.
    spare = this.#link.queuedBytes === 0 && memory.length === spareBytes ? memory : none
    return hasRoom
  }

  pause(): void {
    this.#link.pause()
  }

  resume(): void {
    this.#link.resume()
  }

  close(): void {
    this.#link.close()
  }

  /** Ends it at once. */
  cut(error: RdvError): void {
    this.#link.abort(error)
  }

  data(bytes: Uint8Array): boolean {
    this.isUnheard = false
    this.onData?.(bytes)
    return false
  }

  drain(): void {
    this.onDrain?.()
  }

  closed(error: RdvError | undefined): void {
    this.isOver = true
    this.onClose?.(error)
  }
}

const none: Uint8Array = new Uint8Array(0)
const spareBytes = 65_536

// Process-wide on purpose: it is written and given away within one call, so all links share it.
let spare: Uint8Array = none
