/**
 * The public side for HTTP: takes connections, finds the route by host name, bounds how many there are and how long they
 * may wait. What each connection does stands in `visitor.ts`.
 */

import type { Socket } from "node:net"
import type { Clock, Timer } from "../../base/clock.ts"
import { ForwardedPeer } from "../../http1/forwarded.ts"
import type { RequestHead } from "../../http1/head.ts"
import type { SocketReader } from "../../sockets/socket-reader.ts"
import type { RelayLimits } from "../limits.ts"
import type { Registry, Route } from "../registry.ts"
import type { WaitingRoom } from "../waiting-room.ts"
import type { Exchange } from "./exchange.ts"
import { ProxiedClient } from "./proxied-client.ts"
import type { AddressCounts } from "./proxied-client.ts"
import { refusalBytes, tooManyOfAddress } from "./refusal.ts"
import type { Refusal } from "./refusal.ts"
import type { TrustedProxies } from "./trusted-proxies.ts"
import { Visitor } from "./visitor.ts"
import type { VisitorHost } from "./visitor.ts"

export interface HttpIngressOptions {
  readonly clock: Clock
  readonly limits: RelayLimits
  readonly registry: Registry
  readonly room: WaitingRoom
  /** Host names below it are routes: `blog.example.test` for `example.test`. Lower case. */
  readonly domain: string
  /** What these say of their visitors counts. */
  readonly trusted?: TrustedProxies | undefined
  /**
   * A request whose host is no route: a session's upgrade, or something that the relay itself serves. Whoever takes the
   * connection over calls `visitor.release` and answers true; `rest` are bytes behind the head.
   */
  readonly own: (visitor: Visitor, head: RequestHead, rest: Uint8Array) => boolean
  /** A request that nobody took over: the whole answer when it is for a page of the relay. */
  readonly page: (head: RequestHead, keep: boolean) => Uint8Array | undefined
}

export interface HttpIngressStatus {
  readonly visitors: number
  readonly addresses: number
  readonly refused: number
  readonly requests: number
}

/** How often deadlines are looked at, ms. */
const sweepMs = 250
/** No look counts for more than this, ms: while this process stood still, no visitor was late. */
const sweepMostMs = 300

