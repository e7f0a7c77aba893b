/**
 * Who the visitor is, for the service that cannot see the connection: `X-Forwarded-For`, `-Proto`, `-Host` and
 * `Forwarded` (RFC 7239). Services let people in by these, so what a stranger writes into them is dropped.
 */

import { isName } from "../base/header-fields.ts"
import { isToken } from "./grammar.ts"

export interface ForwardedFacts {
  /** The visitor's address, IPv4 or IPv6, without a port. */
  readonly peer: string
  readonly scheme: "http" | "https"
  /** The request's authority: its `Host`. Undefined when there is none (HTTP/1.0). */
  readonly host: string | undefined
  /** The peer is a proxy that the operator trusts: what it says is kept. */
  readonly trust: boolean
}

/**
 * The headers with the four fields at their end. From strangers every field that names a client address or an original
 * request is removed first, also in the spelling with `_` that CGI-like services read as the same. With `trust`, the peer
 * is appended to `X-Forwarded-For` and `Forwarded`; `X-Forwarded-Proto` and `-Host` of the outer proxy stay as they are,
 * because services read them as one value.
 */
export function withForwarded(headers: readonly string[], facts: ForwardedFacts): string[] {
  const { scheme, host, trust } = facts
  const peer = plainAddress(facts.peer)
  const kept: string[] = []
  let chain = ""
  let forwarded = ""
  let outerProto: string | undefined
  let outerHost: string | undefined
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string
    const value = headers[at + 1] as string
    const first = name.charCodeAt(0) | 32
    if (!(first === 120 || first === 102 || first === 116 || first === 99) || !speaksForOthers(name)) {
      kept.push(name, value)
    } else if (!trust) {
      continue
    } else if (isName(name, "x-forwarded-for")) {
      chain += `${value}, `
    } else if (isName(name, "forwarded")) {
      forwarded += `${value}, `
    } else if (isName(name, "x-forwarded-proto")) {
      outerProto ??= value
    } else if (isName(name, "x-forwarded-host")) {
      outerHost ??= value
    } else {
      kept.push(name, value)
    }
  }
  kept.push("X-Forwarded-For", chain + peer, "X-Forwarded-Proto", outerProto ?? scheme)
  const statedHost = outerHost ?? host
  if (statedHost !== undefined) kept.push("X-Forwarded-Host", statedHost)
  kept.push("Forwarded", forwarded + element(peer, scheme, host))
  return kept
}

/** `for=192.0.2.1;host=example.test;proto=https`; what is no token is quoted (RFC 7239 section 4). */
function element(peer: string, scheme: string, host: string | undefined): string {
  const node = peer.includes(":") ? `"[${peer}]"` : peer
  const named = host === undefined ? "" : `;host=${isToken(host) ? host : `"${host.replace(/["\\]/g, "\\$&")}"`}`
  return `for=${node}${named};proto=${scheme}`
}

/** Without an interface (`fe80::1%eth0`), and IPv4 as IPv4 where the socket listens on both (`::ffff:192.0.2.1`). */
function plainAddress(peer: string): string {
  if (!peer.includes(":")) return peer
  const address = peer.split("%", 1)[0] as string
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(address) ? address.slice(7) : address
}

const others = new Set(
  (
    "forwarded x-real-ip x-client-ip x-cluster-client-ip x-original-forwarded-for x-original-host x-original-url " +
    "x-rewrite-url x-proxyuser-ip true-client-ip client-ip cf-connecting-ip fastly-client-ip"
  ).split(" "),
)

function speaksForOthers(name: string): boolean {
  const lower = name.toLowerCase().replaceAll("_", "-")
  return lower.startsWith("x-forwarded") || others.has(lower)
}
