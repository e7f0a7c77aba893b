/**
 * One exchange at the agent: a stream from the relay on one side, a connection to the local service on the other. Bytes
 * pass by reference; whoever is slow slows the other side and nobody else.
 */

import type { RdvError } from "../../base/error.ts"
import { asRdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import type { Stream, StreamSink } from "../../base/stream.ts"
import { chunkEnd, chunkHeader } from "../../http1/chunked.ts"
import { hasToken, isName } from "../../base/header-fields.ts"
import type { RequestHead, ResponseHead } from "../../http1/head.ts"
import { withoutHopByHop } from "../../http1/hop-by-hop.ts"
import { isIdempotent } from "../../http1/idempotent.ts"
import { readHeaders, readRequestHead } from "../../http1/read-head.ts"
import { lastChunkBytes, requestHeadBytes } from "../../http1/write-head.ts"
import type { ConnectionPool, ConnectionUser } from "./connection-pool.ts"
import type { AnswerSink, LocalConnection } from "./local-connection.ts"

export interface HttpCallOptions {
  readonly pool: ConnectionPool
  /** Replaces the visitor's Host; the visitor's stays in X-Forwarded-Host. */
  readonly hostHeader: string | undefined
  /** Hears of each answer that was complete or failed, for the agent's log. */
  readonly onDone?: (method: string, target: string, status: number, ms: number) => void
  readonly nowMs: () => number
}

/** Bytes that wait while the connection is being made stay within the stream's window. */
export class HttpCall implements StreamSink, AnswerSink, ConnectionUser {
  readonly method: string
  readonly repeatable: boolean
  readonly #stream: Stream
  readonly #options: HttpCallOptions
  readonly #target: string
  readonly #headBytes: Uint8Array
  readonly #chunked: boolean
  /** The head is the whole request. */
  readonly #headOnly: boolean
  readonly #startedAt: number
  #connection: LocalConnection | undefined
  /** What the relay sent before there was a connection. */
  #early: Uint8Array[] = []
  /** The relay's side has ended. */
  #ended = false
  #sentBody = false
  #trailers: string[] = []
  #status = 0
  #retried = false
  #over = false

  /** Throws `protocol` for a header that is no request. */
  constructor(stream: Stream, options: HttpCallOptions) {
    const head = readRequestHead(stream.header)
    const body = stream.header["body"]
    this.#stream = stream
    this.#options = options
    this.method = head.method
    this.#target = head.target
    this.#chunked = body === "chunked"
    this.#headOnly = body === "none" && !hasToken(head.headers, "connection", "upgrade")
    this.repeatable = this.#headOnly && isIdempotent(head.method)
    this.#headBytes = requestHeadBytes(rewritten(head, this.#chunked, options.hostHeader))
    this.#startedAt = options.onDone === undefined ? 0 : options.nowMs()
  }

  /** From here on the call lives by its callbacks. */
  start(): void {
    this.#options.pool.acquire(this)
    this.#stream.attach(this)
  }

  // A connection.

  connected(connection: LocalConnection): void {
    if (this.#over) {
      // The visitor left while we waited: an untouched connection can serve somebody else.
      this.#options.pool.release(connection)
      return
    }
    this.#connection = connection
    connection.begin(this, this.#headBytes, this.#headOnly)
    const early = this.#early
    this.#early = []
    for (const chunk of early) this.#send(connection, chunk)
    if (this.#ended) this.#sendEnd(connection)
  }

  failed(error: RdvError): void {
    if (this.#over) return
    this.#finish(error.code === "timeout" ? 504 : 502)
    this.#stream.reset(error.code, error.message)
  }

  // From the relay.

  data(chunk: Uint8Array): void {
    this.#sentBody = true
    if (this.#connection !== undefined) this.#send(this.#connection, chunk)
    else if (this.#over) this.#stream.consumed(chunk.length)
    else this.#early.push(chunk)
  }

  meta(block: JsonObject): void {
    if (block["trailers"] !== undefined) this.#trailers = readHeaders(block["trailers"])
  }

  end(): void {
    this.#ended = true
    if (this.#connection !== undefined) this.#sendEnd(this.#connection)
  }

  drain(): void {
    this.#connection?.resume()
  }

  closed(error: RdvError | undefined): void {
    if (this.#over) return
    this.#options.pool.withdraw(this)
    // Only an upgraded connection ends in good order before the call does.
    this.#finish(error === undefined ? this.#status : 499)
    const connection = this.#connection
    this.#connection = undefined
    if (connection === undefined) return
    // A visitor that left is told to the service at once; a clean end of an upgraded connection is a clean end here.
    if (error === undefined) connection.finish()
    else connection.cut()
  }

  // From the service.

  answerHead(head: ResponseHead): void {
    const headers = withoutHopByHop(head.headers, { keepUpgrade: head.status === 101 })
    if (head.status >= 200 || head.status === 101) this.#status = head.status
    this.#stream.meta({ status: head.status, reason: head.reason, minor: head.minor, headers })
  }

  answerData(chunk: Uint8Array): boolean {
    return this.#stream.write(chunk)
  }

  taken(bytes: number): void {
    this.#stream.consumed(bytes)
  }

  broken(error: RdvError, untouched: boolean): void {
    const connection = this.#connection
    this.#connection = undefined
    if (this.#over) return
    if (untouched && connection?.used === true && this.repeatable && !this.#sentBody && !this.#retried) {
      // The service had closed an idle connection just before: a new one tells whether it lives.
      this.#retried = true
      this.#options.pool.connectFor(this)
      return
    }
    this.#finish(this.#status === 0 ? 502 : this.#status)
    this.#stream.reset(error.code, error.message)
  }

  answerEnd(trailers: readonly string[]): void {
    if (this.#status === 101) {
      this.#stream.end()
      return
    }
    this.#connection = undefined
    this.#finish(this.#status)
    if (trailers.length > 0) this.#stream.meta({ trailers: [...trailers] })
    this.#stream.end()
  }

  #finish(status: number): void {
    this.#over = true
    this.#early = []
    const { onDone, nowMs } = this.#options
    onDone?.(this.method, this.#target, status, nowMs() - this.#startedAt)
  }

  #send(connection: LocalConnection, chunk: Uint8Array): void {
    if (this.#chunked && this.#status !== 101) {
      connection.writeAll([chunkHeader(chunk.length), chunk, chunkEnd], chunk.length)
    } else connection.write(chunk, chunk.length)
  }

  #sendEnd(connection: LocalConnection): void {
    if (this.#chunked && this.#status !== 101) connection.write(lastChunkBytes(this.#trailers), 0)
    connection.endRequest()
  }
}

/** The head as the service gets it. */
function rewritten(head: RequestHead, chunked: boolean, host: string | undefined): RequestHead {
  const headers: string[] = []
  for (let at = 0; at < head.headers.length; at += 2) {
    const name = head.headers[at] as string
    if (isName(name, "transfer-encoding") || (chunked && isName(name, "content-length"))) continue
    headers.push(name, host !== undefined && isName(name, "host") ? host : (head.headers[at + 1] as string))
  }
  if (chunked) headers.push("Transfer-Encoding", "chunked")
  return { ...head, headers }
}

/** Serves a stream whose header is a request; a header that is none resets it. */
export function serveHttpCall(stream: Stream, options: HttpCallOptions): void {
  let call: HttpCall
  try {
    call = new HttpCall(stream, options)
  } catch (thrown) {
    const error = asRdvError(thrown)
    stream.reset(error.code, error.message)
    return
  }
  call.start()
}
