/** Sends a web stream over a stream of ours, as fast as the other side takes it and not faster. */

import { RdvError } from "../../../base/error.ts"
import type { Stream } from "../../../base/stream.ts"

/** A chunk of an application may be of any size: it is written in pieces, so that a full stream holds no more than one. */
const pieceBytes = 64 * 1024

export class OutgoingBody {
  readonly #stream: Stream
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  #drained: (() => void) | undefined
  #isOver = false

  constructor(stream: Stream) {
    this.#stream = stream
  }

  /** Resolves when all of it is written; `end` is the caller's. Rejects with what the body fails with. Stopped: false. */
  async send(body: ReadableStream<Uint8Array>): Promise<boolean> {
    if (this.#isOver) {
      await body.cancel()
      return false
    }
    const reader = body.getReader()
    this.#reader = reader
    for (;;) {
      const { done, value } = await reader.read()
      if (this.#isOver) return false
      if (done) return true
      if (!(value instanceof Uint8Array)) {
        const error = new RdvError("bad_response", "A body gave something else than bytes (Uint8Array)")
        reader.cancel(error).catch(ignore)
        throw error
      }
      for (let at = 0; at < value.length; at += pieceBytes) {
        if (this.#stream.write(value.subarray(at, at + pieceBytes))) continue
        await new Promise<void>((resolve) => (this.#drained = resolve))
        if (this.#isOver) return false
      }
    }
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
