/**
 * One rate in one direction, and who shares it. It is a token bucket that may go into debt, because bytes are told of when
 * they were read already; who wants to go on while it is empty waits, and those that wait are let through in the order of
 * what they have had so far, by weight. This is start-time fair queueing (Goyal, Vin and Cheng, 1996): who has had less
 * than its share goes first, so that its share comes without delay, and what is left goes to those who want more. Who was
 * silent saves nothing up: it begins where the others are.
 *
 * Who is let through after a wait pays in advance for as much as it read last. Without that all that wait would go on
 * together as soon as there is one byte. Who did not have to wait pays afterwards only: it may never read again.
 */

import { Chain, Link } from "../limit/chain.ts"
import { Heap } from "./heap.ts"
import type { HeapItem } from "./heap.ts"

/** Whoever is told that its claim was let through. */
export interface Claimant {
  passed(claim: Claim, now: number): void
}

export class Valve implements HeapItem {
  /** @internal For the owner's heap of what falls due. */
  heapIndex = -1
  /** Clock time at which `pump` has something to do. */
  dueAt = 0
  /** Claims on it. */
  claims = 0
  /** The whole rate, where this one is a part of it. */
  full: number
  #rate: number
  /** Bytes that may pass now, as of `#at`; below 0 is a debt. */
  #level: number
  #at: number
  /** What a claimant of weight 1 has had that was let through last: where newcomers begin. */
  #position = 0
  /** Claims that have passed bytes in this round and in the one before. */
  #round = 0
  #active = 0
  #activeBefore = 0
  /** Since the last `usage`: bytes that passed, and whether somebody had to wait. */
  #used = 0
  #hasWaited = false
  readonly #waiting = new Heap<Member>((a, b) => a.position < b.position)
  readonly #members = new Map<string, Member>()
  /** Those without claims that have had more than others: were they forgotten, it would pay to come back. */
  readonly #gone = new Chain<Member>()

  /** Bytes/s, above 0. */
  constructor(rate: number, now: number) {
    this.#rate = rate
    this.full = rate
    this.#at = now
    this.#level = this.#depth
  }

  get rate(): number {
    return this.#rate
  }

  setRate(rate: number, now: number): void {
    this.#fill(now)
    this.#rate = rate
    this.#fill(now)
  }

