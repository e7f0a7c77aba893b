/**
 * What is said on a visitor's connection: requests one after the other, each as an exchange; what cannot be passed on is
 * answered here. While an exchange runs the connection is still read, because a visitor who leaves must be noticed.
 *
 *     head ─▶ body ─▶ answer ─▶ head …        raw (after 101)        over (nothing more is read or begun)
 *       └▶ wait ─▶ …   for a server that comes in the place of one that left
 */

import type { Socket } from "node:net"
import type { RdvError } from "../../base/error.ts"
import { headerValue } from "../../base/header-fields.ts"
import type { ForwardedPeer } from "../../http1/forwarded.ts"
import { persists } from "../../http1/framing.ts"
import type { RequestFraming } from "../../http1/framing.ts"
import type { RequestHead } from "../../http1/head.ts"
import type { HttpError } from "../../http1/http-error.ts"
import { RequestReader } from "../../http1/request-reader.ts"
import { cutSocket } from "../../sockets/cut.ts"
import type { SocketReader } from "../../sockets/socket-reader.ts"
import type { Route } from "../registry.ts"
import { isAway } from "../waiting-room.ts"
import { Connection, halfClosedMs } from "./connection.ts"
import type { ConnectionHost, ConnectionUser } from "./connection.ts"
import type { Exchange } from "./exchange.ts"
import { isBodyless, mayOpenAgain, openAgain, openExchange } from "./opening.ts"
import type { Sender } from "./opening.ts"
import type { ProxiedClient } from "./proxied-client.ts"
import { asleep, draining, refusalBytes, refusalOf, refusalOfRequest, suspended, tooManyOfAddress } from "./refusal.ts"
import type { Refusal } from "./refusal.ts"
import { RequestBody } from "./request-body.ts"

/** What a visitor needs of the ingress. */
export interface VisitorHost extends ConnectionHost {
  /** The relay shuts down: one request is answered, and the connection ends. */
  readonly draining: boolean
  /** The route for a Host header. */
  route(host: string): Route | undefined
  /** How long a request for this host may wait for its server, ms; undefined where none is waited for. */
  patienceMs(host: string): number | undefined
  /** Calls back whenever the server may have come. */
  wait(host: string, wake: () => void): () => void
  /** A request for the relay itself. True when it took the socket over; `rest` are bytes behind the head. */
  own(visitor: Visitor, head: RequestHead, rest: Uint8Array): boolean
  /** The whole answer to a request for a page of the relay itself. */
  page(head: RequestHead, keep: boolean): Uint8Array | undefined
  flushSoon(exchange: Exchange): void
  gone(visitor: Visitor): void
}

type State = "head" | "wait" | "body" | "answer" | "raw" | "over"

/** A request whose server is not there now. */
interface Wait {
  readonly until: number
  readonly leave: () => void
  readonly go: (route: Route) => void
}

export class Visitor implements ConnectionUser, Sender {
  readonly socket: Socket
  readonly peer: ForwardedPeer
  /** Set where the peer is a trusted proxy. */
  readonly #proxied: ProxiedClient | undefined
  readonly #host: VisitorHost
  readonly #connection: Connection
  readonly #requests: RequestReader = new RequestReader()
  /** Most visitors never send one. */
  #body: RequestBody | undefined
  #state: State = "head"
  #exchange: Exchange | undefined
  #route: Route | undefined
  /** Of the present request, for error answers. */
  #head: RequestHead | undefined
  /** Since when the request waits for a session that has lost its link. */
  #waitsSince: number | undefined
  #wait: Wait | undefined
  /** The present request was sent to a second agent. */
  #openedAgain = false
  #retiring = false
  requests = 0

  constructor(host: VisitorHost, socket: Socket, reader: SocketReader, peer: ForwardedPeer, proxied?: ProxiedClient) {
    this.#host = host
    this.socket = socket
    this.peer = peer
    this.#proxied = proxied
    this.#retiring = host.draining
    this.#connection = new Connection(host, socket, reader, this)
  }

