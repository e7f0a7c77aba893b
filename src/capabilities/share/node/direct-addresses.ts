/**
 * Addresses of members: those that this machine tells, and which of others it dials. Others' addresses come from strangers
 * by way of the relay: they lead to no name, to no port of the system and not to this machine itself, so that nobody can
 * make a member knock at what only the member can reach and trusts.
 */

import { BlockList, isIP, isIPv6 } from "node:net"
import { networkInterfaces } from "node:os"

/** Members tell at most so many. */
export const mostAddresses = 16
/** Ports below are the system's (RFC 6335 section 6). */
export const lowestPort = 1024

/** Where this machine may be reached at a port: private addresses first, because they are the nearest. */
export function ownAddresses(port: number, loopback: boolean): string[] {
  const found: { readonly text: string; readonly rank: number }[] = []
  for (const [name, list = []] of Object.entries(networkInterfaces())) {
    for (const { address, family, internal, scopeid } of list) {
      if (internal && !loopback) continue
      // One with a scope means something on this machine only (RFC 4007 section 6).
      if ((scopeid ?? 0) !== 0) continue
      const rank = insideOnly.test(name) ? 5 : rankOf(address, family === "IPv6", internal)
      if (rank !== undefined) found.push({ text: hostPort(address, port), rank })
    }
  }
  const sorted = found.sort((a, b) => a.rank - b.rank).map(({ text }) => text)
  return [...new Set(sorted)].slice(0, mostAddresses)
}

/** Bridges to guests of this machine: others seldom reach it by them, and have the same addresses themselves. */
const insideOnly = /^(?:docker|br-|veth|virbr|vmnet|vboxnet|lxcbr|cni)/

function rankOf(address: string, isV6: boolean, internal: boolean): number | undefined {
  if (internal) return 4
  const family = isV6 ? "ipv6" : "ipv4"
  if (linkLocal.check(address, family)) return isV6 ? undefined : 3
  if (isPrivate.check(address, family)) return isV6 ? 2 : 0
  return 1
}

export interface Target {
  readonly host: string
  readonly port: number
}

/** Undefined when it is nothing to dial. */
export function directTarget(text: string, loopback: boolean): Target | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]{2,45})\]|([0-9.]{7,15})):([0-9]{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port < lowestPort || port > 65_535) return undefined
  const version = isIP(host)
  if (version === 0 || (match?.[1] !== undefined && version !== 6)) return undefined
  const family = version === 6 ? "ipv6" : "ipv4"
  if (nobody.check(host, family) || (!loopback && own.check(host, family))) return undefined
  return { host, port }
}

/** IPv4 as it is, also where a socket of both families has it (RFC 4291 section 2.5.5.2). */
export function hostPort(mapped: string, port: number): string {
  const host = mapped.startsWith("::ffff:") && mapped.includes(".") ? mapped.slice(7) : mapped
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
}

/** A `BlockList` looks at IPv4 addresses within IPv6 ones by itself. */
function subnets(...list: readonly string[]): BlockList {
  const made = new BlockList()
  for (const each of list) {
    const [address = "", bits] = each.split("/")
    made.addSubnet(address, Number(bits), isIPv6(address) ? "ipv6" : "ipv4")
  }
  return made
}

const own = subnets("127.0.0.0/8", "::1/128")
/** No machine: unspecified, multicast, broadcast and what is reserved; and addresses that lack their scope. */
const nobody = subnets("0.0.0.0/8", "224.0.0.0/3", "::/128", "ff00::/8", "fe80::/10")
const linkLocal = subnets("169.254.0.0/16", "fe80::/10")
const isPrivate = subnets("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
