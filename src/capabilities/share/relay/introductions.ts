/**
 * Who is told of whom, so that members reach each other without the relay: those of one network first, and each of a few
 * others, since every one of them costs a connection. The relay passes on what members say of themselves; whether they
 * find each other is theirs to try.
 */

import { isIP } from "node:net"
import type { PeerAddress } from "../protocol/control.ts"
import type { Member } from "./member.ts"

export class Introductions {
  readonly #most: number

  /** Each is told of at most so many others. */
  constructor(most: number) {
    this.#most = most
  }

  /** A member has said where it is: finds partners for it among the others. */
  introduce(member: Member, others: Iterable<Member>): void {
    if (member.addresses === undefined || !member.isHere) return
    const found: { readonly other: Member; readonly near: number }[] = []
    for (const other of others) {
      if (other === member || !other.isHere || other.addresses === undefined) continue
      if (member.partners.has(other) || other.partners.size >= this.#most) continue
      const near = nearness(member, other)
      if (near !== undefined) found.push({ other, near })
    }
    // The sender has everything; who has few partners needs some.
    const rank = (other: Member) => (other.role === "sender" ? -1 : other.partners.size)
    found.sort((a, b) => a.near - b.near || rank(a.other) - rank(b.other))
    const told: PeerAddress[] = []
    // Half of the places are for those who come later.
    const room = Math.ceil(this.#most / 2) - member.partners.size
    for (const { other } of found.slice(0, Math.max(0, room))) {
      member.partners.add(other)
      other.partners.add(member)
      const mine = reachable(member, other)
      const theirs = reachable(other, member)
      told.push({ member: other.id, addresses: theirs, dial: theirs.length > 0 })
      other.outbox?.say({ do: "peers", peers: [{ member: member.id, addresses: mine, dial: theirs.length === 0 }] })
    }
    if (told.length > 0) member.outbox?.say({ do: "peers", peers: told })
  }

  /** It is gone: those who knew it may get to know somebody else. */
  part(member: Member, others: Iterable<Member>): void {
    const left = [...member.partners]
    member.partners.clear()
    for (const other of left) other.partners.delete(member)
    const all = [...others]
    for (const other of left) if (other.partners.size < fewPartners) this.introduce(other, all)
  }
}

/** Who has fewer is told of others when it loses one. */
const fewPartners = 4

/** 0: seen at the same address. 1: both within private networks, perhaps the same. 2: one has a public address. */
function nearness(member: Member, other: Member): number | undefined {
  if (reachable(member, other).length === 0 && reachable(other, member).length === 0) return undefined
  if (member.address === other.address) return 0
  if (isPrivate(member.address) && isPrivate(other.address)) return 1
  return 2
}

/**
 * The addresses of `member` that `other` may try. Private ones only within what may be one network; public ones only when
 * the relay sees the member there too: nobody sends others to a stranger's machine.
 */
function reachable(member: Member, other: Member): string[] {
  const isNear = member.address === other.address || (isPrivate(member.address) && isPrivate(other.address))
  return (member.addresses ?? [])
    .filter((address) => {
      const host = hostOf(address)
      if (isIP(host) === 0) return false
      if (isLoopbackHost(host)) return isLoopbackHost(member.address) && isLoopbackHost(other.address)
      return isPrivate(host) ? isNear : host === member.address
    })
    .slice(0, mostAddressesTold)
}

const mostAddressesTold = 8

/** `1.2.3.4:5` and `[::1]:5` without the port; an address without a port as it is. */
export function hostOf(peer: string): string {
  const bracketed = /^\[(.*)\](?::\d+)?$/.exec(peer)?.[1]
  const host = bracketed ?? (peer.split(":").length === 2 ? peer.slice(0, peer.indexOf(":")) : peer)
  // IPv4 as IPv6 sees it (RFC 4291 section 2.5.5.2).
  return host.toLowerCase().replace(/^::ffff:(?=\d+\.)/, "")
}

function isLoopbackHost(host: string): boolean {
  return host === "::1" || host.startsWith("127.")
}

/** RFC 1918, RFC 3927, RFC 4193, RFC 4291 section 2.5.6, and what carriers use (RFC 6598); not an address: a local path. */
function isPrivate(host: string): boolean {
  if (isIP(host) === 0) return true
  if (isLoopbackHost(host)) return true
  if (/^(10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(host))
    return true
  return /^f[cd][0-9a-f]{2}:|^fe[89ab][0-9a-f]:/.test(host)
}
