/**
 * Who the visitor behind trusted proxies is, by `X-Forwarded-For`. Each proxy appends the address of its own peer, so the
 * field is read from the right: up to the first address that is not a trusted proxy's, the proxies have written it. What
 * stands left of that is the visitor's own claim, and is not even looked at.
 */

import { isIPv4, isIPv6, SocketAddress } from "node:net"
import { plainAddress } from "../../http1/forwarded.ts"
import type { TrustedProxies } from "./trusted-proxies.ts"

/** Proxies in a row; a longer chain is nobody's set-up. */
const mostHops = 32
/** `[` an IPv6 address of up to 45 characters `]:65535`. */
const longestNode = 53

/**
 * The right-most address that is not trusted; when all are, the left-most one. `chain` is the value of the field, its
 * lines joined by commas. Undefined when what was read holds anything but addresses, or too many of them.
 */
export function clientAddress(chain: string, trusted: TrustedProxies): string | undefined {
  let end = chain.length
  for (let hop = 0; hop < mostHops; hop++) {
    const comma = end > 0 ? chain.lastIndexOf(",", end - 1) : -1
    const address = readNode(chain, comma + 1, end)
    if (address === undefined || comma < 0 || !trusted.has(address)) return address
    end = comma
  }
  return undefined
}

/** An address, with a port where a proxy writes one; IPv6 then in brackets. In canonical form, without the port. */
function readNode(chain: string, from: number, to: number): string | undefined {
  let start = from
  let end = to
  while (start < end && isBlank(chain.charCodeAt(start))) start++
  while (end > start && isBlank(chain.charCodeAt(end - 1))) end--
  if (end - start > longestNode) return undefined
  const text = chain.slice(start, end)
  if (isIPv4(text)) return text
  const parts = /^(?:([0-9.]+)|\[([0-9a-f:.]+)\])(?::\d{1,5})?$/i.exec(text)
  if (parts?.[1] !== undefined) return isIPv4(parts[1]) ? parts[1] : undefined
  const address = parts?.[2] ?? text
  // A zone (`fe80::1%eth0`) means something on its own machine only.
  if (!isIPv6(address) || address.includes("%")) return undefined
  return plainAddress(new SocketAddress({ address, family: "ipv6" }).address)
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9
}
