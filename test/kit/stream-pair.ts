/** Two ends of a stream without a session: what one writes, the other hears in a microtask. For tests of services. */

import type { ErrorCode } from "../../src/base/error.ts"
import { RdvError } from "../../src/base/error.ts"
import type { JsonObject } from "../../src/base/json.ts"
import type { Stream, StreamSink } from "../../src/base/stream.ts"

type Event =
  | { readonly data: Uint8Array }
  | { readonly meta: JsonObject }
  | { readonly end: true }
  | { readonly closed: RdvError | undefined }

export interface StreamPairEnds {
  readonly a: Stream
  readonly b: Stream
  /** Both hear `closed` with it. */
  cut(error: RdvError): void
}

export function streamPair(service: string, header: JsonObject): StreamPairEnds {
  const a = new PairedStream(service, header)
  const b = new PairedStream(service, header)
  a.join(b)
  b.join(a)
  return {
    a,
    b,
    cut(error) {
      a.fall(error)
      b.fall(error)
    },
  }
}

class PairedStream implements Stream {
  readonly id = 1
  readonly service: string
  readonly header: JsonObject
  #peer: PairedStream | undefined
  #sink: StreamSink | undefined
  readonly #inbox: Event[] = []
  #isDue = false
  #hasEnded = false
  #peerEnded = false
  #isOver = false

  constructor(service: string, header: JsonObject) {
    this.service = service
    this.header = header
  }

  join(peer: PairedStream): void {
    this.#peer = peer
  }

  attach(sink: StreamSink): void {
    this.#sink = sink
    this.#wake()
  }

  write(chunk: Uint8Array): boolean {
    if (!this.#hasEnded && !this.#isOver) this.#peer?.hear({ data: chunk.slice() })
    return true
  }

  meta(block: JsonObject): boolean {
    // As it is on the wire: what JSON does not carry is lost.
    if (!this.#hasEnded && !this.#isOver) this.#peer?.hear({ meta: JSON.parse(JSON.stringify(block)) as JsonObject })
    return true
  }

  end(): void {
    if (this.#hasEnded || this.#isOver) return
    this.#hasEnded = true
    this.#peer?.hear({ end: true })
    if (this.#peerEnded) this.fall(undefined)
  }

  reset(code: ErrorCode, reason?: string): void {
    if (this.#isOver) return
    this.#peer?.hear({ closed: new RdvError(code, reason, { origin: "remote" }) })
    this.fall(new RdvError(code, reason))
  }

  consumed(): void {}

  hear(event: Event): void {
    this.#inbox.push(event)
    this.#wake()
  }

  fall(error: RdvError | undefined): void {
    this.#inbox.length = 0
    this.hear({ closed: error })
  }

  #wake(): void {
    if (this.#isDue || this.#sink === undefined) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      for (let event = this.#inbox.shift(); event !== undefined; event = this.#inbox.shift()) this.#deliver(event)
    })
  }

  #deliver(event: Event): void {
    if (this.#isOver) return
    if ("data" in event) this.#sink?.data(event.data)
    else if ("meta" in event) this.#sink?.meta(event.meta)
    else if ("end" in event) {
      this.#peerEnded = true
      this.#sink?.end()
      if (this.#hasEnded) this.#close(undefined)
    } else this.#close(event.closed)
  }

  #close(error: RdvError | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#sink?.closed(error)
  }
}
