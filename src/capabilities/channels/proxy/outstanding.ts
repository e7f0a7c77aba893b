/** The requests without an answer, in the order in which they came, and those of them that have to be sent. */

import { Fifo } from "../../../base/fifo.ts"
import type { Pending } from "./request.ts"

export class Outstanding {
  readonly #byTag: Map<number, Pending> = new Map()
  #unsent: Fifo<Pending> = new Fifo()
  #bytes = 0

  get count(): number {
    return this.#byTag.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get(tag: number): Pending | undefined {
    return this.#byTag.get(tag)
  }

  /** A snapshot: answers may take some away while it is gone through. */
  all(): readonly Pending[] {
    return [...this.#byTag.values()]
  }

  add(pending: Pending): void {
    this.#byTag.set(pending.tag, pending)
    this.#bytes += pending.bytes.length
  }

  remove(pending: Pending): void {
    if (this.#byTag.get(pending.tag) === pending) {
      this.#byTag.delete(pending.tag)
      this.#bytes -= pending.bytes.length
    }
    pending.isOver = true
  }

  clear(): void {
    for (const pending of this.#byTag.values()) pending.isOver = true
    this.#byTag.clear()
    this.#unsent = new Fifo()
    this.#bytes = 0
  }

  /** It shall be sent, behind all others that shall. */
  queue(pending: Pending): void {
    this.#unsent.push(pending)
  }

  /** The next one to be sent. */
  next(): Pending | undefined {
    for (;;) {
      const pending = this.#unsent.shift()
      if (pending === undefined || !pending.isOver) return pending
    }
  }

  /** The link is gone: all shall be sent, in the order in which they came. */
  requeue(): void {
    this.#unsent = new Fifo()
    for (const pending of this.#byTag.values()) {
      pending.wasSent ||= pending.isSent
      pending.isSent = false
      pending.isBusy = false
      this.#unsent.push(pending)
    }
  }

  /** A tag that no request has, from the upper end: clients count up from 0. */
  unusedTag(below: number): number {
    let tag = below - 1
    while (tag > 0 && this.#byTag.has(tag)) tag--
    return tag
  }
}
