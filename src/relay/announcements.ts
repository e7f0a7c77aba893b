/**
 * The relay's side of the `control` service for one session: checks what an agent may make public, picks names and ports,
 * binds routes and tells what became of them.
 */

import type { Clock } from "../base/clock.ts"
import { asRdvError, codeNumber, RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Log } from "../base/log.ts"
import type { Stream } from "../base/stream.ts"
import { passingRefusals, readAgentMessage } from "../host/control.ts"
import type { Announce } from "../host/control.ts"
import type { Exposed, Exposure } from "../host/host.ts"
import { checkPrivateName } from "../host/private-call.ts"
import type { Store } from "../store/store.ts"
import { allowsName, allowsPort, allowsService } from "../store/token-scopes.ts"
import { checkServiceName } from "../wire/encode.ts"
import type { Owner } from "./admission.ts"
import type { TcpIngress } from "./ingress/tcp.ts"
import { checkName, pickName } from "./names.ts"
import type { PublicKind, Registry, Route, RouteSession } from "./registry.ts"

export interface AnnouncementsOptions {
  readonly clock: Clock
  readonly registry: Registry
  readonly store: Store
  readonly tcp: TcpIngress
  readonly log: Log
  /** Where visitors of an HTTP route go. */
  readonly httpUrl: (name: string) => string
  readonly tcpUrl: (port: number) => string
  readonly routesPerSession: number
  /** The agent that this session belonged to has come back with another one, which serves all that this one did. */
  readonly onSuperseded: () => void
}

/** An announcement that was refused for a reason that may pass: the agent makes it again. */
interface Delayed {
  readonly announce: Announce
  readonly reason: string
  readonly code: string
  readonly since: number
}

/** Attempts to find a free name; with two words and digits, the first nearly always is. */
const pickAttempts = 20

export class Announcements {
  readonly #options: AnnouncementsOptions
  readonly #session: RouteSession
  readonly #owner: Owner
  /** By the agent's number. */
  readonly #routes: Map<number, Route> = new Map()
  /** Those whose port is being opened: they have their place already, and may be taken back before they are bound. */
  readonly #opening: Map<number, { withdrawn: boolean }> = new Map()
  /** As many as routes, at most. */
  readonly #delayed: Map<number, Delayed> = new Map()
  #control: Stream | undefined

  constructor(options: AnnouncementsOptions, session: RouteSession, owner: Owner) {
    this.#options = options
    this.#session = session
    this.#owner = owner
  }

