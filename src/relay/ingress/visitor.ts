/**
 * One connection of a visitor: requests one after the other, each as an exchange; what cannot be passed on is answered
 * here. While an exchange runs the connection is still read, because a visitor who leaves must be noticed.
 *
 *     head ─▶ body ─▶ answer ─▶ head …        raw (after 101)        leaving (we said our last word)
 */

import type { Socket } from "node:net"
import type { RdvError } from "../../base/error.ts"
import type { Stream } from "../../base/stream.ts"
import { ChunkedDecoder } from "../../http1/chunked.ts"
import { withForwarded } from "../../http1/forwarded.ts"
import { persists } from "../../http1/framing.ts"
import type { RequestFraming } from "../../http1/framing.ts"
import { hasToken, headerValue } from "../../base/header-fields.ts"
import type { RequestHead } from "../../http1/head.ts"
import { withoutHopByHop } from "../../http1/hop-by-hop.ts"
import { badRequest } from "../../http1/http-error.ts"
import type { HttpError } from "../../http1/http-error.ts"
import { RequestReader } from "../../http1/request-reader.ts"
import { cutSocket } from "../../sockets/cut.ts"
import { SocketOutlet } from "../../sockets/outlet.ts"
import type { SocketReader } from "../../sockets/socket-reader.ts"
import type { RelayLimits } from "../limits.ts"
import type { Route } from "../registry.ts"
import { Exchange } from "./exchange.ts"
import type { AnswerOutlet } from "./exchange.ts"
import { refusalBytes, refusalOf, refusalOfRequest, suspended } from "./refusal.ts"
import type { Refusal } from "./refusal.ts"
import { StallWatch } from "./stall-watch.ts"

/** What a connection needs of the ingress. */
export interface VisitorHost {
  readonly limits: RelayLimits
  readonly scheme: "http" | "https"
  /** Coarse clock of deadlines, ms: moves with each sweep. */
  readonly nowMs: number
  /** The route for a Host header. */
  route(host: string): Route | undefined
  /** A request for the relay itself. True when it took the socket over; `rest` are bytes behind the head. */
  own(visitor: Visitor, head: RequestHead, rest: Uint8Array): boolean
  flushSoon(exchange: Exchange): void
  gone(visitor: Visitor): void
}

type State = "head" | "body" | "answer" | "raw" | "leaving" | "over"

export class Visitor implements AnswerOutlet {
  readonly socket: Socket
  readonly address: string
  readonly #host: VisitorHost
  readonly #reader: SocketReader
  readonly #stall: StallWatch
  /** Of the present exchange: what an earlier one still has in the socket is no credit of this one. */
  #outlet: SocketOutlet | undefined
  readonly #requests: RequestReader = new RequestReader()
  #state: State = "head"
  #exchange: Exchange | undefined
  #route: Route | undefined
  /** Of the present request, for error answers. */
  #head: RequestHead | undefined
  #bodyLeft = 0
  #chunked: ChunkedDecoder | undefined
  /** Bytes behind the present request; bounded by `heldBytes`. */
  #held: Uint8Array | undefined
  #paused = false
  /** Past this the connection is answered or cut; Infinity while the other side's pace is not ours to judge. */
  #deadline: number
  /** The visitor has ended its side. */
  #ended = false
  /** Since when the request waits for a session that has lost its link. */
  #waitsSince: number | undefined
  #retiring = false
  requests = 0

