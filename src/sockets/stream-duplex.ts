/** A stream as Node's `Duplex`, for what has to treat it like a socket. Its bytes are copied; for bulk use `splice`. */

import { Duplex } from "node:stream"
import type { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Stream } from "../base/stream.ts"

export class StreamDuplex extends Duplex {
  readonly #stream: Stream
  /** Of bytes that nobody has read yet. */
  #owed = 0
  #goOn: (() => void) | undefined
  #isOver = false
  /** The peer has ended its direction, we ours. */
  #hasEnd = false
  #isEnding = false

  /** Takes the stream over. `onMeta` hears its metadata blocks. */
  constructor(stream: Stream, onMeta: (block: JsonObject) => void = () => undefined) {
    super({ allowHalfOpen: true })
    this.#stream = stream
    stream.attach({
      data: (chunk) => {
        if (this.push(Buffer.from(chunk))) stream.consumed(chunk.length)
        else this.#owed += chunk.length
      },
      meta: onMeta,
      end: () => {
        this.#hasEnd = true
        this.push(null)
      },
      drain: () => this.#drained(),
      closed: (error) => this.#closed(error),
    })
  }

  override _read(): void {
    const owed = this.#owed
    this.#owed = 0
    if (owed > 0) this.#stream.consumed(owed)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (this.#stream.write(chunk)) done()
    else this.#goOn = done
  }

  override _final(done: () => void): void {
    this.#isEnding = true
    this.#stream.end()
    done()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    // After both ends the stream closes by itself, when what it has queued is delivered.
    const isEnding = error === null && this.#hasEnd && this.#isEnding
    if (!this.#isOver && !isEnding) this.#stream.reset(error === null ? "cancelled" : "connection_reset")
    done(error)
  }

  #drained(): void {
    const goOn = this.#goOn
    this.#goOn = undefined
    goOn?.()
  }

  #closed(error: RdvError | undefined): void {
    this.#isOver = true
    // Whoever reads a `code` of a Duplex's error takes it for one of the system.
    if (error !== undefined) this.destroy(new Error(error.message, { cause: error }))
    else this.#drained()
  }
}