  /** Somebody without a token and an installation is nobody else the next time: nothing is remembered for it. */
  get #returns(): boolean {
    return this.#owner.claims || this.#owner.instance !== undefined
  }

  /** Something is bound to the session, or about to be. */
  get serves(): boolean {
    return this.#routes.size + this.#opening.size > 0
  }

  /** Names whose servers take each other's place. */
  get epochNames(): string[] {
    return [...this.#routes.values()].filter(({ epoch }) => epoch !== undefined).map(({ name }) => name)
  }

  /** What the agent waits for: nothing of it is bound. */
  delayed(): JsonObject[] {
    const now = this.#options.clock.now()
    return [...this.#delayed.values()].map(({ announce: { service, expose }, code, reason, since }) => ({
      kind: expose.kind,
      name: wantedName(expose) ?? null,
      service,
      session: this.#session.id,
      owner: this.#owner.name ?? null,
      code,
      reason,
      sinceMs: Math.round(now - since),
    }))
  }

  /** Serves the session's control stream. */
  serve(stream: Stream): void {
    this.#control = stream
    stream.attach({
      data: (chunk) => stream.consumed(chunk.length),
      meta: (block) => this.#hear(block),
      end: () => stream.end(),
      drain: () => undefined,
      closed: () => {
        if (this.#control === stream) this.#control = undefined
      },
    })
  }

  #hear(block: JsonObject): void {
    const message = readAgentMessage(block)
    if (message.do === "withdraw") {
      this.#delayed.delete(message.id)
      const opening = this.#opening.get(message.id)
      if (opening !== undefined) opening.withdrawn = true
      const route = this.#routes.get(message.id)
      this.#routes.delete(message.id)
      if (route !== undefined) this.#options.registry.remove(route)
      return
    }
    this.#bind(message).then(
      (exposed) => {
        this.#delayed.delete(message.id)
        this.#say({ do: "exposed", id: message.id, ...exposed })
      },
      (thrown: unknown) => {
        const error = asRdvError(thrown)
        const reason = error.mend === undefined ? error.message : `${error.message}: ${error.mend}`
        this.#delay(message, error, reason)
        this.#say({ do: "refused", id: message.id, code: codeNumber(error.code), reason })
        this.#options.log.info("route.refused", { session: this.#session.id, code: error.code, reason })
      },
    )
  }

  #delay(announce: Announce, { code }: RdvError, reason: string): void {
    const before = this.#delayed.get(announce.id)
    if (!passingRefusals.has(code)) this.#delayed.delete(announce.id)
    else if (before !== undefined || this.#delayed.size < this.#options.routesPerSession) {
      const since = before?.since ?? this.#options.clock.now()
      this.#delayed.set(announce.id, { announce, code, reason, since })
    }
  }

  /** An agent that announces and does not read the answers has no use for them. */
  #say(message: JsonObject): void {
    const control = this.#control
    if (control?.meta(message) === false) control.reset("limit", "The answers of the control stream are not read")
  }

  async #bind({ service, expose, id }: Announce): Promise<Exposed> {
    const { routesPerSession } = this.#options
    checkServiceName(service)
    if (this.#routes.has(id) || this.#opening.has(id)) {
      throw new RdvError("protocol", `Announcement ${id} is made twice`)
    }
    if (this.#routes.size + this.#opening.size >= routesPerSession) {
      throw new RdvError("limit", `No more than ${routesPerSession} routes`)
    }
    if (!allowsService(this.#owner.scopes, expose.kind)) {
      throw new RdvError("forbidden", `The token does not allow ${expose.kind} services`)
    }
    const opening = { withdrawn: false }
    this.#opening.set(id, opening)
    try {
      const opened = this.#open(expose)
      const bound = opened instanceof Promise ? await opened : opened
      if (this.#session.state === "closed" || opening.withdrawn) {
        bound.abandon?.()
        throw new RdvError("cancelled", `"${bound.name}" was taken back before it was bound`)
      }
      this.#add(bound, service, expose, id)
      return { url: bound.url, name: bound.name }
    } catch (error) {
      // Whatever it was, nobody waits for it any more.
      throw opening.withdrawn ? new RdvError("cancelled", "The announcement was taken back") : error
    } finally {
      this.#opening.delete(id)
    }
  }

  /** At once where nothing has to be waited for: the next announcement may count on it. */
  #open(expose: Exposure): Bound | Promise<Bound> {
    switch (expose.kind) {
      case "http":
        return this.#bindHttp(expose)
      case "tcp":
        return this.#bindTcp(expose.port, expose.seed)
      case "private": {
        const { name } = expose
        checkPrivateName(name)
        return { name, url: `private:${name}` }
      }
    }
  }

  #add(bound: Bound, service: string, expose: Exposure, id: number): void {
    const { registry, log } = this.#options
    const withdrawn = (error: RdvError) => {
      this.#routes.delete(id)
      this.#say({ do: "withdrawn", id, code: codeNumber(error.code), reason: error.message })
    }
    const route: Route = {
      kind: expose.kind,
      name: bound.name,
      service,
      id,
      ...(expose.kind === "http" && expose.epoch !== undefined && { epoch: expose.epoch }),
      ...(expose.kind === "private" && expose.shared === true && { shared: true }),
      session: this.#session,
      onReplaced: ({ session: by, epoch }) => {
        withdrawn(new RdvError("replaced", `A newer session of the same owner serves "${bound.name}"`))
        if (by === this.#session) return
        const isSameAgent = by.instance !== undefined && by.instance === this.#session.instance
        // Of servers with epochs there is one at a time, whoever runs it.
        const isSuccessor = isSameAgent || (epoch !== undefined && route.epoch !== undefined)
        if (isSuccessor && this.#routes.size === 0) this.#options.onSuperseded()
      },
      onLost: (error) => {
        withdrawn(error)
        log.info("route.lost", { kind: route.kind, name: route.name, session: this.#session.id, reason: error.message })
      },
      ...(bound.onRemoved === undefined ? {} : { onRemoved: bound.onRemoved }),
    }
    // First the port, so that the older route of the same owner does not close it when it is replaced.
    bound.ready?.(route)
    registry.add(route)
    this.#routes.set(id, route)
    log.info("route.bound", { kind: route.kind, name: route.name, session: this.#session.id })
  }

  #bindHttp(expose: Extract<Exposure, { kind: "http" }>): Bound {
    if (expose.epoch !== undefined && expose.name === undefined) throw new RdvError("usage", "An epoch wants a name")
    const name = expose.name === undefined ? this.#pick(expose.seed) : this.#claim("http", checkName(expose.name))
    if (expose.epoch !== undefined) this.#fence(name, expose.epoch)
    return { name, url: this.#options.httpUrl(name) }
  }

  /** Throws `replaced` when the name has had a server with a higher epoch. */
  #fence(name: string, epoch: number): void {
    const { registry, store } = this.#options
    const served = registry.findHttp(name)?.epoch ?? 0
    const last = Math.max(served, this.#owner.claims ? store.raiseEpoch("http", name, epoch) : 0)
    if (last > epoch) throw new RdvError("replaced", `A newer server has "${name}": its epoch is ${last}, not ${epoch}`)
  }

  /** A readable name that nobody has: the remembered one of this owner and seed, or a new one. */
  #pick(seed: string | undefined): string {
    const { store } = this.#options
    const ownerId = this.#owner.id
    const remembered = seed === undefined ? undefined : store.rememberedName(ownerId, seed)
    if (remembered !== undefined && this.#isFree("http", remembered)) return this.#claim("http", remembered)
    for (let attempt = 0; attempt < pickAttempts; attempt++) {
      const name = pickName(Math.random, attempt)
      if (!allowsName(this.#owner.scopes, name) || !this.#isFree("http", name)) continue
      if (seed !== undefined && this.#returns) store.rememberName(ownerId, seed, name)
      return this.#claim("http", name)
    }
    throw new RdvError("limit", "No free name was found", { mend: "choose one with --name that the token allows" })
  }

  async #bindTcp(wanted: number, seed: string | undefined): Promise<Bound> {
    const { store, tcp, tcpUrl } = this.#options
    let port = wanted
    if (port === 0 && seed !== undefined) {
      const remembered = store.rememberedPort(this.#owner.id, seed)
      if (remembered !== undefined && this.#isFree("tcp", String(remembered))) port = remembered
    }
    if (port !== 0) this.#check("tcp", String(port))
    let opened
    try {
      opened = await tcp.open(port)
    } catch (error) {
      // A remembered port that another program took is no reason to serve nothing.
      if (wanted !== 0 || port === 0) throw error
      opened = await tcp.open(0)
    }
    const bound = opened
    const name = String(bound.port)
    const abandon = () => {
      if (bound.route === undefined) bound.close()
    }
    try {
      if (wanted === 0 && !allowsPort(this.#owner.scopes, bound.port)) {
        throw new RdvError("forbidden", `The token does not allow port ${bound.port}`, {
          mend: "choose one with --port that it allows",
        })
      }
      // A claim outlives the session, so only what could be opened is claimed.
      this.#claim("tcp", name)
      if (wanted === 0 && seed !== undefined && this.#returns) store.rememberPort(this.#owner.id, seed, bound.port)
    } catch (error) {
      abandon()
      throw error
    }
    let own: Route | undefined
    return {
      name,
      url: tcpUrl(bound.port),
      abandon,
      ready: (route) => (bound.route = own = route),
      onRemoved: () => {
        // The owner's newer route may already use the port.
        if (bound.route === own) bound.close()
      },
    }
  }

  #isFree(kind: PublicKind, name: string): boolean {
    const { registry, store } = this.#options
    const claimedBy = store.claimOwner(kind, name)
    if (claimedBy !== undefined && claimedBy !== this.#owner.id) return false
    const route = registry.find(kind, name)
    return route === undefined || route.session.ownerId === this.#owner.id
  }

  /** Throws `forbidden` or `claimed`: the name is not for this owner. */
  #check(kind: PublicKind, name: string): void {
    const { scopes, id } = this.#owner
    const allowed = kind === "http" ? allowsName(scopes, name) : allowsPort(scopes, Number(name))
    if (!allowed) {
      throw new RdvError("forbidden", `The token does not allow ${kind === "http" ? "the name" : "port"} "${name}"`)
    }
    const { registry, store } = this.#options
    // The name may have been released or handed over since the relay last looked.
    const served = registry.find(kind, name)
    if (served !== undefined && served.session.ownerId !== id) registry.enforce(store, [served])
    registry.check(kind, name, id)
    if (!this.#isFree(kind, name)) throw this.#taken(name)
  }

  /** The name is this owner's from now on. Throws `forbidden` or `claimed`. */
  #claim(kind: PublicKind, name: string): string {
    this.#check(kind, name)
    const { claims, id, guest, mayClaim } = this.#owner
    // Who is nobody can hold a name only while it is there.
    if (!claims) return name
    const { store } = this.#options
    if (mayClaim !== undefined && store.claimOwner(kind, name) === undefined) mayClaim(name)
    if (!store.claimName(kind, name, id, guest).ok) throw this.#taken(name)
    return name
  }

  #taken(name: string): RdvError {
    const { claims, guest } = this.#owner
    if (claims) {
      const whose = guest === undefined ? "another token" : "somebody else"
      return new RdvError("claimed", `"${name}" belongs to ${whose}`, { mend: "choose another name" })
    }
    return new RdvError("claimed", `"${name}" belongs to a token`, {
      mend: "choose another name, or come with the token that owns it (--token-file FILE)",
    })
  }
}

/** What the agent asked for; undefined when the choice is the relay's. */
function wantedName(expose: Exposure): string | undefined {
  if (expose.kind !== "tcp") return expose.name
  return expose.port === 0 ? undefined : String(expose.port)
}

interface Bound {
  readonly name: string
  readonly url: string
  /** Frees what was opened for a route that is not bound after all. */
  readonly abandon?: () => void
  readonly ready?: (route: Route) => void
  readonly onRemoved?: () => void
}
