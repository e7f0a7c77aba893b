/**
 * What goes out over one link: messages of a turn are put together and written at once, and while the link is full they
 * wait here. The owner looks at `isFull` and stops what feeds it.
 */

import type { ByteLink } from "../../../ninep/byte-link.ts"

const firstRoom = 16_384
/** Larger memory is not kept for the next messages. */
const keptRoom = 262_144

export class Outbox {
  readonly #link: ByteLink
  readonly #fullBytes: number
  #room: Uint8Array = new Uint8Array(firstRoom)
  #used = 0
  /** Memory that the link still looks at. */
  #lent: Uint8Array | undefined
  #spare: Uint8Array | undefined

  constructor(link: ByteLink, fullBytes: number) {
    this.#link = link
    this.#fullBytes = fullBytes
  }

  get isFull(): boolean {
    return this.#used >= this.#fullBytes
  }

  /** Copies the bytes; `flush` sends them. */
  add(bytes: Uint8Array, start: number = 0, end: number = bytes.length): void {
    const used = this.#used + end - start
    if (used > this.#room.length) {
      const room = new Uint8Array(Math.max(used, this.#room.length * 2))
      room.set(this.#room.subarray(0, this.#used))
      this.#room = room
    }
    this.#room.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.#used)
    this.#used = used
  }

  flush(): void {
    if (this.#used === 0 || this.#lent !== undefined) return
    const room = this.#room
    const bytes = room.subarray(0, this.#used)
    this.#used = 0
    // Before the call: whoever hears of the bytes within it may already add more.
    this.#lent = room
    this.#room = this.#spare ?? new Uint8Array(firstRoom)
    this.#spare = undefined
    if (this.#link.write(bytes)) this.drained()
  }

  /** The link has room again. */
  drained(): void {
    const lent = this.#lent
    if (lent === undefined) return
    this.#lent = undefined
    if (lent.length <= keptRoom) this.#spare = lent
    this.flush()
  }
}
