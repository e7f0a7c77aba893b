/**
 * The client's side of an exchange (docs/protocol.md, section 9.2): a request goes out on a stream that the caller opens,
 * the answer comes back as a response. Bodies stream both ways, at the pace of whoever reads.
 */

import { RdvError } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import { readResponseHead } from "../../../http1/read-head.ts"
import { IncomingBody } from "./incoming-body.ts"
import { headersFrom } from "./message-head.ts"
import { OutgoingBody } from "./outgoing-body.ts"

/**
 * Rejects with the `RdvError` that ended the stream, `cancelled` when the request's signal fires, `bad_response` for an
 * answer that is none, or what `open` throws. After that, the same errors end the body. `open` gets the head of the request.
 */
export async function fetchOver(open: (head: JsonObject) => Stream, request: Request): Promise<Response> {
  if (request.signal.aborted) throw cancelled(request.signal)
  const body = await bodyOf(request)
  const { pathname, search, host } = new URL(request.url)
  const headers = ["host", host]
  let length = false
  for (const [name, value] of request.headers) {
    if (name === "host" || name === "connection" || name === "transfer-encoding" || name === "upgrade") continue
    length ||= name === "content-length"
    headers.push(name, value)
  }
  const kind = body === null ? "none" : length ? "length" : "chunked"
  const stream = open({ method: request.method, target: pathname + search, headers, minor: 1, body: kind })
  return await new Fetch(stream, request).run(body)
}

class Fetch implements StreamSink {
  readonly #stream: Stream
  readonly #request: Request
  readonly #outgoing: OutgoingBody
  readonly #incoming: IncomingBody
  readonly #response: PromiseWithResolvers<Response> = Promise.withResolvers()
  readonly #onAbort: () => void
  #hasHead = false
  /** The whole request has been sent. */
  #isSent = false
  /** The whole answer has arrived. */
  #isWhole = false
  #isOver = false

  constructor(stream: Stream, request: Request) {
    this.#stream = stream
    this.#request = request
    this.#outgoing = new OutgoingBody(stream)
    this.#incoming = new IncomingBody(
      (bytes) => stream.consumed(bytes),
      () => this.#give("cancelled"),
    )
    this.#onAbort = () => this.#fail(cancelled(request.signal), "cancelled")
  }

  run(body: ReadableStream<Uint8Array> | null): Promise<Response> {
    this.#request.signal.addEventListener("abort", this.#onAbort, { once: true })
    this.#stream.attach(this)
    if (body === null) this.#sent()
    else this.#upload(body)
    // While a body was read whole, it may have fired unheard.
    if (this.#request.signal.aborted) this.#onAbort()
    return this.#response.promise
  }

  #upload(body: ReadableStream<Uint8Array>): void {
    this.#outgoing.send(body).then(
      (whole) => {
        if (whole) this.#sent()
      },
      (thrown: unknown) => {
        const message = thrown instanceof Error ? thrown.message : String(thrown)
        this.#fail(
          new RdvError("cancelled", `The body of the request failed: ${message}`, { cause: thrown }),
          "cancelled",
        )
      },
    )
  }

  #sent(): void {
    this.#isSent = true
    this.#stream.end()
  }

  data(chunk: Uint8Array): void {
    if (this.#hasHead) this.#incoming.data(chunk)
    else this.#stream.consumed(chunk.length)
  }

  meta(block: JsonObject): void {
    // Trailers: responses of the web platform have none.
    if (this.#hasHead || this.#isOver) return
    const { status } = block
    if (typeof status === "number" && status >= 100 && status < 200 && status !== 101) return
    try {
      this.#response.resolve(this.#begin(block))
    } catch (thrown) {
      const message = thrown instanceof Error ? thrown.message : String(thrown)
      this.#fail(new RdvError("bad_response", `An answer that is none: ${message}`, { cause: thrown }), "bad_response")
    }
  }

  #begin(block: JsonObject): Response {
    const { status, reason, headers } = readResponseHead(block)
    const isBare = this.#request.method === "HEAD" || status === 204 || status === 205 || status === 304
    const body = isBare ? null : this.#incoming.stream
    const response = new Response(body, { status, statusText: reason, headers: headersFrom(headers) })
    this.#hasHead = true
    if (isBare) this.#incoming.drop()
    return response
  }

  end(): void {
    if (!this.#hasHead) {
      this.#fail(new RdvError("bad_response", "The answer ended before its head"), "bad_response")
      return
    }
    this.#isWhole = true
    this.#incoming.end()
    this.#leave()
    if (this.#isSent) return
    // Nobody reads the rest of our body any more, and it must not look whole.
    this.#outgoing.stop(new RdvError("closed", "The answer came before all of the request was sent"))
    this.#stream.reset("cancelled")
  }

  drain(): void {
    this.#outgoing.drain()
  }

  closed(error: RdvError | undefined): void {
    if (this.#isWhole) {
      this.#leave()
      return
    }
    this.#fail(error ?? new RdvError("closed", "The stream was closed before the answer was whole"), undefined)
  }

  /** Ends it from here, without an error for who reads. */
  #give(code: "cancelled"): void {
    if (this.#isOver || this.#isWhole) return
    this.#leave()
    this.#outgoing.stop(new RdvError("cancelled"))
    this.#stream.reset(code)
  }

  #fail(error: RdvError, code: "cancelled" | "bad_response" | undefined): void {
    if (this.#isOver || this.#isWhole) return
    this.#leave()
    this.#outgoing.stop(error)
    if (this.#hasHead) this.#incoming.fail(error)
    else this.#response.reject(error)
    if (code !== undefined) this.#stream.reset(code, code === "cancelled" ? "" : error.message)
  }

  #leave(): void {
    this.#isOver = true
    this.#request.signal.removeEventListener("abort", this.#onAbort)
  }
}

/** Firefox gives no stream of a request's body: then it is read whole. */
async function bodyOf(request: Request): Promise<ReadableStream<Uint8Array> | null> {
  const { body } = request as { readonly body: ReadableStream<Uint8Array> | null | undefined }
  if (body !== undefined) return body
  const bytes = await request.arrayBuffer()
  return bytes.byteLength === 0 ? null : new Response(bytes).body
}

function cancelled(signal: AbortSignal): RdvError {
  return new RdvError("cancelled", "The request was cancelled", { cause: signal.reason })
}
