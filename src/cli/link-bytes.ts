/** A link as what a 9P conversation runs over. */

import type { RdvError } from "../base/error.ts"
import type { Link, LinkSink } from "../mux/link.ts"
import type { ByteLink } from "../ninep/byte-link.ts"

/** Attaches to the link; nobody else may. */
export function linkBytes(link: Link): ByteLink {
  return new LinkBytes(link)
}

class LinkBytes implements ByteLink, LinkSink {
  onData: ((bytes: Uint8Array) => void) | undefined
  onDrain: (() => void) | undefined
  onClose: ((error: Error | undefined) => void) | undefined
  readonly #link: Link

  constructor(link: Link) {
    this.#link = link
    // Behind the caller, who sets what is called first.
    queueMicrotask(() => link.attach(this))
  }

  write(bytes: Uint8Array): boolean {
    // A link keeps the reference for as long as the kernel does not take the bytes, and does not tell when that is below its mark.
    const copy = Buffer.allocUnsafe(bytes.length)
    copy.set(bytes)
    return this.#link.send([copy])
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

  data(bytes: Uint8Array): boolean {
    this.onData?.(bytes)
    return false
  }

  drain(): void {
    this.onDrain?.()
  }

  closed(error: RdvError | undefined): void {
    this.onClose?.(error)
  }
}
