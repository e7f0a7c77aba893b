/**
 * One request to Node's HTTP server as a stream, as the relay would have brought it (docs/protocol.md, section 9.2): so the
 * same code answers visitors who come by themselves and those who come through a relay.
 */

import type { IncomingMessage, ServerResponse } from "node:http"
import { RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream, StreamSink } from "../../../base/stream.ts"
import { withoutHopByHop } from "../../../http1/hop-by-hop.ts"

/** Bytes of a request's body that may wait for the application. */
const windowBytes = 256 * 1024

/** The head as a stream's header. */
export function headerOf(request: IncomingMessage): JsonObject {
  const { method = "", url = "", httpVersionMinor, rawHeaders, headers } = request
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0
  const body = hasBody ? (headers["content-length"] === undefined ? "chunked" : "length") : "none"
  return { method, target: url, minor: httpVersionMinor === 0 ? 0 : 1, headers: rawHeaders, body }
}

export class HttpStream implements Stream {
  readonly id = 0
  readonly service = "http/tab"
  readonly header: JsonObject
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  #sink: StreamSink | undefined
  /** Given to the sink and not consumed yet. */
  #flight = 0
  #hasWritten = false
  #isOver = false

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.#request = request
    this.#response = response
    this.header = headerOf(request)
  }

  attach(sink: StreamSink): void {
    const isFirst = this.#sink === undefined
    this.#sink = sink
    if (!isFirst) return
    const request = this.#request
    const response = this.#response
    request.on("data", (chunk: Buffer) => {
      this.#flight += chunk.length
      if (this.#flight >= windowBytes) request.pause()
      this.#sink?.data(chunk)
    })
    request.on("end", () => this.#sink?.end())
    // A body that breaks off ends the response, too.
    request.on("error", () => undefined)
    response.on("error", () => undefined)
    response.on("drain", () => this.#sink?.drain())
    response.on("close", () => {
      this.#over(response.writableFinished ? undefined : new RdvError("cancelled", "The visitor left"))
    })
  }

  meta(block: JsonObject): boolean {
    const { status, reason, headers } = block as { status: number; reason: string; headers: string[] }
    if (this.#isOver || this.#response.headersSent) return true
    this.#response.writeHead(status, reason, withoutHopByHop(headers, { keepUpgrade: false }))
    // Whoever waits for events wants to know that they will come.
    setImmediate(() => {
      if (!this.#hasWritten && !this.#isOver && !this.#response.writableEnded) this.#response.flushHeaders()
    })
    return true
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isOver) return true
    this.#hasWritten = true
    return this.#response.write(Buffer.from(chunk))
  }

  end(): void {
    if (!this.#isOver) this.#response.end()
  }

  reset(code: ErrorCode, reason?: string): void {
    if (this.#isOver) return
    if (this.#response.headersSent) this.#response.destroy()
    else {
      const text = `${reason ?? code}\n`
      const headers = { "content-type": "text/plain; charset=utf-8", connection: "close" }
      this.#response.writeHead(code === "protocol" ? 400 : 502, headers).end(text)
    }
    this.#over(new RdvError(code, reason))
  }

  consumed(bytes: number): void {
    this.#flight -= bytes
    if (this.#flight < windowBytes && this.#request.isPaused()) this.#request.resume()
  }

  #over(error: RdvError | undefined): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#sink?.closed(error)
  }
}
