/** The relay itself behind a route: visitors' requests become calls in this process. */

import type { JsonObject } from "../base/json.ts"
import type { Stream } from "../base/stream.ts"
import type { RouteSession } from "./registry.ts"

/** Answers an exchange (docs/protocol.md, section 9.2) on the stream that it returns, whose other end is the visitor's. */
export type LocalOpen = (head: JsonObject) => Stream

/** It is always there, and belongs to nobody who has a token or a key. */
export function localSession(open: LocalOpen): RouteSession {
  return {
    id: "relay",
    state: "live",
    draining: false,
    ownerId: "relay:",
    claims: false,
    instance: undefined,
    open: (_service, head) => open(head),
  }
}
