/** A web stream that Go reads: as much as it asks for, when it asks. */

import { RdvError } from "../../../base/error.ts"
import { windowBytes } from "./bridge.ts"
import { hostError } from "./host-error.ts"

export class Inlet {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  /** What was read and not taken yet. */
  #piece: Uint8Array = nothing
  #isAtEnd = false
  #failure: RdvError | undefined

  constructor(stream: ReadableStream<Uint8Array> | null | undefined) {
    this.#reader = stream?.getReader()
    this.#isAtEnd = this.#reader === undefined
  }

  /** The next bytes, none at the end; a promise: ask again when it has settled. Throws what the stream fails with. */
  read(most: number): Uint8Array | Promise<undefined> {
    if (this.#failure !== undefined) throw this.#failure
    if (this.#piece.length === 0) return this.#isAtEnd ? nothing : this.#next()
    const length = Math.min(most, windowBytes)
    const taken = this.#piece.subarray(0, length)
    this.#piece = this.#piece.subarray(length)
    return taken
  }

  /** Nobody reads any more. */
  cancel(): void {
    if (this.#isAtEnd || this.#failure !== undefined) return
    this.#failure = new RdvError("closed", "The body is closed")
    this.#piece = nothing
    // A producer's own trouble with its end is its own.
    this.#reader?.cancel(this.#failure).catch(() => undefined)
  }

  async #next(): Promise<undefined> {
    try {
      while (this.#piece.length === 0) {
        const { done, value } = (await this.#reader?.read()) ?? { done: true, value: undefined }
        if (this.#failure !== undefined) return
        if (done) {
          this.#isAtEnd = true
          return
        }
        if (!(value instanceof Uint8Array)) throw new RdvError("bad_response", "A body gave something else than bytes")
        this.#piece = value
      }
    } catch (thrown) {
      this.#failure ??= hostError(thrown, "connection_reset")
    }
  }
}

const nothing = new Uint8Array(0)