  /** Bytes that were read before the connection was known to be HTTP. */
  begin(first: Uint8Array): void {
    this.receive(first)
    this.#connection.start()
  }

  get client(): string {
    return this.#proxied?.address ?? this.peer.address
  }

  /** Whom a trusted proxy speaks for in this request; undefined where the peer is the visitor itself. */
  clientBehind(head: RequestHead): string | undefined {
    return this.#proxied?.of(head.headers)
  }

  /** For whoever may take the socket over; who does calls `release`. */
  get reader(): SocketReader {
    return this.#connection.reader
  }

  /** Lets go of the socket: somebody else speaks on it now. */
  release(): void {
    this.#state = "over"
    this.#proxied?.leave()
    this.#connection.release()
    this.#host.gone(this)
  }

  get retiring(): boolean {
    return this.#retiring
  }

  /** Finishes the present exchange and takes no further one. */
  retire(): void {
    if (this.#state === "head" && !this.#requests.started) this.#leave()
    else this.#retiring = true
  }

  // Time.

  /** Called now and then with the present time: ends what waited too long. */
  sweep(nowMs: number): void {
    if (this.#waitedTooLong(nowMs)) {
      this.#exchange?.cancel()
      this.#refuse(suspended)
      return
    }
    if (this.#wait !== undefined && nowMs >= this.#wait.until) {
      this.#refuse(asleep)
      return
    }
    const mayRest = this.#state === "raw" || (this.#state === "body" && !this.#connection.paused)
    if (!this.#connection.sweep(nowMs, mayRest)) return
    if (this.#state === "head") this.#headOverdue()
    else if (this.#state !== "raw") this.#exchangeOverdue()
  }

  #waitedTooLong(nowMs: number): boolean {
    const exchange = this.#exchange
    if (exchange === undefined || exchange.answering || this.#route?.session.state !== "suspended") {
      this.#waitsSince = undefined
      return false
    }
    this.#waitsSince ??= nowMs
    return nowMs - this.#waitsSince >= this.#host.limits.waitMs
  }

  #headOverdue(): void {
    if (this.#requests.started)
      this.#refuse({ reason: "request_timeout", detail: "the head of the request did not arrive in time" })
    // The last answer may still be on its way to a slow reader.
    else if (this.socket.writableLength > 0) this.#connection.allow(this.#host.limits.idleMs)
    else this.socket.destroy()
  }

  #exchangeOverdue(): void {
    const exchange = this.#exchange
    if (this.#connection.ended) {
      if (this.socket.writableLength > 0) {
        this.#connection.allow(halfClosedMs)
        return
      }
      exchange?.cancel()
      this.socket.destroy()
    } else if (this.#state === "body" && !this.#connection.paused && this.#route?.session.state === "live") {
      exchange?.cancel()
      if (exchange?.answering === true) this.socket.destroy()
      else this.#refuse({ reason: "request_timeout", detail: "the body of the request stood still" })
    } else this.#connection.allow(this.#host.limits.bodyMs)
  }

  // The request.

  /** A loop, because one chunk may hold thousands of requests. */
  receive(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      switch (this.#state) {
        case "head":
          at = this.#readHead(bytes, at)
          break
        case "body":
          at = this.#readBody(bytes, at)
          break
        case "wait":
        case "answer":
          this.#connection.hold(at === 0 ? bytes : bytes.subarray(at))
          return
        case "raw":
          this.#passOn(at === 0 ? bytes : bytes.subarray(at))
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
      if (!started) this.#connection.allow(this.#host.limits.headMs)
      return bytes.length
    }
    this.requests++
    const { head, framing, used } = read
    this.#head = head
    const host = headerValue(head.headers, "host") ?? ""
    const route = this.#host.route(host)
    if (route !== undefined) {
      if (this.#proxied?.enter(head.headers) === false) this.#refuse(tooManyOfAddress, framing)
      else if (!isAway(route)) this.#begin(head, framing, route)
      else this.#awaitServer(host, framing, (other) => this.#begin(head, framing, other))
    } else if (this.#host.patienceMs(host) !== undefined) {
      if (this.#proxied?.enter(head.headers) === false) this.#refuse(tooManyOfAddress, framing)
      else this.#awaitServer(host, framing, (other) => this.#begin(head, framing, other))
    } else if (!this.#host.own(this, head, bytes.subarray(used)) && !this.#servePage(head, framing)) {
      // A route may be missing only because its agent could not come back.
      this.#refuse(this.#host.draining ? draining : { reason: "no_route" }, framing)
    }
    return used
  }

  /** Its name has one, which is not there at the moment: the one who comes next gets the request. */
  #awaitServer(host: string, framing: RequestFraming | undefined, go: (route: Route) => void): void {
    const patienceMs = this.#host.draining ? 0 : (this.#host.patienceMs(host) ?? 0)
    if (patienceMs === 0) {
      this.#refuse(this.#host.draining ? draining : asleep, framing)
      return
    }
    this.#state = "wait"
    this.#connection.allow(Infinity)
    const leave = this.#host.wait(host, () => this.#serverCame(host))
    this.#wait = { until: this.#host.nowMs + patienceMs, leave, go }
  }

  #serverCame(host: string): void {
    const wait = this.#wait
    const route = this.#host.route(host)
    if (wait === undefined || route === undefined || isAway(route)) return
    this.#endWait()
    wait.go(route)
    // Bytes behind the head came meanwhile; those behind the request go on waiting.
    const held = this.#connection.takeHeld()
    if (held !== undefined) this.receive(held)
    this.#connection.resume()
  }

  #endWait(): void {
    this.#wait?.leave()
    this.#wait = undefined
  }

  /** True when the request was for a page of the relay itself. */
  #servePage(head: RequestHead, framing: RequestFraming): boolean {
    const keep = framing.kind === "none" && persists(head) && !this.#retiring && this.#connection.keepsUp
    const page = this.#host.page(head, keep)
    if (page === undefined) return false
    this.socket.write(page)
    if (keep) this.#next(true)
    else this.#leave()
    return true
  }