export class HttpIngress {
  readonly #options: HttpIngressOptions
  readonly #visitors: Set<Visitor> = new Set()
  readonly #perAddress: Map<string, number> = new Map()
  readonly #suffix: string
  readonly #host: VisitorHost
  /** The clock of deadlines: coarse, and only its differences mean something. */
  #nowMs = 0
  #sweptAt: number
  #timer: Timer | undefined
  #refused = 0
  #pastRequests = 0
  #dirty: Exchange[] = []
  #draining = false
  /** Visitors who came when we were draining already: nobody waits for them. */
  readonly #late: Set<Visitor> = new Set()
  readonly #counts: AddressCounts = {
    enter: (address) => this.#enter(address),
    leave: (address) => this.#leave(address),
  }

  constructor(options: HttpIngressOptions) {
    this.#options = options
    this.#suffix = `.${options.domain}`
    this.#sweptAt = options.clock.now()
    this.#host = this.#makeHost()
    this.#sweepLater()
  }

  /** Serves a connection; `first` was already read from it. The socket's `allowHalfOpen` is set. */
  take(socket: Socket, reader: SocketReader, scheme: "http" | "https", first: Uint8Array): void {
    const { limits, trusted } = this.#options
    const address = socket.remoteAddress ?? "unknown"
    const isProxy = trusted?.has(address) === true
    const peer = new ForwardedPeer(address, scheme, isProxy)
    if (this.#visitors.size >= limits.visitors) {
      this.#refused++
      refuse(socket, reader, { reason: "limit", retryAfterSeconds: 5 })
      return
    }
    // The connections of a proxy are those of its visitors, who are counted by their requests.
    if (!isProxy && !this.#enter(peer.address)) {
      refuse(socket, reader, tooManyOfAddress)
      return
    }
    const proxied = isProxy ? new ProxiedClient(peer.address, trusted, this.#counts) : undefined
    const visitor = new Visitor(this.#host, socket, reader, peer, proxied)
    this.#visitors.add(visitor)
    if (this.#draining) this.#late.add(visitor)
    visitor.begin(first)
  }

  status(): HttpIngressStatus {
    let requests = this.#pastRequests
    for (const visitor of this.#visitors) requests += visitor.requests
    return { visitors: this.#visitors.size, addresses: this.#perAddress.size, refused: this.#refused, requests }
  }

  /** Visitors whom a drain waits for. */
  get unfinished(): number {
    return this.#visitors.size - this.#late.size
  }

  /** Idle connections end now, others after their exchange. Who comes from now on is told to come back later. */
  drain(): void {
    this.#draining = true
    for (const visitor of this.#visitors) visitor.retire()
  }

  /** Ends everything at once. */
  close(): void {
    this.#timer?.cancel()
    for (const visitor of this.#visitors) visitor.socket.destroy()
  }

  #makeHost(): VisitorHost {
    const now = () => this.#nowMs
    const draining = () => this.#draining
    return {
      limits: this.#options.limits,
      get nowMs() {
        return now()
      },
      get draining() {
        return draining()
      },
      route: (host) => this.#route(host),
      patienceMs: (host) => this.#patienceMs(host),
      wait: (host, wake) => this.#options.room.wait(this.#label(host) ?? "", wake),
      own: this.#options.own,
      page: this.#options.page,
      flushSoon: (exchange) => this.#flushSoon(exchange),
      gone: (visitor) => this.#gone(visitor),
    }
  }

  /** `blog.example.test:8080` to the route of `blog`; the port is whatever the visitor came in by. */
  #route(host: string): Route | undefined {
    const label = this.#label(host)
    return label === undefined ? undefined : this.#options.registry.findHttp(label)
  }

  #label(host: string): string | undefined {
    const colon = host.indexOf(":")
    const name = (colon < 0 ? host : host.slice(0, colon)).toLowerCase()
    return name.endsWith(this.#suffix) ? name.slice(0, name.length - this.#suffix.length) : undefined
  }

  #patienceMs(host: string): number | undefined {
    const label = this.#label(host)
    // A label is a name as it can be claimed: the store is not asked for anything longer.
    if (label === undefined || label.length > 63) return undefined
    try {
      return this.#options.room.patienceMs(label)
    } catch {
      // A store that fails is told of elsewhere; a visitor hears that nobody is there.
      return undefined
    }
  }

  /** One timer serves all exchanges whose heads wait in the present round of input. */
  #flushSoon(exchange: Exchange): void {
    if (this.#dirty.length === 0) setImmediate(this.#flush)
    this.#dirty.push(exchange)
  }

  readonly #flush = (): void => {
    const dirty = this.#dirty
    this.#dirty = []
    for (const exchange of dirty) exchange.flush()
  }

  #gone(visitor: Visitor): void {
    if (!this.#visitors.delete(visitor)) return
    this.#late.delete(visitor)
    this.#pastRequests += visitor.requests
    if (!visitor.peer.trusted) this.#leave(visitor.peer.address)
  }

  #enter(address: string): boolean {
    const count = this.#perAddress.get(address) ?? 0
    if (count >= this.#options.limits.visitorsPerAddress) {
      this.#refused++
      return false
    }
    this.#perAddress.set(address, count + 1)
    return true
  }

  #leave(address: string): void {
    const left = (this.#perAddress.get(address) ?? 1) - 1
    if (left === 0) this.#perAddress.delete(address)
    else this.#perAddress.set(address, left)
  }

  #sweepLater(): void {
    this.#timer = this.#options.clock.after(sweepMs, () => {
      const now = this.#options.clock.now()
      this.#nowMs += Math.min(now - this.#sweptAt, sweepMostMs)
      this.#sweptAt = now
      for (const visitor of this.#visitors) visitor.sweep(this.#nowMs)
      this.#sweepLater()
    })
  }
}

/** A refused connection is let go after this, ms. */
const refusedMs = 500

/** Without understanding the request: it costs one write. */
function refuse(socket: Socket, reader: SocketReader, refusal: Refusal): void {
  reader.receive = () => false
  socket.on("error", () => undefined)
  socket.end(refusalBytes(refusal, undefined, false))
  // What was still on its way is read for a moment, so that no reset overtakes the answer.
  socket.resume()
  const timer = setTimeout(() => socket.destroy(), refusedMs)
  socket.once("close", () => clearTimeout(timer))
}