  /** Claims of one `key` share one part; those without a key have one each. */
  join(claimant: Claimant, key: string | undefined, weight: number): Claim {
    let member = key === undefined ? undefined : this.#members.get(key)
    if (member === undefined) {
      member = new Member(key, this.#position)
      if (key !== undefined) this.#members.set(key, member)
    }
    this.#gone.remove(member.gone)
    member.claims++
    member.weight = weight
    this.claims++
    return new Claim(claimant, this, member)
  }

  /** What it has paid for and not used is given back. */
  leave(claim: Claim, now: number): void {
    this.charge(claim, 0, now)
    const { member } = claim
    this.#stopWaiting(claim)
    this.claims--
    if (--member.claims > 0 || member.key === undefined) return
    this.#gone.append(member.gone)
    this.#forget()
  }

  /** So many bytes have passed. */
  charge(claim: Claim, bytes: number, now: number): void {
    const more = bytes - claim.paid
    claim.paid = 0
    this.#used += bytes
    if (bytes > 0) claim.last = bytes
    if (more === 0) return
    this.#fill(now)
    this.#level -= more
    const { member } = claim
    member.position += (more * member.loops) / member.weight
    if (member.heapIndex >= 0) this.#waiting.move(member)
  }

  /** Whether it may go on; if not it waits, and is told when it may. */
  pass(claim: Claim, now: number): boolean {
    const { member } = claim
    this.#fill(now)
    const wasActive = this.#count(claim, now)
    // What a silence leaves is not saved up, but who is active keeps what others were ahead of it while nobody waited.
    const kept = wasActive
      ? Math.max(claim.last, (this.#rate * roundMs) / 1000 / this.#claimsActive) / member.weight
      : 0
    if (member.heapIndex < 0) member.position = Math.max(member.position, this.#position - kept)
    if (this.#waiting.length === 0 && this.#level > 0) {
      this.#position = Math.max(this.#position, member.position)
      return true
    }
    this.#hasWaited = true
    member.waiting.append(claim.link)
    if (member.heapIndex < 0) this.#waiting.add(member)
    return false
  }

  get isWaitedFor(): boolean {
    return this.#waiting.length > 0
  }

  /** What has happened since the last call; undefined: nothing. */
  usage(mostMembers: number): ValveUsage | undefined {
    const bytes = this.#used
    const hungry = this.#hasWaited || this.isWaitedFor
    this.#used = 0
    this.#hasWaited = false
    if (bytes === 0 && !hungry) return undefined
    const members: [string, number][] = []
    for (const { key, weight, round } of this.#members.values()) {
      if (key === undefined || round < this.#round - 1) continue
      members.push([key, weight])
      if (members.length === mostMembers) break
    }
    return { bytes, hungry, members }
  }

  /** These share other event loops' parts as well; all others do not. */
  split(loops: ReadonlyMap<string, number>): void {
    for (const member of this.#members.values()) member.loops = loops.get(member.key ?? "") ?? 1
  }

  /** It has no debt, and nothing is saved up that a new one would not have. */
  isFull(now: number): boolean {
    this.#fill(now)
    return this.#level >= this.#depth
  }

  /** Lets through what may go on now. */
  pump(now: number): void {
    this.#fill(now)
    for (let member = this.#waiting.first; member !== undefined && this.#level > 0; member = this.#waiting.first) {
      this.#position = Math.max(this.#position, member.position)
      const claim = member.waiting.shift() as Claim
      const bytes = claim.last === 0 ? this.piece : claim.last
      claim.paid += bytes
      this.#level -= bytes
      member.position += (bytes * member.loops) / member.weight
      if (member.waiting.length === 0) this.#waiting.remove(member)
      else this.#waiting.move(member)
      claim.claimant.passed(claim, now)
    }
  }

  /** Until something is there, ms. */
  waitMs(now: number): number {
    this.#fill(now)
    return this.#level > 0 ? 0 : (1 - this.#level) / (this.#rate / 1000)
  }

  /** How much should be read at once: so little that everybody's turn comes about five times a second. */
  get piece(): number {
    const ms = Math.min(mostPieceMs, Math.max(leastPieceMs, roundMs / this.#claimsActive))
    return Math.max(leastPiece, Math.min(mostPiece, Math.round((this.#rate * ms) / 1000)))
  }

  get #claimsActive(): number {
    return Math.max(1, this.#active, this.#activeBefore, this.#waiting.length)
  }

  /** Whether its member was active in this round or in the one before. */
  #count(claim: Claim, now: number): boolean {
    const round = Math.floor(now / roundMs)
    if (round !== this.#round) {
      this.#activeBefore = round === this.#round + 1 ? this.#active : 0
      this.#active = 0
      this.#round = round
    }
    const { member } = claim
    const wasActive = member.round >= round - 1
    member.round = round
    if (claim.round !== round) this.#active++
    claim.round = round
    return wasActive
  }

  #fill(now: number): void {
    this.#level = Math.min(this.#depth, this.#level + ((now - this.#at) * this.#rate) / 1000)
    this.#at = now
  }

  get #depth(): number {
    return (this.#rate * depthMs) / 1000
  }

  #stopWaiting(claim: Claim): void {
    const { member } = claim
    if (!claim.link.isLinked) return
    member.waiting.remove(claim.link)
    if (member.waiting.length === 0) this.#waiting.remove(member)
  }

  /** Each that goes lets two others be forgotten, so that nothing has to be swept. */
  #forget(): void {
    for (let looks = 0; looks < 2; looks++) {
      const oldest = this.#gone.first
      if (oldest === undefined) return
      if (oldest.position > this.#position && this.#gone.length <= mostGone) return
      this.#gone.remove(oldest.gone)
      this.#members.delete(oldest.key as string)
    }
  }
}

/** One flow's part in one valve. */
export class Claim {
  readonly claimant: Claimant
  readonly valve: Valve
  readonly member: Member
  /** Bytes that it has paid for in advance. */
  paid = 0
  /** Bytes that it read last; 0 before the first time. */
  last = 0
  /** In which it was active last. */
  round: number = -Infinity
  readonly link: Link<Claim> = new Link<Claim>(this)

  constructor(claimant: Claimant, valve: Valve, member: Member) {
    this.claimant = claimant
    this.valve = valve
    this.member = member
  }
}

export interface ValveUsage {
  readonly bytes: number
  readonly hungry: boolean
  /** Those with a key that were active, with their weights. */
  readonly members: readonly (readonly [key: string, weight: number])[]
}

/** Whoever has one part of a valve. */
class Member implements HeapItem {
  heapIndex = -1
  readonly key: string | undefined
  /** Bytes it has had, divided by its weight. */
  position: number
  weight = 1
  /** Event loops in which it has a part. */
  loops = 1
  claims = 0
  /** In which it was active last. */
  round: number = -Infinity
  readonly waiting: Chain<Claim> = new Chain<Claim>()
  readonly gone: Link<Member> = new Link<Member>(this)

  constructor(key: string | undefined, position: number) {
    this.key = key
    this.position = position
  }
}

/** What may pass at once after a silence; also how late timers may be without a loss. */
const depthMs = 100
/** Of one round of all that wait. */
const roundMs = 200
const leastPieceMs = 1
const mostPieceMs = 50
/** Bytes. */
const leastPiece = 512
const mostPiece = 256 * 1024
/** Members that are remembered without a claim. */
const mostGone = 4096
