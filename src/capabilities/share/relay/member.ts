/** Somebody in a swarm, as the relay knows it; it outlives its stream for a while, so that who comes back is the same. */

import { createHash } from "node:crypto"
import type { Bitmap } from "../content/bitmap.ts"
import type { ByteWays } from "../protocol/control.ts"
import type { Lane, LaneMember } from "./lane.ts"
import type { Outbox } from "./outbox.ts"

export interface MemberFacts {
  /** What others call it. */
  readonly id: string
  readonly role: "sender" | "receiver"
  readonly label: string
  /** Where its session comes from, without the port. */
  readonly address: string
  /** base64url. */
  readonly ticket: string
  /** ms. */
  readonly now: number
}

/** Who comes in, in its own words. */
export interface Newcomer {
  /** The name that it gives itself; others call it `memberId`. */
  readonly member: string
  readonly label?: string
  readonly looks?: boolean
  /** The code is all that it has shown. */
  readonly isGuest: boolean
}

export class Member implements LaneMember {
  readonly id: string
  readonly role: "sender" | "receiver"
  readonly ticket: string
  label: string
  address: string
  /** Undefined while it is away. */
  outbox: Outbox | undefined
  lane: Lane | undefined
  /** The one before, which sends what it has begun. */
  leaving: Lane | undefined
  hadPath = false
  isSlow = false
  /** Of the present version; undefined until it has said it. The scheduler keeps it up to date. */
  have: Bitmap | undefined
  /** When it was told of the version, ms. */
  askedAt: number
  window = 0
  uplink: number | undefined
  via: ByteWays = { relay: 0, direct: 0, cast: 0 }
  /** Bytes of chunks that it has sent. */
  outBytes = 0
  /** Where others may reach it; undefined while it wants none of them. */
  addresses: readonly string[] | undefined
  /** Those it was told of. */
  readonly partners: Set<Member> = new Set()
  /** Direct paths that it says it has, by what carries them. */
  readonly claims: Map<string, string> = new Map()
  /** When it was told of others, ms. */
  introducedAt: number = -Infinity
  /** Those of which the other end says the same. */
  readonly paths: Map<Member, string> = new Map()
  /** From whom it gets which chunk directly. */
  readonly takes: Map<number, Member> = new Map()
  isCast = false
  isGuest = false
  /** It wants to know what there is, and has not begun. */
  looks = false
  joinedAt: number
  awayAt: number | undefined
  /** The version that it has in its place. */
  doneVersion = 0
  /** Whether others need what it has, as it was told; undefined before. */
  needed: boolean | undefined
  failure: string | undefined
  lies = 0
  /** Chunks that others gave it and that were none, as it says. */
  complaints = 0
  /** What is nowhere was told so. */
  nowhere = ""
  /** For rates. */
  seen: { at: number; inBytes: number; outBytes: number; inRate: number; outRate: number }

  constructor({ id, role, label, address, ticket, now }: MemberFacts) {
    this.id = id
    this.role = role
    this.label = label
    this.address = address
    this.ticket = ticket
    this.joinedAt = now
    this.askedAt = now
    this.seen = { at: now, inBytes: 0, outBytes: 0, inRate: 0, outRate: 0 }
  }

  get isHere(): boolean {
    return this.outbox !== undefined
  }

  get inBytes(): number {
    const { relay, direct, cast } = this.via
    return relay + direct + cast
  }

  count(more: ByteWays): void {
    const { relay, direct, cast } = this.via
    this.via = { relay: relay + more.relay, direct: direct + more.direct, cast: cast + more.cast }
  }

  /** bytes/s since it was last looked at, at most twice a second. */
  measure(now: number): void {
    const { at, inBytes, outBytes } = this.seen
    const seconds = (now - at) / 1000
    if (seconds < 0.5) return
    this.seen = {
      at: now,
      inBytes: this.inBytes,
      outBytes: this.outBytes,
      inRate: Math.round((this.inBytes - inBytes) / seconds),
      outRate: Math.round((this.outBytes - outBytes) / seconds),
    }
  }
}

/** The same for the same member over restarts of the relay; it says nothing of the name that the member gave itself. */
export function memberId(swarm: string, key: string): string {
  return createHash("sha256").update(`${swarm}/${key}`).digest("base64url").slice(0, 12)
}
