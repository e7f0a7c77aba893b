/**
 * Who the visitor is, for the service that cannot see the connection: `X-Forwarded-For`, `-Proto`, `-Host` and
 * `Forwarded` (RFC 7239). Services let people in by these, so what a stranger writes into them is dropped.
 */

import { isName } from "../base/header-fields.ts"
import { isToken } from "./grammar.ts"

/** The other end of a connection, with what is told of it in each of its requests. */
export class ForwardedPeer {
  /** IPv4 or IPv6, as `plainAddress` writes it. */
  readonly address: string
  readonly scheme: "http" | "https"
  /** It is a proxy that the operator trusts: what it says of its own visitors is kept. */
  readonly trusted: boolean
  readonly #node: string
  /** Most connections ask for one host only. */
  #host: string | undefined
  #element: string | undefined

  constructor(address: string, scheme: "http" | "https", trusted: boolean) {
    this.address = plainAddress(address)
    this.scheme = scheme
    this.trusted = trusted
    this.#node = nodeOf(this.address)
  }

  /** Its element of `Forwarded`; `host` is the request's authority. */
  element(host: string | undefined): string {
    if (this.#element === undefined || host !== this.#host) {
      this.#host = host
      this.#element = `${this.#node}${hostPair(host)};proto=${this.scheme}`
    }
    return this.#element
  }
}

/**
 * The headers with the four fields at their end; `host` is the request's `Host`, undefined when there is none (HTTP/1.0).
 * Every field that names a client address or an original request is removed first, also in the spelling with `_` that
 * CGI-like services read as the same. Of a trusted peer the four themselves are kept: it is appended to `X-Forwarded-For`
 * and `Forwarded`; its `X-Forwarded-Proto` and `-Host` stay as they are, because services read them as one value. A
 * trusted peer that speaks for `client` and sends no `Forwarded` has its element written for it: services that prefer that
 * field would take the proxy for the visitor.
 */
export function withForwarded(
  headers: readonly string[],
  peer: ForwardedPeer,
  host: string | undefined,
  client: string = peer.address,
): string[] {
  const kept: string[] = []
  const said: Said | undefined = peer.trusted ? { chain: "", forwarded: "", proto: peer.scheme, host } : undefined
  for (let at = 0; at < headers.length; at += 2) {
    const name = headers[at] as string
    const first = name.charCodeAt(0) | 32
    if (!(first === 120 || first === 102 || first === 116 || first === 99) || !speaksForOthers(name)) {
      kept.push(name, headers[at + 1] as string)
    } else if (said !== undefined) hear(said, name, headers[at + 1] as string)
  }
  if (said === undefined) {
    kept.push("X-Forwarded-For", peer.address, "X-Forwarded-Proto", peer.scheme)
    if (host !== undefined) kept.push("X-Forwarded-Host", host)
    kept.push("Forwarded", peer.element(host))
    return kept
  }
  kept.push("X-Forwarded-For", said.chain + peer.address, "X-Forwarded-Proto", said.proto)
  if (said.host !== undefined) kept.push("X-Forwarded-Host", said.host)
  if (said.forwarded === "" && client !== peer.address) said.forwarded = elementFor(client, said)
  kept.push("Forwarded", said.forwarded + peer.element(host))
  return kept
}

/** What a trusted proxy says; lists end with their comma. */
interface Said {
  chain: string
  forwarded: string
  proto: string
  host: string | undefined
}

function hear(said: Said, name: string, value: string): void {
  if (value === "") return
  if (isName(name, "x-forwarded-for")) said.chain += `${value}, `
  else if (isName(name, "x-forwarded-proto")) said.proto = value
  else if (isName(name, "x-forwarded-host")) said.host = value
  // Most proxies pass it on as the visitor wrote it: an open quotation mark would swallow what is appended.
  else if (isName(name, "forwarded") && elements.test(value)) said.forwarded += `${value}, `
}

/** RFC 7239 section 4, without empty elements. */
const pair = /[!#$%&'*+.^_`|~\w-]+=(?:[!#$%&'*+.^_`|~\w-]+|"(?:[^"\\]|\\.)*")/.source
const elements = new RegExp(`^${pair}(?:;${pair})*(?:[ \\t]*,[ \\t]*${pair}(?:;${pair})*)*$`)

/** The element that a proxy did not write, from what it said otherwise. */
function elementFor(client: string, { proto, host }: Said): string {
  return `${nodeOf(client)}${hostPair(host)}${isToken(proto) ? `;proto=${proto}` : ""}, `
}

function nodeOf(address: string): string {
  return `for=${address.includes(":") ? `"[${address}]"` : address}`
}

/** What is no token is quoted (RFC 7239 section 4). */
function hostPair(host: string | undefined): string {
  if (host === undefined) return ""
  return `;host=${isToken(host) ? host : `"${host.replace(/["\\]/g, "\\$&")}"`}`
}

/** Without an interface (`fe80::1%eth0`), and IPv4 as IPv4 where the socket listens on both (`::ffff:192.0.2.1`). */
export function plainAddress(address: string): string {
  if (!address.includes(":")) return address
  const bare = address.split("%", 1)[0] as string
  return /^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(bare) ? bare.slice(7) : bare
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
