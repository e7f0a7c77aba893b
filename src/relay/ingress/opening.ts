/** How a visitor's request becomes a stream to its service: the head as the agent gets it, and when it is sent again. */

import { hasToken, headerValue } from "../../base/header-fields.ts"
import { withForwarded } from "../../http1/forwarded.ts"
import type { ForwardedPeer } from "../../http1/forwarded.ts"
import { persists, requestFraming } from "../../http1/framing.ts"
import type { RequestFraming } from "../../http1/framing.ts"
import type { RequestHead } from "../../http1/head.ts"
import { isIdempotent } from "../../http1/idempotent.ts"
import { withoutHopByHop } from "../../http1/hop-by-hop.ts"
import type { Route } from "../registry.ts"
import { Exchange } from "./exchange.ts"
import type { AnswerOutlet } from "./exchange.ts"

/** Whom a request comes from. */
export interface Sender extends AnswerOutlet {
  /** The other end of the connection. */
  readonly peer: ForwardedPeer
  /** The visitor's address: the peer's, or that of whom a trusted proxy speaks for. */
  readonly client: string
}

/** The request has no body: what follows its head is the next one. */
export function isBodyless(framing: RequestFraming): boolean {
  return framing.kind === "none" || (framing.kind === "length" && framing.length === 0)
}

/** Opens a stream for the request. The caller ends it behind the body, and attaches the exchange to it. */
export function openExchange(sender: Sender, route: Route, head: RequestHead, framing: RequestFraming): Exchange {
  const { method, target, minor } = head
  // An upgrade behind a body, or asked for in HTTP/1.0, is one that a server may overlook (RFC 9110 section 7.8).
  const endToEnd = withoutHopByHop(head.headers, { keepUpgrade: minor === 1 && isBodyless(framing) })
  const upgrades = hasToken(endToEnd, "connection", "upgrade")
  const headers = withForwarded(endToEnd, sender.peer, headerValue(head.headers, "host"), sender.client)
  const stream = route.session.open(route.service, {
    method,
    target,
    headers,
    minor,
    from: sender.client,
    body: framing.kind,
  })
  return new Exchange(stream, { method, minor, persists: persists(head) && !sender.retiring, upgrades }, sender)
}

/**
 * Whether the request may go to another agent now that its session is over: nobody can tell whether the service has seen
 * it, so it has to be one that may come twice (RFC 9110 section 9.2.2). What has been seen of the answer cannot be taken
 * back, and a body is not kept. `knowsKeys`: the service does a request with an `Idempotency-Key` once, however often it
 * comes.
 */
export function mayOpenAgain({ request, heard }: Exchange, head: RequestHead, knowsKeys: boolean): boolean {
  const isRepeatable =
    isIdempotent(head.method) || (knowsKeys && headerValue(head.headers, "idempotency-key") !== undefined)
  return !heard && !request.upgrades && isRepeatable && isBodyless(requestFraming(head))
}

/** The same request once more, to the agent that serves the name now. */
export function openAgain(sender: Sender, route: Route, { stream, request }: Exchange): Exchange {
  return new Exchange(route.session.open(route.service, stream.header), request, sender)
}
