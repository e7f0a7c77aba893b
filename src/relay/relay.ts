/**
 * A host by accepting: sessions come in, routes are bound, visitors are passed to the sessions behind the routes. This
 * file wires; what is decided stands in its parts.
 */

import { asRdvError, RdvError } from "../base/error.ts"
import { delay } from "../base/clock.ts"
import type { Clock, Timer } from "../base/clock.ts"
import type { Json, JsonObject } from "../base/json.ts"
import type { Log } from "../base/log.ts"
import type { Scope } from "../base/scope.ts"
import type { Stream } from "../base/stream.ts"
import { controlService } from "../host/control.ts"
import { drainSessions } from "../host/drain.ts"
import type { AcceptOptions, Caller, CallHandler, DialOptions, Host, ServiceName } from "../host/host.ts"
import { callService } from "../host/private-call.ts"
import { Services } from "../host/services.ts"
import { acceptHandshake } from "../mux/handshake.ts"
import type { SessionLimits } from "../mux/limits.ts"
import type { Link } from "../mux/link.ts"
import { Session } from "../mux/session.ts"
import type { SessionRuntime } from "../mux/session-options.ts"
import type { Store, TokenRecord } from "../store/store.ts"
import { allowsService } from "../store/token-scopes.ts"
import { acceptUpgrade, asksForSession } from "../transport/upgrade.ts"
import { acceptWebSocket } from "../transport/ws-listen.ts"
import { sessionPath } from "../transport/address.ts"
import { hasToken } from "../base/header-fields.ts"
import type { RequestHead } from "../http1/head.ts"
import { addressOf, AdmissionDesk } from "./admission.ts"
import type { GuestCheck, Opening } from "./admission.ts"
import { Announcements } from "./announcements.ts"
import { claimName } from "./claim-name.ts"
import { makeRoom } from "./crowd.ts"
import { HttpIngress } from "./ingress/http.ts"
import { TcpIngress } from "./ingress/tcp.ts"
import type { TrustedProxies } from "./ingress/trusted-proxies.ts"
import type { Visitor } from "./ingress/visitor.ts"
import type { RelayLimits } from "./limits.ts"
import { Newcomers } from "./newcomers.ts"
import type { LinkGuest } from "./newcomers.ts"
import { OwnPages } from "./own-pages.ts"
import type { OwnPageHandler } from "./own-pages.ts"
import { localSession } from "./local-session.ts"
import type { LocalOpen } from "./local-session.ts"
import { passCall } from "./private-calls.ts"
import { Registry } from "./registry.ts"
import type { Route, RouteKind, RouteSession } from "./registry.ts"
import { isAway, WaitingRoom } from "./waiting-room.ts"

export interface RelayOptions {
  readonly scope: Scope
  readonly runtime: SessionRuntime
  readonly store: Store
  /** Routes are names below it. */
  readonly domain: string
  /** Where public TCP ports listen; empty for every interface. */
  readonly tcpHost: string
  /** Lets agents in without a token: all, or those of this machine. */
  readonly open: boolean | "local"
  /** What these say of their visitors counts: their addresses limit them and stand in logs. */
  readonly trusted?: TrustedProxies | undefined
  readonly limits: RelayLimits
  readonly sessionLimits: SessionLimits
  readonly httpUrl: (name: string) => string
  readonly tcpUrl: (port: number) => string
}

export class Relay implements Host {
  readonly scope: Scope
  readonly log: Log
  readonly clock: Clock
  readonly limits: RelayLimits
  readonly http: HttpIngress
  readonly tcp: TcpIngress
  readonly newcomers: Newcomers
  readonly #options: RelayOptions
  readonly #registry: Registry = new Registry()
  readonly #desk: AdmissionDesk
  readonly #services: Services
  readonly #reports: Map<string, () => Json> = new Map()
  readonly #pages: OwnPages
  readonly #room: WaitingRoom
  readonly #storeWatchers: Set<() => void> = new Set()
  /** By session. */
  readonly #announcements: Map<string, Announcements> = new Map()
  /** Oldest first. */
  readonly #handshakes: Set<Link> = new Set()
  #revision: number
  #sweptAt = 0
  #storeTimer: Timer | undefined
  /** It failed at the last look, and that was told. */
  #storeFails = false

