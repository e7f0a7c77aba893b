/**
 * What was sent and not yet acknowledged, by reference. Positions count the bytes of sequenced frames since the session
 * began. An entry is one batch of whole frames, so that a replay can be cut into checked batches again.
 *
 *     0 ······ start ────── cursor ────── end
 *       acked        sent on      not yet sent
 *                    this link    on this link
 */

import { RdvError } from "../base/error.ts"

interface Entry {
  readonly parts: readonly Uint8Array[]
  readonly end: number
}

export class ReplayLog {
  #entries: Entry[] = []
  #head = 0
  #start = 0
  #end = 0
  #cursor = 0

  /** Everything before it is acknowledged. */
  get start(): number {
    return this.#start
  }

  /** The position after the last byte that was appended. */
  get end(): number {
    return this.#end
  }

  /** Unacknowledged bytes. */
  get bytes(): number {
    return this.#end - this.#start
  }

  /** True while the link has not carried everything. */
  get replaying(): boolean {
    return this.#cursor < this.#end
  }

  /** Adds a batch that is sent on the current link at once; only while not replaying. */
  append(parts: readonly Uint8Array[], bytes: number): void {
    this.#end += bytes
    this.#cursor = this.#end
    this.#entries.push({ parts, end: this.#end })
  }

  /** The peer has applied everything before `position`. Throws `protocol` for a position that was never sent. */
  acknowledge(position: number): void {
    if (position > this.#end) {
      throw new RdvError("protocol", `The peer acknowledges byte ${position}, but only ${this.#end} were sent`)
    }
    if (position <= this.#start) return
    this.#start = position
    let head = this.#head
    const entries = this.#entries
    while (head < entries.length && (entries[head] as Entry).end <= position) head++
    if (head === entries.length) {
      this.#entries = []
      this.#head = 0
    } else if (head > 256 && head * 2 > entries.length) {
      this.#entries = entries.slice(head)
      this.#head = 0
    } else {
      for (let at = this.#head; at < head; at++) entries[at] = released
      this.#head = head
    }
  }

  /** A new link: what follows `position` has to be sent again. Returns the bytes that will be sent twice. */
  rewind(position: number): number {
    if (position < this.#start) {
      throw new RdvError("protocol", `The peer asks for byte ${position}, but ${this.#start} are acknowledged`)
    }
    this.acknowledge(position)
    const again = this.#cursor - position
    this.#cursor = position
    return Math.max(0, again)
  }

  /** The next batch to send again; the cursor moves behind it. */
  next(): Uint8Array[] {
    let index = this.#head
    while ((this.#entries[index] as Entry).end <= this.#cursor) index++
    const entry = this.#entries[index] as Entry
    let left = entry.end - this.#cursor
    const parts: Uint8Array[] = []
    for (let at = entry.parts.length - 1; left > 0; at--) {
      const part = entry.parts[at] as Uint8Array
      parts.push(part.length <= left ? part : part.subarray(part.length - left))
      left -= Math.min(left, part.length)
    }
    this.#cursor = entry.end
    return parts.reverse()
  }

  /** Drops everything: the session is over. */
  clear(): void {
    this.#entries = []
    this.#head = 0
    this.#start = this.#cursor = this.#end
  }
}

/** Stands where an acknowledged entry stood until the array is cut, so that its bytes can be collected. */
const released: Entry = { parts: [], end: 0 }
