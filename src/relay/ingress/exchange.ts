/**
 * One exchange at the relay: a visitor's request goes out on a stream as metadata and bytes, the answer comes back and is
 * written as HTTP/1.1. Nothing is gathered: a chunk that arrives is written, and credit returns when the kernel took it.
 */

import { RdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import type { Stream, StreamSink } from "../../base/stream.ts"
import { chunkHeader } from "../../http1/chunked.ts"
import { responseFraming } from "../../http1/framing.ts"
import { isName } from "../../base/header-fields.ts"
import type { ResponseHead } from "../../http1/head.ts"
import { withoutHopByHop } from "../../http1/hop-by-hop.ts"
import { badResponse } from "../../http1/http-error.ts"
import { readHeaders, readResponseHead } from "../../http1/read-head.ts"
import { trailersAllowed } from "../../http1/trailers.ts"
import { lastChunkBytes, responseHeadBytes } from "../../http1/write-head.ts"

/** The connection that an exchange answers on. */
export interface AnswerOutlet {
  /** The connection ends behind this exchange, whatever the visitor would like. */
  readonly retiring: boolean
  /** Writes; `counted` bytes of it are the stream's and are given back when the kernel took them. */
  write(bytes: Uint8Array, counted: number): void
  /** Several parts as one write. */
  writeAll(parts: readonly Uint8Array[], counted: number): void
  /** Something waits in the exchange: call `flush` when the present round of input is over. */
  flushSoon(exchange: Exchange): void
  /** The final head says that the connection becomes a raw one. */
  becomeRaw(exchange: Exchange): void
  /** The answer is complete. `keep` says whether the framing lets the connection go on. */
  answered(exchange: Exchange, keep: boolean): void
  /** The stream's queue has room again. */
  resumeReading(): void
  /** The raw connection's other side has ended. */
  endWriting(): void
  /** No head was written: the visitor gets an error answer. */
  failed(exchange: Exchange, error: RdvError): void
  /** Broken off after the head: the visitor must not take it for complete. */
  broken(exchange: Exchange, error: RdvError): void
}

export interface ExchangeRequest {
  readonly method: string
  readonly minor: 0 | 1
  /** The connection goes on after this exchange, as far as the visitor is concerned. */
  readonly persists: boolean
  readonly upgrades: boolean
}

type Body =
  | { readonly kind: "none" }
  | { kind: "length"; left: number }
  | { readonly kind: "chunked" | "close" | "raw" }

/** A head and a chunk up to this are copied into one write: cheaper than two parts. */
const joinBytes = 16 * 1024

/** Interim answers of one exchange: a sign of life each minute for a day takes less. */
const mostInterimBytes = 128 * 1024

const none: Body = { kind: "none" }
const crlf = Buffer.from("\r\n")

export class Exchange implements StreamSink {
  readonly stream: Stream
  readonly request: ExchangeRequest
  readonly #outlet: AnswerOutlet
  /** Written with the first bytes of the body, or by `flush`. */
  #head: Uint8Array | undefined
  #body: Body | undefined
  #pendingTrailers: string[] | undefined
  #over = false
  #heard = false
  #interimBytes = 0

  constructor(stream: Stream, request: ExchangeRequest, outlet: AnswerOutlet) {
    this.stream = stream
    this.request = request
    this.#outlet = outlet
  }

  /** True from the final head on. */
  get answering(): boolean {
    return this.#body !== undefined
  }

  /** Something of the answer has come, be it an interim one that the visitor was not told. */
  get heard(): boolean {
    return this.#heard
  }

  get over(): boolean {
    return this.#over
  }

  /** The visitor has left, or was answered otherwise. */
  cancel(): void {
    if (this.#over) return
    this.#over = true
    this.stream.reset("cancelled")
  }

  /** Writes a head that still waits for its first bytes. */
  flush(): void {
    const head = this.#head
    if (head === undefined || this.#over) return
    this.#head = undefined
    this.#outlet.write(head, 0)
  }

  meta(block: JsonObject): void {
    if (this.#over) return
    this.#heard = true
    try {
      if (this.#body !== undefined) this.#trailers(block)
      else this.#answer(readResponseHead(block))
    } catch (thrown) {
      const error = thrown as RdvError
      this.#fail(error)
      this.stream.reset("bad_response", error.message)
    }
  }

  #answer(head: ResponseHead): void {
    const { minor, method, persists } = this.request
    const raw = head.status === 101
    if (raw && !this.request.upgrades)
      throw new RdvError("bad_response", "The target upgrades what nobody asked to upgrade")
    const headers = withoutHopByHop(head.headers, { keepUpgrade: raw })
    // RFC 9110 section 8.6: these have no body, and some readers would wait for one.
    if (head.status < 200 || head.status === 204) removeField(headers, "content-length")
    if (head.status < 200 && !raw) {
      // HTTP/1.0 knows no interim answers (RFC 9110 section 15.2).
      if (minor === 1) this.#interim(responseHeadBytes({ ...head, headers }))
      return
    }
    const framing = responseFraming(method, { ...head, headers })
    let keep = persists && !this.#outlet.retiring
    if (framing.kind === "tunnel") this.#body = { kind: "raw" }
    else if (framing.kind === "close") {
      this.#body = { kind: minor === 1 ? "chunked" : "close" }
      if (minor === 1) headers.push("Transfer-Encoding", "chunked")
      else keep = false
    } else if (framing.kind === "length") this.#body = { kind: "length", left: framing.length }
    else this.#body = none
    if (framing.kind !== "tunnel") {
      if (!keep) headers.push("Connection", "close")
      else if (minor === 0) headers.push("Connection", "keep-alive")
    }
    this.#head = responseHeadBytes({ ...head, headers })
    if (framing.kind === "tunnel") {
      this.flush()
      this.#outlet.becomeRaw(this)
    } else {
      if (this.request.upgrades) this.stream.end()
      this.#outlet.flushSoon(this)
    }
  }

  /** Metadata is not held back by a visitor that does not read: so there is a bound. */
  #interim(bytes: Uint8Array): void {
    this.#interimBytes += bytes.length
    if (this.#interimBytes > mostInterimBytes)
      throw new RdvError("bad_response", "The target sends interim answers without end")
    this.#outlet.write(bytes, 0)
  }

  #trailers(block: JsonObject): void {
    const trailers = trailersAllowed(readHeaders(block["trailers"]), badResponse)
    if (this.#body?.kind === "chunked") this.#pendingTrailers = trailers
  }

  data(chunk: Uint8Array): void {
    const body = this.#body
    if (this.#over || body === undefined || body === none) {
      // Bytes before a head, or behind a HEAD's answer: nobody can be given them.
      this.#heard = true
      this.stream.consumed(chunk.length)
      return
    }
    if (body.kind === "length") {
      body.left -= chunk.length
      if (body.left < 0) {
        // Not consumed: what came before it may still be in the socket, and memory is given back in order.
        this.stream.reset("bad_response", "The body is longer than its Content-Length")
        return
      }
    }
    const chunked = body.kind === "chunked"
    const head = this.#head
    this.#head = undefined
    if (head === undefined && !chunked) this.#outlet.write(chunk, chunk.length)
    else if (chunk.length <= joinBytes) this.#outlet.write(join(head, chunk, chunked), chunk.length)
    else {
      const parts = chunked ? [chunkHeader(chunk.length), chunk, crlf] : [chunk]
      this.#outlet.writeAll(head === undefined ? parts : [head, ...parts], chunk.length)
    }
  }

  end(): void {
    if (this.#over) return
    const body = this.#body
    if (body === undefined) {
      const error = new RdvError("bad_response", "The agent ended the answer before its head")
      this.#fail(error)
      this.stream.reset("bad_response", error.message)
      return
    }
    if (body.kind === "raw") {
      this.#outlet.endWriting()
      return
    }
    if (body.kind === "length" && body.left > 0) {
      this.#fail(new RdvError("bad_response", "The body is shorter than its Content-Length"))
      this.stream.reset("bad_response", "The body is shorter than its Content-Length")
      return
    }
    const head = this.#head
    this.#head = undefined
    if (body.kind === "chunked") {
      const last = lastChunkBytes(this.#pendingTrailers ?? [])
      this.#outlet.write(head === undefined ? last : Buffer.concat([head, last]), 0)
    } else if (head !== undefined) this.#outlet.write(head, 0)
    this.#over = true
    this.#outlet.answered(this, this.request.persists && body.kind !== "close")
  }

  drain(): void {
    this.#outlet.resumeReading()
  }

  closed(error: RdvError | undefined): void {
    if (error === undefined) {
      this.#over = true
      return
    }
    this.#fail(error)
  }

  #fail(error: RdvError): void {
    if (this.#over) return
    this.#over = true
    if (this.#body === undefined) {
      this.#outlet.failed(this, error)
      return
    }
    if (this.#head !== undefined) {
      this.#outlet.write(this.#head, 0)
      this.#head = undefined
    }
    this.#outlet.broken(this, error)
  }
}

function removeField(headers: string[], lowerName: string): void {
  for (let at = headers.length - 2; at >= 0; at -= 2)
    if (isName(headers[at] as string, lowerName)) headers.splice(at, 2)
}

/** Head, chunk header, chunk and CRLF as one piece. */
function join(head: Uint8Array | undefined, chunk: Uint8Array, chunked: boolean): Uint8Array {
  const before = chunked ? chunkHeader(chunk.length) : undefined
  const headLength = head?.length ?? 0
  const beforeLength = before?.length ?? 0
  const whole = Buffer.allocUnsafe(headLength + beforeLength + chunk.length + (chunked ? 2 : 0))
  if (head !== undefined) whole.set(head, 0)
  if (before !== undefined) whole.set(before, headLength)
  whole.set(chunk, headLength + beforeLength)
  if (chunked) whole.set(crlf, headLength + beforeLength + chunk.length)
  return whole
}
