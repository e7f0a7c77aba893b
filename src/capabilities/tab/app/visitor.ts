/** Where a request came from. An application asks `visitorOf(request)`; nobody can forge it by headers. */

import type { PeerCaller } from "./peers.ts"

export type Visitor =
  /** A page of the own browser, or of the machine that runs it. */
  | { readonly kind: "own" }
  /** Somebody at the public URL; `address` is as the relay saw it. */
  | { readonly kind: "public"; readonly address: string }
  | { readonly kind: "peer"; readonly peer: PeerCaller }

const visitors = new WeakMap<Request, Visitor>()

/** For servers. */
export function setVisitor(request: Request, visitor: Visitor): void {
  visitors.set(request, visitor)
}

/** A request that no server has made (a test's, a copy) is a stranger's. */
export function visitorOf(request: Request): Visitor {
  return visitors.get(request) ?? { kind: "public", address: "" }
}
