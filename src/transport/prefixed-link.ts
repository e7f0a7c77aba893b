/** A link some of whose bytes were read before: whoever attaches gets them first. */

import { concat } from "../base/bytes.ts"
import type { RdvError } from "../base/error.ts"
import type { Link, LinkSink } from "../mux/link.ts"

export class PrefixedLink implements Link {
  readonly #link: Link
  #head: Uint8Array | undefined

  /** `head` belongs to this link from now on. */
  constructor(link: Link, head: Uint8Array) {
    this.#link = link
    this.#head = head
  }

  get kind(): string {
    return this.#link.kind
  }

  get peer(): string {
    return this.#link.peer
  }

  get protected(): boolean {
    return this.#link.protected
  }

  get queuedBytes(): number {
    return this.#link.queuedBytes
  }

  /** More was read before somebody attached. */
  append(bytes: Uint8Array): void {
    this.#head = this.#head === undefined ? new Uint8Array(bytes) : concat([this.#head, bytes])
  }

  attach(sink: LinkSink): void {
    const head = this.#head
    this.#head = undefined
    if (head !== undefined) sink.data(head)
    this.#link.attach(sink)
  }

  send(parts: readonly Uint8Array[]): boolean {
    return this.#link.send(parts)
  }

  pause(): void {
    this.#link.pause()
  }

  resume(): void {
    this.#link.resume()
  }

  recycle(bytes: Uint8Array): void {
    this.#link.recycle?.(bytes)
  }

  close(): void {
    this.#link.close()
  }

  abort(error: RdvError): void {
    this.#link.abort(error)
  }
}
