/**
 * Sends a web stream over a stream of ours, as fast as the other side takes it and not faster. An answer that is whole within
 * a moment leaves in one piece with its head: a tab that is closed in between would leave a visitor with half of it.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Stream } from "../../../base/stream.ts"

/** A chunk of an application may be of any size: it is written in pieces, so that a full stream holds no more than one. */
const pieceBytes = 64 * 1024
/** What is held back until the answer is whole, bytes and ms: what takes longer is a stream, and its head should not wait. */
const heldBytes = 64 * 1024
const heldMs = 5

/** A head that leaves with the first bytes of its body. */
export interface LateHead {
  readonly clock: Clock
  /** Sends it; with the length of the body, if that is known by then. */
  readonly send: (wholeBytes: number | undefined) => void
}

export class OutgoingBody {
  readonly #stream: Stream
  readonly #head: LateHead | undefined
  /** What waits for the rest; undefined once the head has left. */
  #held: Uint8Array[] | undefined
  #timer: Timer | undefined
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  #drained: (() => void) | undefined
  #isOver = false

  /** Without a head there is none to send, or it has left. */
  constructor(stream: Stream, head?: LateHead) {
    this.#stream = stream
    this.#head = head
    if (head !== undefined) this.#held = []
  }

  /**
   * Resolves when all of it is written; `end` is the caller's. Rejects with what the body fails with. Stopped: false.
   * `isEndless`: it is known to be no whole answer, so that the head leaves at once.
   */
  async send(body: ReadableStream<Uint8Array>, isEndless = false): Promise<boolean> {
    if (isEndless) this.#release()
    else this.#timer = this.#head?.clock.after(heldMs, () => this.#release())
    try {
      return await this.#send(body)
    } finally {
      this.#timer?.cancel()
    }
  }

  async #send(body: ReadableStream<Uint8Array>): Promise<boolean> {
    let bytes = 0
    if (this.#isOver) {
      await body.cancel()
      return false
    }
    const reader = body.getReader()
    this.#reader = reader
    for (;;) {
      const { done, value } = await reader.read()
      if (this.#isOver) return false
      if (done) {
        this.#release(bytes)
        return true
      }
      if (!(value instanceof Uint8Array)) {
        const error = new RdvError("bad_response", "A body gave something else than bytes (Uint8Array)")
        reader.cancel(error).catch(ignore)
        throw error
      }
      bytes += value.length
      if (this.#held !== undefined && bytes <= heldBytes) {
        this.#held.push(value)
        continue
      }
      this.#release()
      for (let at = 0; at < value.length; at += pieceBytes) {
        if (this.#stream.write(value.subarray(at, at + pieceBytes))) continue
        await new Promise<void>((resolve) => (this.#drained = resolve))
        if (this.#isOver) return false
      }
    }
  }

  /** The head and what waited behind it. */
  #release(wholeBytes?: number): void {
    const held = this.#held
    if (held === undefined || this.#isOver) return
    this.#held = undefined
    this.#head?.send(wholeBytes)
    for (const part of held) this.#stream.write(part)
  }

  /** The stream has room. */
  drain(): void {
    const drained = this.#drained
    this.#drained = undefined
    drained?.()
  }

  /** Nobody wants it any more: whoever makes it is told. */
  stop(error: RdvError): void {
    if (this.#isOver) return
    this.#isOver = true
    // A producer's own trouble with its end is its own.
    this.#reader?.cancel(error).catch(ignore)
    this.drain()
  }
}

function ignore(): void {}
