/**
 * Where the body of a visitor's request ends, as its framing says: bytes of the body go to the sink, those behind it are
 * the next request's. One for a connection, used again for each body.
 */

import { ChunkedDecoder } from "../../http1/chunked.ts"
import type { ChunkedSink } from "../../http1/chunked.ts"
import type { RequestFraming } from "../../http1/framing.ts"
import { badRequest } from "../../http1/http-error.ts"

export class RequestBody {
  readonly #sink: ChunkedSink
  #left = 0
  #chunked: ChunkedDecoder | undefined

  constructor(sink: ChunkedSink) {
    this.#sink = sink
  }

  begin(framing: RequestFraming): void {
    this.#left = framing.kind === "length" ? framing.length : 0
    this.#chunked = framing.kind === "chunked" ? new ChunkedDecoder(badRequest) : undefined
  }

  /** Takes bytes from `from` on; returns the offset behind the last one of the body. Throws `HttpError`. */
  push(bytes: Uint8Array, from: number): number {
    if (this.#chunked !== undefined) return this.#chunked.push(bytes, this.#sink, from)
    const end = Math.min(bytes.length, from + this.#left)
    this.#left -= end - from
    this.#sink.data(from === 0 && end === bytes.length ? bytes : bytes.subarray(from, end))
    if (this.#left === 0) this.#sink.end([])
    return end
  }
}