  constructor(host: VisitorHost, socket: Socket, reader: SocketReader) {
    this.#host = host
    this.socket = socket
    this.address = socket.remoteAddress ?? "unknown"
    this.#reader = reader
    this.#stall = new StallWatch(socket, host.nowMs)
    this.#deadline = host.nowMs + host.limits.headMs
    reader.borrows = true
    reader.receive = (bytes) => {
      this.#receive(bytes)
      return false
    }
    socket.on("end", this.#onEnd)
    socket.on("error", this.#onError)
    socket.on("close", this.#onClose)
  }

  /** Bytes that were read before the connection was known to be HTTP. */
  begin(first: Uint8Array): void {
    this.#receive(first)
    if (!this.#paused && this.#state !== "over") this.socket.resume()
  }

  /** For whoever may take the socket over; who does calls `release`. */
  get reader(): SocketReader {
    return this.#reader
  }

  /** Lets go of the socket: somebody else speaks on it now. */
  release(): void {
    this.#state = "over"
    this.socket.pause()
    this.socket.removeAllListeners("data")
    this.socket.off("end", this.#onEnd)
    // "error" stays heard: a write that failed just now is told only after this turn.
    this.socket.off("close", this.#onClose)
    this.#host.gone(this)
  }

  /** Called now and then with the present time: ends what waited too long. */
  sweep(nowMs: number): void {
    const exchange = this.#exchange
    if (exchange !== undefined && this.#waitedTooLong(exchange, nowMs)) {
      exchange.cancel()
      this.#refuse(suspended)
      return
    }
    // Who still sends, or speaks a protocol of its own, may read when it likes.
    if (this.#state === "raw" || (this.#state === "body" && !this.#paused)) this.#stall.restart(nowMs)
    else if (this.#stall.stoodMs(nowMs) >= this.#host.limits.stalledMs) {
      // A reset would wait for an end that is under way.
      if (this.socket.writableEnded) this.socket.destroy()
      else cutSocket(this.socket)
    }
    if (nowMs < this.#deadline) return
    switch (this.#state) {
      case "head":
        if (this.#requests.started)
          this.#refuse({ reason: "request_timeout", detail: "the head of the request did not arrive in time" })
        // The last answer may still be on its way to a slow reader.
        else if (this.socket.writableLength > 0) this.#deadline = nowMs + this.#host.limits.idleMs
        else this.socket.destroy()
        return
      case "body":
      case "answer":
        this.#sweepExchange(exchange, nowMs)
        return
      case "leaving":
        // A slow reader still gets what it was promised.
        if (this.socket.writableLength > 0) this.#deadline = nowMs + lingerMs
        else this.socket.destroy()
        return
      case "raw":
      case "over":
        return
    }
  }

  #waitedTooLong(exchange: Exchange, nowMs: number): boolean {
    if (exchange.answering || this.#route?.session.state !== "suspended") {
      this.#waitsSince = undefined
      return false
    }
    this.#waitsSince ??= nowMs
    return nowMs - this.#waitsSince >= this.#host.limits.waitMs
  }

  #sweepExchange(exchange: Exchange | undefined, nowMs: number): void {
    if (this.#ended) {
      if (this.socket.writableLength > 0) {
        this.#deadline = nowMs + halfClosedMs
        return
      }
      exchange?.cancel()
      this.socket.destroy()
    } else if (this.#state === "body" && !this.#paused && this.#route?.session.state === "live") {
      exchange?.cancel()
      if (exchange?.answering === true) this.socket.destroy()
      else this.#refuse({ reason: "request_timeout", detail: "the body of the request stood still" })
    } else this.#deadline = nowMs + this.#host.limits.bodyMs
  }

  get retiring(): boolean {
    return this.#retiring
  }

  /** Finishes the present exchange and takes no further one. */
  retire(): void {
    if (this.#state === "head" && !this.#requests.started) this.#leave()
    else this.#retiring = true
  }

  // Reading.

  /** Keeps nothing of `bytes`: the memory is the reader's. A loop, because one chunk may hold thousands of requests. */
  #receive(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      switch (this.#state) {
        case "head":
          at = this.#readHead(bytes, at)
          break
        case "body":
          at = this.#chunked === undefined ? this.#readBody(bytes, at) : this.#readChunked(this.#chunked, bytes, at)
          break
        case "answer":
          this.#hold(at === 0 ? bytes : bytes.subarray(at))
          return
        case "raw":
          this.#write(at === 0 ? bytes : bytes.subarray(at))
          return
        case "leaving":
          return
        case "over":
          return
      }
    }
  }

  /** Returns the offset behind what was read. */
  #readHead(bytes: Uint8Array, from: number): number {
    const started = this.#requests.started
    let read
    try {
      read = this.#requests.push(bytes, from)
    } catch (thrown) {
      this.#refuse(refusalOfRequest(thrown as HttpError))
      return bytes.length
    }
    if (read === undefined) {
      if (!started) this.#deadline = this.#host.nowMs + this.#host.limits.headMs
      return bytes.length
    }
    this.requests++
    const { head, framing, used } = read
    this.#head = head
    const route = this.#host.route(headerValue(head.headers, "host") ?? "")
    if (route !== undefined) this.#begin(head, framing, route)
    else if (!this.#host.own(this, head, bytes.subarray(used))) this.#refuse({ reason: "no_route" }, framing)
    return used
  }

  #begin(head: RequestHead, framing: RequestFraming, route: Route): void {
    const { limits, scheme, nowMs } = this.#host
    const bodyless = framing.kind === "none" || (framing.kind === "length" && framing.length === 0)
    // An upgrade behind a body, or asked for in HTTP/1.0, is one that a server may overlook (RFC 9110 section 7.8).
    const endToEnd = withoutHopByHop(head.headers, { keepUpgrade: bodyless && head.minor === 1 })
    const upgrades = hasToken(endToEnd, "connection", "upgrade")
    const headers = withForwarded(endToEnd, {
      peer: this.address,
      scheme,
      host: headerValue(head.headers, "host"),
      trust: false,
    })
    const { method, target, minor } = head
    const stream: Stream = route.session.open(route.service, {
      method,
      target,
      headers,
      minor,
      from: this.address,
      body: framing.kind,
    })
    this.#route = route
    const request = { method, minor, persists: persists(head) && !this.#retiring, upgrades }
    const exchange = new Exchange(stream, request, this)
    this.#exchange = exchange
    this.#outlet = new SocketOutlet(this.socket, (bytes) => stream.consumed(bytes))
    this.#deadline = nowMs + limits.bodyMs
    if (bodyless) {
      this.#state = "answer"
      // An upgraded connection goes on in both directions, so the request is not at its end yet.
      if (!upgrades) stream.end()
    } else {
      this.#state = "body"
      this.#bodyLeft = framing.kind === "length" ? framing.length : 0
      this.#chunked = framing.kind === "chunked" ? new ChunkedDecoder(badRequest) : undefined
    }
    stream.attach(exchange)
  }

  #readBody(bytes: Uint8Array, from: number): number {
    this.#deadline = this.#host.nowMs + this.#host.limits.bodyMs
    const end = Math.min(bytes.length, from + this.#bodyLeft)
    this.#bodyLeft -= end - from
    this.#write(from === 0 && end === bytes.length ? bytes : bytes.subarray(from, end))
    if (this.#bodyLeft === 0) this.#bodyDone([])
    return end
  }

  #readChunked(chunked: ChunkedDecoder, bytes: Uint8Array, from: number): number {
    this.#deadline = this.#host.nowMs + this.#host.limits.bodyMs
    const sink = { data: (sub: Uint8Array) => this.#write(sub), end: (trailers: string[]) => this.#bodyDone(trailers) }
    try {
      return chunked.push(bytes, sink, from)
    } catch (thrown) {
      const answering = this.#exchange?.answering === true
      this.#exchange?.cancel()
      if (answering) cutSocket(this.socket)
      else this.#refuse(refusalOfRequest(thrown as HttpError))
      return bytes.length
    }
  }

  #bodyDone(trailers: string[]): void {
    this.#chunked = undefined
    const stream = this.#exchange?.stream
    if (stream === undefined) return
    this.#state = "answer"
    if (trailers.length > 0) stream.meta({ trailers })
    stream.end()
  }

  #write(bytes: Uint8Array): void {
    // The session may end in the write of an earlier piece, and the exchange with it.
    if (this.#exchange?.stream.write(bytes) === false) this.#pause()
  }

  /** The next request came before the answer to this one. */
  #hold(bytes: Uint8Array): void {
    this.#held = this.#held === undefined ? new Uint8Array(bytes) : Buffer.concat([this.#held, bytes])
    if (this.#held.length > heldBytes) this.#pause()
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.socket.pause()
  }

  resumeReading(): void {
    if (!this.#paused || this.#state === "over") return
    if (this.#held !== undefined && this.#held.length > heldBytes) return
    this.#paused = false
    this.#deadline = this.#host.nowMs + this.#host.limits.bodyMs
    this.socket.resume()
  }

  // Answering.

  write(bytes: Uint8Array, counted: number): void {
    this.#outlet?.write(bytes, counted)
    this.#progressed()
  }

  writeAll(parts: readonly Uint8Array[], counted: number): void {
    this.socket.cork()
    for (const part of parts) this.socket.write(part)
    this.socket.uncork()
    this.#outlet?.settle(counted)
    this.#progressed()
  }

  /** Who has ended its side gets the rest as long as it flows: a connection that is gone answers bytes by a reset. */
  #progressed(): void {
    if (this.#ended) this.#deadline = this.#host.nowMs + halfClosedMs
  }

  flushSoon(exchange: Exchange): void {
    this.#host.flushSoon(exchange)
  }

  becomeRaw(exchange: Exchange): void {
    this.#state = "raw"
    this.#deadline = Infinity
    const held = this.#held
    this.#held = undefined
    if (held !== undefined) exchange.stream.write(held)
    this.resumeReading()
    if (this.#ended) exchange.stream.end()
  }

  endWriting(): void {
    this.socket.end()
  }

  answered(exchange: Exchange, keep: boolean): void {
    if (this.#state === "answer") this.#next(keep)
    else if (this.#state === "body") {
      // The answer came before the whole request. What is left of the request is not worth reading for long.
      exchange.stream.reset("cancelled")
      this.#leave()
    }
  }

  #next(keep: boolean): void {
    this.#exchange = undefined
    this.#route = undefined
    this.#head = undefined
    if (!keep || this.#ended || this.#retiring) {
      this.#leave()
      return
    }
    this.#state = "head"
    this.#deadline = this.#host.nowMs + this.#host.limits.idleMs
    const held = this.#held
    this.#held = undefined
    if (held !== undefined) this.#receive(held)
    this.resumeReading()
  }

  failed(_exchange: Exchange, error: RdvError): void {
    this.#refuse(refusalOf(error))
  }

  broken(_exchange: Exchange, _error: RdvError): void {
    this.#state = "over"
    const cut = () => cutSocket(this.socket)
    // What came before the break is the visitor's; a visitor that does not take it waits no longer than this.
    if (this.socket.writableLength === 0 || this.socket.writableEnded) cut()
    else {
      this.socket.write(nothing, cut)
      setTimeout(cut, lingerMs).unref()
    }
  }

  /** Answers in the service's place. The connection goes on only where the next request's start is certain. */
  #refuse(refusal: Refusal, framing?: RequestFraming): void {
    const head = this.#head
    const bodyless = this.#state === "answer" || framing?.kind === "none"
    // Who sends on without reading the answers is not listened to any longer.
    const reads = this.socket.writableLength <= heldBytes
    const keep = head !== undefined && bodyless && persists(head) && !this.#retiring && reads
    this.#exchange = undefined
    this.socket.write(refusalBytes(refusal, head, keep))
    if (keep) this.#next(true)
    else this.#leave()
  }

  /** Says no more; reads on for a moment, so that the answer is not lost to a reset (RFC 9112 section 9.6). */
  #leave(): void {
    if (this.#state === "over") return
    this.#state = "leaving"
    this.#exchange = undefined
    this.#deadline = this.#host.nowMs + lingerMs
    this.socket.end()
    if (this.#paused) {
      this.#paused = false
      this.socket.resume()
    }
  }

  // The socket.

  readonly #onEnd = (): void => {
    this.#ended = true
    switch (this.#state) {
      case "head":
        this.socket.end()
        return
      case "raw":
        this.#exchange?.stream.end()
        return
      case "body":
        this.#cutShort()
        return
      case "answer":
        // Most who end here have left; a few only have nothing more to say, and a quick answer still reaches them.
        this.#deadline = this.#host.nowMs + halfClosedMs
        return
      case "leaving":
      case "over":
        return
    }
  }

  /** The visitor ended before its request was complete. */
  #cutShort(): void {
    const exchange = this.#exchange as Exchange
    const { answering } = exchange
    exchange.cancel()
    if (answering) this.socket.destroy()
    else this.#refuse({ reason: "bad_request", detail: "the connection ended before the body of the request" })
  }

  readonly #onError = (): void => {
    // "close" follows and cleans up; the code tells nothing that the exchange could use.
    this.#ended = true
  }

  readonly #onClose = (): void => {
    const raw = this.#state === "raw"
    this.#state = "over"
    const exchange = this.#exchange
    this.#exchange = undefined
    if (exchange !== undefined && !exchange.over) {
      if (raw && this.#ended && this.socket.writableFinished) exchange.stream.end()
      else exchange.cancel()
    }
    this.#reader.release()
    this.#host.gone(this)
  }
}

const nothing = Buffer.alloc(0)

/** Pipelined bytes that are kept while an exchange runs. */
const heldBytes = 64 * 1024
/** A connection that was told goodbye may still send for so long, ms. */
const lingerMs = 2_000
/** A visitor that ended its side and is sent nothing for so long has left, ms; the coarse clock takes up to 250 off. */
const halfClosedMs = 750
