/**
 * Who serves what: public names and ports, each bound to a service of a session. A name belongs to an owner; the owner's
 * newer session takes it from the older one at once, a stranger never gets it.
 */

import { RdvError } from "../base/error.ts"
import type { JsonObject } from "../base/json.ts"
import type { Stream } from "../base/stream.ts"
import type { SessionState } from "../mux/session-options.ts"
import type { Store } from "../store/store.ts"
import { PrivateRoutes } from "./private-routes.ts"

/** What visitors reach. Its names are one space for all owners. */
export type PublicKind = "http" | "tcp"

/** A private route is reached by sessions of its owner; each owner has names of its own. */
export type RouteKind = PublicKind | "private"

/** The session behind a route, as far as routes need it. */
export interface RouteSession {
  readonly id: string
  readonly state: SessionState
  readonly draining: boolean
  /** Whom names belong to: a token's id, or an anonymous installation. */
  readonly ownerId: string
  /** What it serves by a public name or port was claimed for its owner: it may be released there. */
  readonly claims: boolean
  /** The installation of the agent, as it says itself. */
  readonly instance: string | undefined
  open(service: string, header: JsonObject): Stream
}

export interface Route {
  readonly kind: RouteKind
  /** The host label, the port in decimal, or the private name. */
  readonly name: string
  readonly service: string
  /** Servers of this name take each other's place: no older one gets it. */
  readonly epoch?: number
  /** Private ones: other sessions of the owner may offer the same name beside it. */
  readonly shared?: boolean
  readonly session: RouteSession
  /** The agent's number for the announcement. */
  readonly id: number
  /** Called when the owner's newer session takes the name. */
  readonly onReplaced: (by: Route) => void
  /** Called when the name was taken away: released, or given to another token. */
  readonly onLost: (error: RdvError) => void
  /** Frees what stands behind the route, such as a listening port. */
  readonly onRemoved?: () => void
}

/** Hears of routes with an epoch. */
export interface EpochWatch {
  came(name: string): void
  left(name: string): void
}

export class Registry {
  epochWatch: EpochWatch | undefined
  readonly #routes: Map<string, Route> = new Map()
  /** Each owner has names of its own. */
  readonly private: PrivateRoutes = new PrivateRoutes()

  find(kind: PublicKind, name: string): Route | undefined {
    return this.#routes.get(`${kind}:${name}`)
  }

  /** The quick way for requests. */
  findHttp(name: string): Route | undefined {
    return this.#routes.get(`http:${name}`)
  }

  /** Throws `claimed` when another owner's living session serves the name. */
  check(kind: PublicKind, name: string, ownerId: string): void {
    const old = this.find(kind, name)
    if (old === undefined || old.session.ownerId === ownerId) return
    throw new RdvError("claimed", `"${name}" is served by somebody else`, { mend: "choose another name" })
  }

  /** Binds the route; the same owner's older route of that name is withdrawn. Throws `claimed`. */
  add(route: Route): void {
    if (route.kind === "private") {
      this.private.add(route)
      return
    }
    this.check(route.kind, route.name, route.session.ownerId)
    const key = keyOf(route)
    const old = this.#routes.get(key)
    this.#routes.set(key, route)
    if (old !== undefined) {
      old.onRemoved?.()
      old.onReplaced(route)
    }
    if (route.epoch !== undefined) this.epochWatch?.came(route.name)
  }

  /** Takes a route back; a newer one of the same name stays. */
  remove(route: Route): void {
    if (route.kind === "private") {
      this.private.remove(route)
      return
    }
    const key = keyOf(route)
    if (this.#routes.get(key) !== route) return
    this.#routes.delete(key)
    if (route.epoch !== undefined) this.epochWatch?.left(route.name)
    route.onRemoved?.()
  }

  /**
   * Takes back what the store says is not its session's any more: all routes, or those of one name. Somebody else may have
   * changed it (`rdv name`). Throws what the store throws.
   */
  enforce(store: Store, routes: Iterable<Route | undefined> = this.list()): void {
    for (const route of routes) {
      const error = route && lossOf(store, route)
      if (route === undefined || error === undefined) continue
      this.remove(route)
      route.onLost(error)
    }
  }

  removeSession(sessionId: string): void {
    for (const route of this.list()) if (route.session.id === sessionId) this.remove(route)
  }

  list(): Route[] {
    return [...this.#routes.values(), ...this.private.list()]
  }
}

function keyOf({ kind, name }: Route): string {
  return `${kind}:${name}`
}

/** Why the session may not serve the name any longer; undefined while it may. */
function lossOf(store: Store, { kind, name, session }: Route): RdvError | undefined {
  // Private names are not claimed: nobody else could take them.
  if (kind === "private") return undefined
  const owner = store.claimOwner(kind, name)
  if (owner === session.ownerId) return undefined
  if (owner !== undefined) {
    const whose = owner.includes(":") ? "somebody else" : "another token"
    return new RdvError("claimed", `"${name}" belongs to ${whose} now`)
  }
  return session.claims ? new RdvError("closed", `"${name}" was released at the relay`) : undefined
}
