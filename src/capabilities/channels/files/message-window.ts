/**
 * Message boundaries on a file. A read(2) of the Linux client is a loop of Treads that ends when the caller's buffer is
 * full or when an answer is empty, so a message that is shorter than the request is followed by one empty answer at the
 * position behind it: the loop ends there, and the program has exactly the message.
 *
 *     read(2) of 4096:   Tread 0 4096 ─▶ "hello\n"     Tread 6 4090 ─▶ ""       the program gets "hello\n"
 *     read(2) of 4096:   Tread 6 4096 ─▶ waits for the next message
 *
 * The two Treads at 6 can be equal to the bit when the buffer is larger than what a Tread can ask for; the window
 * remembers which of them is owed the empty answer. Positions count what this open file has received. The last message stays
 * readable, because shells read ahead and seek back to behind the line that they wanted.
 */

import { emptyBytes } from "../../../base/bytes.ts"

export class MessageWindow {
  #bytes: Uint8Array = emptyBytes
  /** Position of the first byte. */
  #start = 0
  #isEndOwed = false

  /** A message begins at the position where it was asked for. */
  begin(offset: number, bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#start = offset
    this.#isEndOwed = false
  }

  /**
   * The answer for a request, empty for the end of the message; undefined: it asks for another message. `full` as in
   * `ReadRequest`: such a request may be one of several of a read(2), so a message never fills it with its last byte. The
   * byte that is held back makes the client ask again, and what it asks for then tells where its buffer ends.
   */
  read(offset: number, count: number, full: boolean): Uint8Array | undefined {
    const end = this.#start + this.#bytes.length
    if (offset === end && this.#isEndOwed) {
      this.#isEndOwed = false
      return emptyBytes
    }
    if (offset < this.#start || offset >= end) return undefined
    const rest = end - offset
    const held = full && rest === count && count > 1 ? 1 : 0
    const given = Math.min(count, rest) - held
    this.#isEndOwed = given === rest && given < count
    const at = offset - this.#start
    return this.#bytes.subarray(at, at + given)
  }

  /** The message is proven: only its last part is kept, for those who seek back. */
  shrink(): void {
    const excess = this.#bytes.length - keptBytes
    if (excess <= 0) return
    // `slice` of a Buffer would keep the whole.
    this.#bytes = new Uint8Array(this.#bytes.subarray(excess))
    this.#start += excess
  }
}

/** More than what any program reads at once through stdio with the block size that we tell. */
const keptBytes = 131_072
