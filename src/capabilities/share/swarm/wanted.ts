/** What a giver has that one of its takers wants: asked for each chunk, so all takers are gone through once for 32 chunks. */

import type { Member } from "./member.ts"

export class Wanted {
  readonly #words: Uint32Array
  readonly #bytes: Uint8Array
  /** The look in which each word was filled. */
  readonly #looked: Uint32Array
  #look = 0
  #giver: Member | undefined
  #takers: readonly Member[] = []

  /** `count`: chunks in all. */
  constructor(count: number) {
    this.#words = new Uint32Array((count + 31) >>> 5)
    this.#bytes = new Uint8Array(this.#words.buffer)
    this.#looked = new Uint32Array(this.#words.length)
  }

  /** Until something changes for one of them. */
  begin(giver: Member, takers: readonly Member[]): void {
    this.#giver = giver
    this.#takers = takers
    this.#look++
  }

  has(chunk: number): boolean {
    const at = chunk >>> 5
    if (this.#looked[at] !== this.#look) {
      this.#looked[at] = this.#look
      this.#words[at] = this.word(at)
    }
    return (((this.#bytes[chunk >> 3] as number) >> (chunk & 7)) & 1) === 1
  }

  /** Of 32 chunks, as in `Bitmap.word`. */
  word(at: number): number {
    const has = this.#giver?.have.word(at) ?? 0
    let wanted = 0
    if (has !== 0) for (const taker of this.#takers) wanted |= taker.wantedWord(at)
    return has & wanted
  }
}
