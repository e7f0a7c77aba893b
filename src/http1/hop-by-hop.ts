/**
 * What a head says about one connection ends at that connection (RFC 9110 section 7.6.1): these fields are removed before
 * a message goes on, and whoever writes it next says about its own connection what is true there.
 */

import { hasToken, headerValue, headerValues, isName, listWords } from "../base/header-fields.ts"

export interface HopByHopOptions {
  /**
   * Keeps `Upgrade` where the message's own `Connection` names it, and a `Connection` field for it. An upgrade to `h2c`
   * is dropped all the same: requests inside it would pass every rule unseen. Its sender then gets plain HTTP/1.1.
   */
  readonly keepUpgrade: boolean
}

/**
 * The fields that go on, in order. `TE: trailers` stays (with its connection option), `Trailer` too, as trailers travel
 * from end to end here; of `TE` nothing else does.
 *
 * `Connection` may name any field for removal but those that RFC 9110 calls never appropriate and those that others
 * decide by (host, identity, framing, caching): a visitor must not take away what a proxy before us has put in.
 */
export function withoutHopByHop(headers: readonly string[], options: HopByHopOptions): string[] {
  const named = namedByConnection(headers)
  const upgrade = options.keepUpgrade && keepsUpgrade(headers)
  const kept: string[] = []
  let trailers = false
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string
    if (isHopByHop(name)) {
      if (upgrade && isName(name, "upgrade")) kept.push(name, headers[at + 1] as string)
      else if (isName(name, "te")) trailers ||= listWords(headers[at + 1] as string).some(isTrailers)
    } else if (named === undefined || !named.has(name.toLowerCase())) {
      kept.push(name, headers[at + 1] as string)
    }
  }
  if (trailers) kept.push("TE", "trailers")
  if (upgrade) kept.push("Connection", trailers ? "Upgrade, TE" : "Upgrade")
  else if (trailers) kept.push("Connection", "TE")
  return kept
}

/** Fields that `Connection` cannot remove. */
const endToEnd = new Set(
  (
    "host cookie set-cookie authorization www-authenticate forwarded via cache-control expires pragma vary date etag " +
    "age location range origin referer user-agent accept expect trailer x-real-ip traceparent tracestate"
  ).split(" "),
)

function isEndToEnd(lowerName: string): boolean {
  return endToEnd.has(lowerName) || /^(content-|x-forwarded-|if-|sec-|access-control-)/.test(lowerName)
}

/** Undefined in nearly all messages: `close` and `keep-alive` name no field. */
function namedByConnection(headers: readonly string[]): Set<string> | undefined {
  let named: Set<string> | undefined
  for (let at = 0; at < headers.length; at += 2) {
    if (!isName(headers[at] as string, "connection")) continue
    const value = (headers[at + 1] as string).toLowerCase()
    if (value === "keep-alive" || value === "close" || value === "upgrade") continue
    for (const word of listWords(value)) {
      if (isEndToEnd(word)) continue
      named ??= new Set()
      named.add(word)
    }
  }
  return named
}

function keepsUpgrade(headers: readonly string[]): boolean {
  if (!hasToken(headers, "connection", "upgrade") || headerValue(headers, "upgrade") === undefined) return false
  return !headerValues(headers, "upgrade").some((value) => /(^|[\s,])h2c?\s*($|[,/])/i.test(value))
}

/** `trailers`, with or without a weight. */
function isTrailers(word: string): boolean {
  return /^trailers[ \t]*(;|$)/i.test(word)
}

function isHopByHop(name: string): boolean {
  switch (name.length) {
    case 2:
      return isName(name, "te")
    case 7:
      return isName(name, "upgrade")
    case 10:
      return isName(name, "connection") || isName(name, "keep-alive")
    case 14:
      return isName(name, "http2-settings")
    case 16:
      return isName(name, "proxy-connection")
    case 17:
      return isName(name, "transfer-encoding")
    case 18:
      return isName(name, "proxy-authenticate")
    case 19:
      return isName(name, "proxy-authorization")
    case 25:
      return isName(name, "proxy-authentication-info")
    default:
      return false
  }
}