  constructor(options: RelayOptions) {
    this.#options = options
    this.scope = options.scope
    this.log = options.runtime.log
    this.clock = options.runtime.clock
    this.limits = options.limits
    this.#services = new Services(this.log)
    this.#pages = new OwnPages(options.domain)
    this.newcomers = new Newcomers(this.clock, this.limits)
    const { store, limits } = options
    this.#room = new WaitingRoom({ clock: this.clock, registry: this.#registry, store, asleepMs: limits.asleepMs })
    this.#registry.epochWatch = this.#room
    this.tcp = new TcpIngress({ host: options.tcpHost, limits: options.limits })
    this.http = new HttpIngress({
      clock: this.clock,
      limits: options.limits,
      registry: this.#registry,
      room: this.#room,
      domain: options.domain,
      trusted: options.trusted,
      own: (visitor, head, rest) => this.#own(visitor, head, rest),
      page: (head, keep) => this.#pages.answer(head, keep),
    })
    this.#desk = new AdmissionDesk({
      clock: this.clock,
      log: this.log,
      store: options.store,
      open: options.open,
      limits: options.limits,
      sessionLimits: options.sessionLimits,
      start: (opening) => this.#start(opening),
    })
    this.#revision = options.store.outsideChanges()
    this.#watchStore()
    this.scope.onEnd(() => {
      this.#storeTimer?.cancel()
      for (const session of this.#desk.sessions) session.close("draining", "The relay has stopped")
      this.newcomers.cut()
      this.http.close()
      this.tcp.close()
    })
  }

  accept(service: ServiceName, handle: CallHandler, options: AcceptOptions = {}): void {
    if (options.expose !== undefined) throw new RdvError("usage", "A relay exposes nothing of its own yet")
    this.#services.add(service, handle)
  }

  dial(service: ServiceName, options: DialOptions = {}): Stream {
    const route = this.#registry.list().find((each) => each.kind !== "private" && each.service === service)
    if (route === undefined) throw new RdvError("no_service", `Nobody offers "${service}"`)
    return route.session.open(service, options.header ?? {})
  }

  report(name: string, read: () => Json): void {
    this.#reports.set(name, read)
  }

  /** Serves a page on the relay's own host names, as `OwnPages.serve` does. */
  serve(path: string, handler: OwnPageHandler): void {
    this.#pages.serve(path, handler)
  }

  /**
   * Gives away connections that begin with this byte, at all doors: they need no session. Throws `usage` when the byte is
   * not free.
   */
  takeGuests(firstByte: number, take: LinkGuest): void {
    this.newcomers.add(firstByte, take)
  }

  /** Takes a link of which nothing is known yet: a session's, or a guest's. */
  greet(link: Link, behind?: string): void {
    this.newcomers.greet(link, (known) => this.takeLink(known, behind))
  }

  /** Takes a link whose first byte is a frame's. `behind` is whom a trusted proxy speaks for on it. */
  takeLink(link: Link, behind?: string): void {
    makeRoom(this.#handshakes, this.#options.limits.handshakes, (oldest) =>
      oldest.abort(new RdvError("limit", "Too many handshakes at once")),
    )
    this.#handshakes.add(link)
    void acceptHandshake(link, this.#options.runtime, behind === undefined ? this.#desk : this.#desk.through(behind))
      .catch((error: unknown) => {
        this.log.error("handshake.failed", { reason: error instanceof Error ? error.message : String(error) })
      })
      .finally(() => this.#handshakes.delete(link))
  }

  /**
   * Serves a host name below the domain itself, as a route: `app.chat`. It belongs to nobody who comes by a session.
   * Returns a function that takes it back. `open` is called for each request with the head of an exchange.
   */
  serveHost(name: string, service: string, open: LocalOpen): () => void {
    const route: Route = {
      kind: "http",
      name,
      service,
      id: 0,
      session: localSession(open),
      onReplaced: () => undefined,
      onLost: () => undefined,
    }
    this.#registry.add(route)
    return () => this.#registry.remove(route)
  }

  /** Makes a public name the caller's, for something that is served here. Throws `usage`, `forbidden`, `claimed`. */
  claimName(name: string, caller: Caller): string {
    return claimName(name, caller, this.#options.store, this.#registry)
  }

  /** Where visitors of an HTTP name go. */
  urlOf(name: string): string {
    return this.#options.httpUrl(name)
  }

  /**
   * A stream to a service of the session that serves a name with an epoch, now or within the wait that visitors have too.
   * Calls back once, with the stream or undefined; the function that it returns takes the question back.
   */
  reach(name: string, answer: (session: RouteSession | undefined) => void): () => void {
    const there = () => {
      const route = this.#registry.findHttp(name)
      return route?.epoch === undefined || isAway(route) ? undefined : route.session
    }
    const patienceMs = there() === undefined ? (this.#room.patienceMs(name) ?? 0) : 0
    if (patienceMs === 0) {
      answer(there())
      return () => undefined
    }
    const over = () => {
      leave()
      timer.cancel()
    }
    const leave = this.#room.wait(name, () => {
      const session = there()
      if (session === undefined) return
      over()
      answer(session)
    })
    const timer = this.clock.after(patienceMs, () => {
      over()
      answer(undefined)
    })
    return over
  }

  /** The name that this session serves with an epoch, the one that was bound first. */
  nameOf(sessionId: string): string | undefined {
    return this.#announcements.get(sessionId)?.epochNames[0]
  }

  /** Calls back when another process has changed the store: names were released or moved. */
  onStoreChange(watcher: () => void): void {
    this.#storeWatchers.add(watcher)
  }

  /** Lets those in whom a capability knows by a proof of its own, for its services alone. */
  letGuestsIn(capability: string, check: GuestCheck): void {
    this.#desk.letGuestsIn(capability, check)
  }

  /** The record of a token that somebody at `peer` shows elsewhere than in a session. Throws `unauthorized`, `rate_limited`. */
  verifyToken(token: string, peer: string): TokenRecord {
    return this.#desk.verify(token, addressOf(peer))
  }

  status(): JsonObject {
    return {
      role: "relay",
      domain: this.#options.domain,
      open: this.#options.open,
      store: this.#options.store.path,
      visitors: { ...this.http.status(), tcpConnections: this.tcp.connections },
      ...this.#desk.status(),
      routes: this.#registry.list().map(({ kind, name, service, session }) => ({
        kind,
        name,
        service,
        session: session.id,
        url: this.#urlOf(kind, name),
      })),
      delayed: [...this.#announcements.values()].flatMap((each) => each.delayed()),
      limits: { ...this.#options.limits, ...this.#options.sessionLimits },
      ...Object.fromEntries([...this.#reports].map(([name, read]) => [name, read()])),
    }
  }

  /**
   * Lets what runs finish, up to `graceMs`, and refuses what is new. The listeners stay open meanwhile: an agent whose link
   * breaks now has to come back for the exchanges that it serves. `shut` closes them; `waiting` counts those who have come
   * in by them and said nothing yet.
   */
  async drain(graceMs: number, shut: () => Promise<void>, waiting: () => number): Promise<void> {
    this.#desk.drain()
    this.http.drain()
    await drainSessions({
      clock: this.clock,
      graceMs,
      sessions: () => this.#desk.sessions,
      busy: () => this.http.unfinished > 0 || this.tcp.connections > 0,
    })
    await shut()
    for (const session of this.#desk.sessions) session.close("draining", "The relay has stopped")
    // Who came last of all is told so, too.
    const until = this.clock.now() + Math.min(graceMs, lastWordsMs)
    while (this.http.status().visitors + waiting() > 0 && this.clock.now() < until)
      await delay(this.clock, lastWordsLookMs)
  }

  #urlOf(kind: RouteKind, name: string): string {
    if (kind === "private") return `private:${name}`
    return kind === "http" ? this.#options.httpUrl(name) : this.#options.tcpUrl(Number(name))
  }

  #start({ id, owner, quota, hello, ready, peer, from }: Opening): Session {
    const { name, scopes, guest } = owner
    const { channels, names } = scopes
    const caller = { peer: from, owner: name, channels, guest, id: owner.id, names, session: id }
    let superseded = false
    // Its agent has restarted: nobody will resume it, and visitors need not wait for that until the grace time is over.
    // One that serves something else since then lives.
    const endSuperseded = () => {
      if (superseded && session.state === "suspended" && !announcements.serves)
        session.close("replaced", "The agent has started anew")
    }
    const session: Session = new Session({
      id,
      role: "acceptor",
      limits: this.#options.sessionLimits,
      peer,
      runtime: this.#options.runtime,
      onStream: (stream) => {
        if (stream.service === controlService) announcements.serve(stream)
        else if (stream.service === callService)
          passCall(stream, { ownerId: owner.id, from }, this.#registry, this.clock)
        else if (!allowsService(owner.scopes, stream.service))
          stream.reset("forbidden", `The token does not allow the service "${stream.service}"`)
        else this.#services.serve(stream, caller)
      },
      onSuspended: () => endSuperseded(),
      onResumed: () => {
        for (const each of announcements.epochNames) this.#room.came(each)
      },
      onClosed: (error) => {
        this.#registry.removeSession(id)
        this.#announcements.delete(id)
        this.#desk.forget(id)
        this.log.info("session.closed", { session: id, code: error?.code ?? "closed" })
      },
    })
    const routeSession: RouteSession = {
      id,
      ownerId: owner.id,
      claims: owner.claims,
      instance: owner.instance,
      get state() {
        return session.state
      },
      get draining() {
        return session.draining
      },
      open: (service, header) => quota.open(session, service, header),
    }
    const announcements = new Announcements(
      {
        clock: this.clock,
        registry: this.#registry,
        store: this.#options.store,
        tcp: this.tcp,
        log: this.log,
        httpUrl: this.#options.httpUrl,
        tcpUrl: this.#options.tcpUrl,
        routesPerSession: this.#options.limits.routesPerSession,
        onSuperseded: () => {
          superseded = true
          endSuperseded()
        },
      },
      routeSession,
      owner,
    )
    this.#announcements.set(id, announcements)
    this.log.info("session.opened", {
      session: id,
      owner: owner.name ?? "anonymous",
      peer: caller.peer,
      agent: hello.agent,
    })
    // On its link only after the desk knows it: bytes that came behind the handshake may already open streams.
    queueMicrotask(() => session.attachLink(ready.link, 0, ready.checked, ready.early))
    return session
  }

  /** A request whose host is no route: sessions come in at one path, whatever the host is called. */
  #own(visitor: Visitor, head: RequestHead, borrowed: Uint8Array): boolean {
    if (head.method !== "GET" || head.target !== sessionPath) return false
    const rest = new Uint8Array(borrowed)
    const behind = visitor.clientBehind(head)
    if (asksForSession(head.headers)) {
      visitor.release()
      this.greet(acceptUpgrade(visitor.socket, head.headers, rest), behind)
      return true
    }
    if (!hasToken(head.headers, "upgrade", "websocket")) return false
    const { socket, reader } = visitor
    const readsByEvents = socket.listenerCount("data") > 0
    visitor.release()
    // The package reads by "data" events, which a socket with its own reader does not have.
    if (!readsByEvents) {
      reader.receive = (bytes) => {
        socket.push(Buffer.from(bytes))
        return false
      }
    }
    try {
      const request = { method: head.method, url: head.target, headers: head.headers }
      this.greet(acceptWebSocket(socket, request, rest), behind)
    } catch (error) {
      this.log.info("session.refused", { reason: error instanceof Error ? error.message : String(error) })
      // Nobody owns it any more, so nobody would hear that the peer has left.
      socket.destroySoon()
    }
    return true
  }

  /** Tokens are revoked by another process: the store tells that something changed. */
  #watchStore(): void {
    this.#storeTimer = this.clock.after(storeLookMs, () => {
      try {
        this.#lookAtStore()
        this.#storeFails = false
      } catch (error) {
        // A full disk or a locked file passes; sessions that run need no store meanwhile.
        if (!this.#storeFails) this.log.warn("store.failed", { reason: asRdvError(error).message })
        this.#storeFails = true
      }
      this.#watchStore()
    })
  }

  #lookAtStore(): void {
    const revision = this.#options.store.outsideChanges()
    // Revocations change the store; tokens expire without a change.
    if (revision === this.#revision && this.clock.now() - this.#sweptAt <= expiryLookMs) return
    this.#desk.sweep()
    if (revision !== this.#revision) {
      this.#registry.enforce(this.#options.store)
      for (const watcher of this.#storeWatchers) watcher()
    }
    // Behind the sweep: one that failed is made up for at the next look.
    this.#revision = revision
    this.#sweptAt = this.clock.now()
  }
}

/** The answer to a visitor who came at the very end of a drain may take so long, ms. */
const lastWordsMs = 250
const lastWordsLookMs = 10
/** A revoked token's sessions end within this, ms. */
const storeLookMs = 1_000
/** An expired token's sessions end within this, ms. */
const expiryLookMs = 30_000
