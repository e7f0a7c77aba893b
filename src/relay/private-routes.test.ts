/** Who gets the next call of a private name, and who keeps it. */

import assert from "node:assert/strict"
import { test } from "node:test"
import type { SessionState } from "../mux/session-options.ts"
import { PrivateRoutes } from "./private-routes.ts"
import type { Offer } from "./private-routes.ts"
import type { Route, RouteSession } from "./registry.ts"

interface Facts {
  state?: SessionState
  draining?: boolean
  instance?: string
  service?: string
  shared?: boolean
}

let ids = 0

function routeOf(facts: Facts, onReplaced: () => void = () => assert.fail("it was replaced")): Route {
  const session: RouteSession = {
    id: String(++ids),
    ownerId: "me",
    claims: false,
    instance: facts.instance,
    get state() {
      return facts.state ?? "live"
    },
    get draining() {
      return facts.draining ?? false
    },
    open: () => assert.fail("nobody calls"),
  }
  const { service = "tcp/x", shared = true } = facts
  return { kind: "private", name: "web", service, shared, session, id: ids, onReplaced, onLost: () => assert.fail() }
}

function chosen(routes: PrivateRoutes, tried: readonly Offer[] = [], now = 0): Offer {
  const offer = routes.next("me", "web", new Set(tried), now)
  assert.ok(offer !== undefined)
  return offer
}

test("turns go round among those with the fewest calls", () => {
  const routes = new PrivateRoutes()
  const [a, b, c] = [routeOf({}), routeOf({}), routeOf({})]
  for (const route of [a, b, c]) routes.add(route)
  const turns = Array.from({ length: 6 }, () => chosen(routes))
  assert.deepEqual(
    turns.map(({ route }) => route),
    [a, b, c, a, b, c],
  )
  ;(turns[0] as Offer).calls = 1
  assert.deepEqual([chosen(routes).route, chosen(routes).route, chosen(routes).route], [b, c, b])
  assert.equal(chosen(routes, turns.slice(1, 3)).route, a)
  assert.equal(routes.next("me", "web", new Set(turns), 0), undefined)
  assert.equal(routes.next("you", "web", new Set(), 0), undefined)
})

test("who is away, leaves, or has failed a call is asked when there is nobody else, in that order", () => {
  const routes = new PrivateRoutes()
  const facts: Facts[] = [{}, {}, {}, {}]
  for (const each of facts) routes.add(routeOf(each))
  const [good, doubtful, away, leaving] = Array.from({ length: 4 }, () => chosen(routes)) as [
    Offer,
    Offer,
    Offer,
    Offer,
  ]
  good.calls = 1_000
  doubtful.doubtUntil = 10
  ;(facts[2] as Facts).state = "suspended"
  ;(facts[3] as Facts).draining = true
  assert.equal(chosen(routes), good)
  assert.equal(chosen(routes, [good]), doubtful)
  assert.equal(chosen(routes, [good, doubtful]), away)
  assert.equal(chosen(routes, [good, doubtful, away]), leaving)
  assert.equal(chosen(routes, [], 10), doubtful)
})

test("an agent that was killed and started anew takes the place of its old session, and of no other", () => {
  const routes = new PrivateRoutes()
  const replaced: string[] = []
  const add = (name: string, facts: Facts) => routes.add(routeOf(facts, () => replaced.push(name)))
  add("another machine", { state: "suspended", instance: "b" })
  add("another target", { state: "suspended", instance: "a", service: "tcp/y" })
  add("alive", { instance: "a" })
  add("unknown", { state: "suspended" })
  add("dead", { state: "suspended", instance: "a" })
  add("anew", { instance: "a" })
  assert.deepEqual(replaced, ["dead"])
  assert.equal(routes.list().length, 5)
})

test("a route that is taken back leaves the others, and one that was replaced nothing", () => {
  const routes = new PrivateRoutes()
  const [a, b] = [routeOf({}, () => undefined), routeOf({}, () => undefined)]
  routes.add(a)
  routes.add(b)
  routes.remove(a)
  routes.remove(a)
  assert.deepEqual(routes.list(), [b])
  const alone = routeOf({ shared: false })
  routes.add(alone)
  routes.remove(b)
  assert.deepEqual(routes.list(), [alone])
  routes.remove(alone)
  assert.equal(routes.next("me", "web", new Set(), 0), undefined)
})
