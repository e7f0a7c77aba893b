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
  /** The first entry that is not wholly before the cursor. */
  #next = 0
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

  /** The position behind the last byte that the link was given. */
  get sent(): number {
    return this.#cursor
  }

  /** Adds a batch that is sent on the current link at once; while replaying, it waits behind the others. */
  append(parts: readonly Uint8Array[], bytes: number): void {
    const behind = this.replaying
    this.#end += bytes
    this.#entries.push({ parts, end: this.#end })
    if (behind) return
    this.#cursor = this.#end
    this.#next = this.#entries.length
  }

  /** The peer has applied everything before `position`. Throws `protocol` for a position that was never sent. */
  acknowledge(position: number): void {
    if (position > this.#end) {
      throw new RdvError("protocol", `The peer acknowledges byte ${position}, but only ${this.#end} were sent`)
    }
    if (position <= this.#start) return
    this.#start = position
    if (this.#cursor < position) this.#cursor = position
    let head = this.#head
    const entries = this.#entries
    while (head < entries.length && (entries[head] as Entry).end <= position) head++
    if (head === entries.length) {
      this.#entries = []
      this.#head = this.#next = 0
    } else if (head > 256 && head * 2 > entries.length) {
      this.#entries = entries.slice(head)
      this.#next = Math.max(0, this.#next - head)
      this.#head = 0
    } else {
      for (let at = this.#head; at < head; at++) entries[at] = released
      this.#head = head
      this.#next = Math.max(this.#next, head)
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
    this.#next = this.#head
    return Math.max(0, again)
  }

  /** What to send again next: at least one batch, more while they are together at most `mostBytes`. The cursor moves behind. */
  next(mostBytes: number): Uint8Array[] {
    const from = this.#cursor
    const parts: Uint8Array[] = []
    do {
      const entry = this.#entries[this.#next++] as Entry
      appendTail(parts, entry, entry.end - this.#cursor)
      this.#cursor = entry.end
    } while (this.#next < this.#entries.length && (this.#entries[this.#next] as Entry).end - from <= mostBytes)
    return parts
  }

  /** Drops everything: the session is over. */
  clear(): void {
    this.#entries = []
    this.#head = this.#next = 0
    this.#start = this.#cursor = this.#end
  }
}

/** Adds the last `bytes` of an entry's parts. */
function appendTail(parts: Uint8Array[], entry: Entry, bytes: number): void {
  let skip = -bytes
  for (const part of entry.parts) skip += part.length
  for (const part of entry.parts) {
    if (skip < part.length) parts.push(skip > 0 ? part.subarray(skip) : part)
    skip = Math.max(0, skip - part.length)
  }
}

/** Stands where an acknowledged entry stood until the array is cut, so that its bytes can be collected. */
const released: Entry = { parts: [], end: 0 }