  #begin(head: RequestHead, framing: RequestFraming, route: Route): void {
    const exchange = openExchange(this, route, head, framing)
    this.#openedAgain = false
    this.#connection.allow(this.#host.limits.bodyMs)
    if (isBodyless(framing)) this.#state = "answer"
    else {
      this.#state = "body"
      this.#body ??= new RequestBody({
        data: (sub) => this.#passOn(sub),
        end: (trailers) => this.#bodyDone(trailers),
      })
      this.#body.begin(framing)
    }
    this.#attach(exchange, route)
  }

  #attach(exchange: Exchange, route: Route): void {
    const { stream } = exchange
    this.#route = route
    this.#exchange = exchange
    this.#connection.answersFor(stream)
    // An upgraded connection goes on in both directions, so the request is not at its end yet.
    if (this.#state === "answer" && !exchange.request.upgrades) stream.end()
    stream.attach(exchange)
  }

  #readBody(bytes: Uint8Array, from: number): number {
    this.#connection.allow(this.#host.limits.bodyMs)
    try {
      return (this.#body as RequestBody).push(bytes, from)
    } catch (thrown) {
      const answering = this.#exchange?.answering === true
      this.#exchange?.cancel()
      if (answering) cutSocket(this.socket)
      else this.#refuse(refusalOfRequest(thrown as HttpError))
      return bytes.length
    }
  }

  #bodyDone(trailers: string[]): void {
    const stream = this.#exchange?.stream
    if (stream === undefined) return
    this.#state = "answer"
    if (trailers.length > 0) stream.meta({ trailers })
    stream.end()
  }

  #passOn(bytes: Uint8Array): void {
    // The session may end in the write of an earlier piece, and the exchange with it.
    if (this.#exchange?.stream.write(bytes) === false) this.#connection.pause()
  }

  resumeReading(): void {
    this.#connection.resume()
  }

  // The answer.

  write(bytes: Uint8Array, counted: number): void {
    this.#connection.write(bytes, counted)
  }

  writeAll(parts: readonly Uint8Array[], counted: number): void {
    this.#connection.writeAll(parts, counted)
  }

  flushSoon(exchange: Exchange): void {
    this.#host.flushSoon(exchange)
  }

  becomeRaw(exchange: Exchange): void {
    this.#state = "raw"
    this.#connection.allow(Infinity)
    const held = this.#connection.takeHeld()
    if (held !== undefined) exchange.stream.write(held)
    this.#connection.resume()
    if (this.#connection.ended) exchange.stream.end()
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
    this.#proxied?.leave()
    if (!keep || this.#connection.ended || this.#retiring) {
      this.#leave()
      return
    }
    this.#state = "head"
    this.#connection.allow(this.#host.limits.idleMs)
    const held = this.#connection.takeHeld()
    if (held !== undefined) this.receive(held)
    this.#connection.resume()
  }

  failed(exchange: Exchange, error: RdvError): void {
    if (!this.#openAgain(exchange)) this.#refuse(refusalOf(error))
  }

  /** When the session is over and the name has another one already: its agent was restarted, or a second one stands by. */
  #openAgain(exchange: Exchange): boolean {
    const head = this.#head
    // Once: a request that kills its agent would kill each one that comes back, and the visitor would never hear of it.
    if (head === undefined || this.#openedAgain || this.#route?.session.state !== "closed") return false
    const hasEpoch = this.#route.epoch !== undefined
    if (!mayOpenAgain(exchange, head, hasEpoch)) return false
    const host = headerValue(head.headers, "host") ?? ""
    const route = this.#host.route(host)
    const again = (other: Route) => {
      this.#openedAgain = true
      this.#state = "answer"
      this.#connection.allow(this.#host.limits.bodyMs)
      this.#attach(openAgain(this, other, exchange), other)
    }
    const isThere = route !== undefined && route.session.state === "live" && !route.session.draining
    if (isThere) again(route)
    else if (hasEpoch && !this.#host.draining) this.#awaitServer(host, undefined, again)
    else return false
    return true
  }

  broken(_exchange: Exchange, _error: RdvError): void {
    this.#state = "over"
    this.#connection.breakOff()
  }

  /** Answers in the service's place. The connection goes on only where the next request's start is certain. */
  #refuse(refusal: Refusal, framing?: RequestFraming): void {
    const head = this.#head
    this.#endWait()
    const bodyless = this.#state === "answer" || framing?.kind === "none"
    // Who sends on without reading the answers is not listened to any longer.
    const keep = head !== undefined && bodyless && persists(head) && !this.#retiring && this.#connection.keepsUp
    this.#exchange = undefined
    this.socket.write(refusalBytes(refusal, head, keep))
    if (keep) this.#next(true)
    else this.#leave()
  }

  #leave(): void {
    this.#state = "over"
    this.#exchange = undefined
    this.#proxied?.leave()
    this.#connection.leave()
  }

  // The end.

  ended(): void {
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
      case "wait":
      case "answer":
        // Most who end here have left; a few only have nothing more to say, and a quick answer still reaches them.
        this.#connection.allow(halfClosedMs)
        return
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

  closed(): void {
    const raw = this.#state === "raw"
    this.#state = "over"
    this.#endWait()
    const exchange = this.#exchange
    this.#exchange = undefined
    if (exchange !== undefined && !exchange.over) {
      if (raw && this.#connection.endedWell) exchange.stream.end()
      else exchange.cancel()
    }
    this.#proxied?.leave()
    this.#host.gone(this)
  }
}
