/** Hosts that cannot be another machine. */

import { isIPv4 } from "node:net"
import type { Link } from "../mux/link.ts"

/** Names below `localhost` resolve to loopback (RFC 6761 section 6.3). */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith("127.")
  return host === "localhost" || host === "::1" || host === "::ffff:127.0.0.1" || host.endsWith(".localhost")
}

/** The link's other end is on this machine. Whoever comes through a proxy of this machine looks the same. */
export function isLocalLink({ kind, peer }: Pick<Link, "kind" | "peer">): boolean {
  if (kind === "unix" || kind === "memory") return true
  const host = peer.slice(0, peer.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1")
  return isLoopback(host)
}
