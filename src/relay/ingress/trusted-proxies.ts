/**
 * Which peers are proxies of the operator, whose word about visitors counts. Everybody else is a stranger, whatever it
 * says.
 */

import { BlockList, isIP } from "node:net"
import { RdvError } from "../../base/error.ts"

export interface TrustedProxies {
  /** `address` is IPv4 or IPv6, also IPv4 in IPv6 (`::ffff:10.0.0.1`); anything else is not trusted. */
  has(address: string): boolean
}

/** RFC 1122 section 3.2.1.3 and RFC 4291 section 2.5.3; RFC 1918 and RFC 4193. */
const words: Readonly<Record<string, readonly string[]>> = {
  loopback: ["127.0.0.0/8", "::1"],
  private: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
}

/** Reads addresses, networks and the words `loopback` and `private`. Throws `usage`. */
export function trustedProxies(texts: readonly string[]): TrustedProxies {
  const list = new BlockList()
  for (const text of texts) for (const network of words[text.toLowerCase()] ?? [text]) add(list, network)
  return { has: (address) => list.check(address, address.includes(":") ? "ipv6" : "ipv4") }
}

function add(list: BlockList, text: string): void {
  const [, address = text, prefix] = /^([^/]*)\/(.*)$/s.exec(text) ?? []
  const version = address.includes("%") ? 0 : isIP(address)
  if (version === 0) throw wrong(text, `${JSON.stringify(address)} is not an IP address`)
  const family = version === 4 ? "ipv4" : "ipv6"
  if (prefix === undefined) {
    list.addAddress(address, family)
    return
  }
  const bits = version === 4 ? 32 : 128
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > bits) {
    throw wrong(text, `the prefix of an ${version === 4 ? "IPv4" : "IPv6"} network is a number from 0 to ${bits}`)
  }
  list.addSubnet(address, Number(prefix), family)
}

function wrong(text: string, why: string): RdvError {
  return new RdvError("usage", `${JSON.stringify(text)} cannot be a trusted proxy: ${why}`, {
    mend: "write --trust-proxy 10.0.0.1, 10.0.0.0/8, fd00::/8, loopback or private",
  })
}
