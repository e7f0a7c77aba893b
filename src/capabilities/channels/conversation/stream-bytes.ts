/** A stream of a session as what a 9P conversation runs over. */

import type { RdvError } from "../../../base/error.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import type { ByteLink } from "../../../ninep/byte-link.ts"

/** Attaches to the stream; nobody else may. */
export function streamBytes(stream: Stream): ByteLink {
  return new StreamBytes(stream)
}

class StreamBytes implements ByteLink, StreamSink {
  onData: ((bytes: Uint8Array) => void) | undefined
  onDrain: (() => void) | undefined
  onClose: ((error: Error | undefined) => void) | undefined
  readonly #stream: Stream
  #isPaused = false
  /** Arrived during a pause; its credit is not given back, so it is bounded by the stream's window. */
  #held: Uint8Array[] = []
  #hasEnded = false
  /** What still comes in is dropped. */
  #isClosing = false

  constructor(stream: Stream) {
    this.#stream = stream
    // Behind the caller, who sets what is called first.
    queueMicrotask(() => stream.attach(this))
  }

  write(bytes: Uint8Array): boolean {
    // A stream copies what it is given, and asks all the same to be waited for.
    return this.#stream.write(bytes)
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    for (let bytes = this.#held.shift(); bytes !== undefined; bytes = this.#held.shift()) {
      this.#give(bytes)
      // What is given may ask for the next pause.
      if (this.#isPaused as boolean) return
    }
    if (this.#hasEnded) this.#stream.end()
  }

  close(): void {
    this.#isClosing = true
    this.#stream.end()
  }

  data(chunk: Uint8Array): void {
    if (this.#isPaused || this.#held.length > 0) this.#held.push(chunk)
    else this.#give(chunk)
  }

  meta(): void {
    this.#stream.reset("protocol", "A 9P conversation has no metadata")
  }

  /** 9P has no half-close: whoever sends nothing more has left. */
  end(): void {
    this.#hasEnded = true
    if (!this.#isPaused) this.#stream.end()
  }

  drain(): void {
    this.onDrain?.()
  }

  closed(error: RdvError | undefined): void {
    this.onClose?.(error)
  }

  #give(bytes: Uint8Array): void {
    if (!this.#isClosing) this.onData?.(bytes)
    this.#stream.consumed(bytes.length)
  }
}
