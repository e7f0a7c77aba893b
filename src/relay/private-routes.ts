/**
 * Who offers private names. An owner's newer session takes a name from the older one, unless both say that they share it:
 * then calls are spread over all who do, and one that goes leaves the name to the others.
 */

import type { Route } from "./registry.ts"

/** One of those who serve a name. */
export interface Offer {
  readonly route: Route
  /** Under way. */
  calls: number
  /** It failed a call: until then, others are asked first. A clock's time. */
  doubtUntil: number
  /** When it was chosen last, counted in calls. */
  turn: number
}

export class PrivateRoutes {
  readonly #names: Map<string, readonly Offer[]> = new Map()
  #turns = 0

  /** Binds the route; those of the name that do not share it are withdrawn. */
  add(route: Route): void {
    const key = keyOf(route)
    const old = this.#names.get(key) ?? []
    const replaced = old.filter((offer) => isReplaced(offer.route, route))
    const kept = old.filter((offer) => !replaced.includes(offer))
    this.#names.set(key, [...kept, { route, calls: 0, doubtUntil: 0, turn: 0 }])
    for (const { route: each } of replaced) {
      each.onRemoved?.()
      each.onReplaced(route)
    }
  }

  /** Takes a route back; others of the same name stay. */
  remove(route: Route): void {
    const key = keyOf(route)
    const old = this.#names.get(key) ?? []
    const kept = old.filter((offer) => offer.route !== route)
    if (kept.length === old.length) return
    if (kept.length === 0) this.#names.delete(key)
    else this.#names.set(key, kept)
    route.onRemoved?.()
  }

  /**
   * Who gets the next call: who is there before who may come back, then who has the fewest calls, then who waited longest
   * for one. Undefined when nobody is left.
   */
  next(ownerId: string, name: string, tried: ReadonlySet<Offer>, now: number): Offer | undefined {
    let best: Offer | undefined
    for (const offer of this.#names.get(keyText(ownerId, name)) ?? []) {
      if (!tried.has(offer) && (best === undefined || isBetter(offer, best, now))) best = offer
    }
    if (best !== undefined) best.turn = ++this.#turns
    return best
  }

  /** Somebody who was not tried is there and in no doubt. */
  hasReady(ownerId: string, name: string, tried: ReadonlySet<Offer>, now: number): boolean {
    const offers = this.#names.get(keyText(ownerId, name)) ?? []
    return offers.some((offer) => !tried.has(offer) && rankOf(offer, now) === 0)
  }

  list(): Route[] {
    return [...this.#names.values()].flatMap((offers) => offers.map(({ route }) => route))
  }
}

function isReplaced(old: Route, by: Route): boolean {
  if (old.shared !== true || by.shared !== true) return true
  // The agent was killed and started anew: its old session would be waited for, and all who called it.
  const { instance, state } = old.session
  return (
    state === "suspended" && instance !== undefined && instance === by.session.instance && old.service === by.service
  )
}

function isBetter(one: Offer, other: Offer, now: number): boolean {
  const [rank, otherRank] = [rankOf(one, now), rankOf(other, now)]
  if (rank !== otherRank) return rank < otherRank
  return one.calls === other.calls ? one.turn < other.turn : one.calls < other.calls
}

function rankOf({ route: { session }, doubtUntil }: Offer, now: number): number {
  if (session.draining || session.state === "closed") return 3
  if (session.state === "suspended") return 2
  return doubtUntil > now ? 1 : 0
}

function keyOf({ name, session }: Route): string {
  return keyText(session.ownerId, name)
}

/** No name has a colon. */
function keyText(ownerId: string, name: string): string {
  return `${name}:${ownerId}`
}
