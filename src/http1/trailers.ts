/**
 * Fields behind a chunked body. A trailer that a reader merges into the head could change how the message was framed,
 * routed or authorised after the fact, so most fields are not allowed there (RFC 9110 section 6.5.1).
 */

import { quote } from "./http-error.ts"
import type { Fail } from "./http-error.ts"

/** These would reframe or reroute the message: whoever sends them means harm. */
const refused = new Set(["content-length", "transfer-encoding", "host", "connection", "upgrade"])

/** These say something that must be known before the body: they are dropped, as RFC 9110 section 6.5.2 allows. */
const dropped = new Set(
  (
    "age authorization cache-control content-encoding content-location content-range content-type cookie date expect expires forwarded if-match if-modified-since if-none-match " +
    "if-range if-unmodified-since keep-alive location max-forwards origin pragma proxy-authenticate " +
    "proxy-authorization proxy-connection range retry-after set-cookie te trailer vary via warning www-authenticate"
  ).split(" "),
)

/** The trailers that may be passed on. Throws what `fail` makes for those that only an attack sends. */
export function trailersAllowed(trailers: string[], fail: Fail): string[] {
  if (trailers.length === 0) return trailers
  const allowed: string[] = []
  for (let at = 0; at < trailers.length; at += 2) {
    const name = trailers[at] as string
    const lower = name.toLowerCase()
    if (refused.has(lower)) throw fail(400, `a trailer that would change the message: ${quote(name)}`)
    if (dropped.has(lower) || /^(x-forwarded-|access-control-|sec-)/.test(lower)) continue
    allowed.push(name, trailers[at + 1] as string)
  }
  return allowed
}
