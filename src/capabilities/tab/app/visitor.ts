/** Where a request came from. An application asks `visitorOf(request)`; nobody can forge it by headers. */

import type { PeerCaller } from "./peers.ts"

export type Visitor =
  /** A page of the own browser, or of the machine that runs it. */
  | { readonly kind: "own" }
  /** Somebody at the public URL; `address` is as the relay saw it. */
  | { readonly kind: "public"; readonly address: string }
  | { readonly kind: "peer"; readonly peer: PeerCaller }

/**
 * One for all copies of this file: an application is bundled by itself, and so is the server that runs it. The key is for
 * finding it, and no secret: who could use it runs in the server already.
 */
const place: unique symbol = Symbol.for("rdv visitors")
const globals = globalThis as { [place]?: WeakMap<Request, Visitor> }
const visitors: WeakMap<Request, Visitor> = (globals[place] ??= new WeakMap())

/** For servers. */
export function setVisitor(request: Request, visitor: Visitor): void {
  visitors.set(request, visitor)
}

/** A request that no server has made (a test's, a copy) is a stranger's. */
export function visitorOf(request: Request): Visitor {
  return visitors.get(request) ?? { kind: "public", address: "" }
}
