/**
 * The brain of a swarm: it sees what everybody has and what is under way, and decides who gets which chunk from whom. So
 * the first copies go to different members, the rarest chunk goes first, nobody is asked for what is coming already, and
 * no carrier has more before it than it can carry. It does nothing itself: `SwarmPort` does, and tells what came of it.
 *
 * The bound it works towards is that of Kumar and Ross (Peer-Assisted File Distribution: The Minimum Distribution Time,
 * 2006): max(F/u_s, F/d_min, N·F/(u_s + Σu_i)).
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import type { Bitmap } from "../content/bitmap.ts"
import { Fetches } from "./fetches.ts"
import { Lead } from "./lead.ts"
import { Load } from "./load.ts"
import { Member } from "./member.ts"
import type { Attempt } from "./member.ts"
import { Rarity } from "./rarity.ts"
import type { SwarmPort } from "./swarm-port.ts"

/** Who carries when both can. The relay is the faster one where it is near; a relay far away costs its owner traffic. */
export type Carrier = "relay" | "direct"

export interface SchedulerOptions {
  readonly clock: Clock
  readonly count: number
  /** The first chunks of the table, which everybody needs before all others. */
  readonly manifestChunks: number
  /** Sealed bytes. */
  readonly lengthOf: (chunk: number) => number
  readonly port: SwarmPort
  /** Bytes that the relay may be fetching at once. Default 16 MiB. */
  readonly fetchBytes?: number
}

export interface JoinFacts {
  readonly have: Bitmap
}

export interface SchedulerStats {
  /** Index: number of members that have a chunk, the last counts all above; value: chunks. */
  readonly copies: readonly number[]
  /** Chunks that arrived more than once. */
  readonly duplicates: number
  /** Chunks under way to members, and on their way to the relay. */
  readonly underWay: number
  readonly fetching: number
}

export class Scheduler {
  readonly #options: SchedulerOptions
  readonly #clock: Clock
  readonly #port: SwarmPort
  readonly #members: Map<string, Member> = new Map()
  readonly #rarity: Rarity
  readonly #copies: Uint16Array
  readonly #lead: Lead = new Lead()
  readonly #fetches: Fetches
  readonly #relay: Load
  #carrier: Carrier = "relay"
  #duplicates = 0
  #isDue = false
  #turn = 0
  #timer: Timer | undefined
  #isOver = false

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#port = options.port
    this.#rarity = new Rarity(options.count)
    this.#copies = new Uint16Array(options.count)
    this.#relay = new Load({ clock: options.clock, leastBytes: 64 << 20, mostBytes: 512 << 20 })
    this.#fetches = new Fetches({
      clock: options.clock,
      port: options.port,
      lengthOf: options.lengthOf,
      mostBytes: options.fetchBytes ?? 16 << 20,
      members: this.#members,
      changed: (chunk, by) => this.#rarity.change(chunk, by),
    })
  }

  /** Somebody comes, or comes back: what was known of it before is forgotten. */
  join(name: string, { have }: JoinFacts): void {
    if (this.#members.has(name)) this.leave(name)
    const load = new Load({ clock: this.#clock, leastBytes: leastAheadBytes, mostBytes: 32 << 20 })
    const member = new Member(name, have, load, this.#clock.now())
    member.place = this.#lead.start
    this.#members.set(name, member)
    for (let chunk = 0; chunk < have.length; chunk++) if (have.has(chunk)) this.#gain(chunk)
    this.#wake()
  }

  leave(name: string): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    this.#members.delete(name)
    for (const attempts of [member.attempts, member.seconds])
      for (const attempt of [...attempts.values()]) this.#giveUp(member, attempt, false)
    for (const other of member.paths) this.#cut(member, other)
    this.#fetches.lose(member)
    for (let chunk = 0; chunk < member.have.length; chunk++) if (member.have.has(chunk)) this.#drop(chunk)
    this.#wake()
  }

  /** How much may be under way to a member, bytes. */
  window(name: string, bytes: number): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    member.window = bytes
    this.#wake()
  }

  /** The most that a member wants to send, bytes/s; 0 is nothing, undefined what the network gives. */
  uplink(name: string, bytesPerSecond: number | undefined): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    member.load.limit = bytesPerSecond
    this.#wake()
  }

  carrier(carrier: Carrier): void {
    this.#carrier = carrier
    this.#wake()
  }

  /** A member has a path to the relay for chunks, or has lost it. */
  relayPath(name: string, state: "up" | "down"): void {
    const member = this.#members.get(name)
    if (member === undefined || member.hasRelayPath === (state === "up")) return
    member.hasRelayPath = state === "up"
    if (state === "down") {
      for (const attempts of [member.attempts, member.seconds])
        for (const attempt of [...attempts.values()]) if (attempt.way === "push") this.#giveUp(member, attempt, false)
      this.#fetches.lose(member)
    }
    this.#wake()
  }

  /** Two members reach each other directly, or do not any more. */
  path(one: string, another: string, state: "up" | "down"): void {
    const a = this.#members.get(one)
    const b = this.#members.get(another)
    if (a === undefined || b === undefined || a === b) return
    if (state === "down") this.#cut(a, b)
    else {
      a.paths.add(b)
      b.paths.add(a)
    }
    this.#wake()
  }

  /** They get everything by multicast, and nothing else until this is called without them. */
  casting(names: readonly string[] = []): void {
    const cast = new Set(names)
    for (const member of this.#members.values()) member.isCast = cast.has(member.name)
    this.#wake()
  }

  /** A member has a chunk now, wherever it came from. */
  have(name: string, chunk: number): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    const attempt = member.attempts.get(chunk)
    const second = member.seconds.get(chunk)
    if (!member.have.add(chunk)) {
      member.duplicates++
      this.#duplicates++
      return
    }
    const now = this.#clock.now()
    const gap = now - member.movedAt
    member.gapMs = member.gapMs === undefined ? gap : member.gapMs + (gap - member.gapMs) * gapWeight
    member.movedAt = now
    if (attempt !== undefined) this.#settle(member, attempt, true)
    if (second !== undefined) {
      this.#settle(member, second, true)
      this.#port.drop(member.name, chunk)
    }
    member.avoid.delete(chunk)
    this.#gain(chunk)
    this.#wake()
  }

  /** A member has lost a chunk: its file has changed. */
  lost(name: string, chunk: number): void {
    const member = this.#members.get(name)
    if (member === undefined || !member.have.remove(chunk)) return
    this.#drop(chunk)
    this.#wake()
  }

  /** A chunk did not come to a member as it should have: it comes another way, or later. */
  failed(name: string, chunk: number, from: string): void {
    const member = this.#members.get(name)
    if (member === undefined) return
    for (const attempt of [member.attempts.get(chunk), member.seconds.get(chunk)]) {
      if (attempt?.from !== from) continue
      this.#giveUp(member, attempt, false)
      member.shun(chunk, from)
    }
    this.#wake()
  }

  /** A chunk is in the cache: fetched, checked. Those who wait for it get it. */
  arrived(chunk: number, from: string): void {
    const waiting = this.#fetches.arrived(chunk, from)
    for (const member of waiting) {
      const attempt = attemptFrom(member, chunk, "relay")
      if (attempt?.way !== "wait") continue
      attempt.way = "push"
      attempt.since = this.#clock.now()
      this.#relay.begin(this.#options.lengthOf(chunk))
      this.#port.push(member.name, chunk)
    }
    this.#wake()
  }

  /** A holder cannot give what it was asked for, or gave something else. */
  refused(holder: string, chunk: number): void {
    this.#fetches.refused(chunk, holder)
    this.#wake()
  }

  /** The relay did not send a chunk after all: it is no longer in the cache, or the path was lost. */
  unpushed(name: string, chunk: number): void {
    const member = this.#members.get(name)
    const attempt = member === undefined ? undefined : attemptFrom(member, chunk, "relay")
    if (member === undefined || attempt?.way !== "push") return
    this.#giveUp(member, attempt, false)
    this.#wake()
  }

  stats(): SchedulerStats {
    const copies = Array.from({ length: 10 }, () => 0)
    for (const count of this.#copies) {
      const at = Math.min(count, copies.length - 1)
      copies[at] = (copies[at] as number) + 1
    }
    let underWay = 0
    for (const { attempts } of this.#members.values()) underWay += attempts.size
    return { copies, duplicates: this.#duplicates, underWay, fetching: this.#fetches.size }
  }

  /** How many members have it. */
  copiesOf(chunk: number): number {
    return this.#copies[chunk] as number
  }

  close(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  /** Behind whatever else happens in this turn: many reports are answered at once. */
  #wake(): void {
    if (this.#isDue || this.#isOver) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      if (!this.#isOver) this.#work()
    })
  }

  #work(): void {
    this.#fetches.repair()
    let hungry = [...this.#members.values()].filter((member) => !member.have.isFull && member.window > 0)
    // Nobody is always the first.
    const first = hungry.length === 0 ? 0 : this.#turn++ % hungry.length
    hungry = [...hungry.slice(first), ...hungry.slice(0, first)]
    while (hungry.length > 0) hungry = hungry.filter((member) => this.#give(member))
    this.#watch()
  }

  /** One chunk for a member; false when there is none for it now. */
  #give(member: Member): boolean {
    if (!member.hasRoom(0)) return false
    const { manifestChunks } = this.#options
    let isWaiting = false
    for (let chunk = 0; chunk < manifestChunks; chunk++) {
      if (member.have.has(chunk)) continue
      isWaiting = true
      if (!member.attempts.has(chunk) && (this.#byRelay(member, chunk) || this.#directly(member, chunk))) return true
    }
    if (isWaiting || member.isCast) return false
    if (this.#carrier === "relay") return this.#nextByRelay(member) || this.#nextDirectly(member)
    if (this.#nextDirectly(member)) return true
    return this.#needsRelay(member) && this.#nextByRelay(member)
  }

  /** Peers carry what they can; the relay what they cannot, and for those who got nothing for a while. */
  #needsRelay(member: Member): boolean {
    if (member.paths.size === 0) return true
    if (this.#clock.now() - member.movedAt > starvingMs && member.attempts.size === 0) return true
    const reachable = (chunk: number) => {
      for (const other of member.paths) if (other.have.has(chunk) && !member.avoids(chunk, other.name)) return true
      return false
    }
    return (
      this.#rarity.find((chunk) => member.wants(chunk) && !reachable(chunk) && this.#isSomewhere(chunk), looks) !==
      undefined
    )
  }

  #isSomewhere(chunk: number): boolean {
    return this.copiesOf(chunk) > 0 || this.#port.cached(chunk)
  }

  #nextDirectly(member: Member): boolean {
    if (member.paths.size === 0) return false
    let giver: Member | undefined
    const chunk = this.#rarity.find((each) => {
      if (!member.wants(each)) return false
      giver = this.#giver(member, each)
      return giver !== undefined
    }, looks)
    if (chunk === undefined || giver === undefined) return false
    this.#take(member, chunk, giver)
    return true
  }

  #directly(member: Member, chunk: number): boolean {
    const giver = this.#giver(member, chunk)
    if (giver === undefined) return false
    this.#take(member, chunk, giver)
    return true
  }

  /** The one of those who have it that is through first. */
  #giver(member: Member, chunk: number): Member | undefined {
    const length = this.#options.lengthOf(chunk)
    let best: Member | undefined
    for (const other of member.paths) {
      if (!other.have.has(chunk) || !other.load.hasRoom(length) || member.avoids(chunk, other.name)) continue
      if (best === undefined || other.load.delayMs < best.load.delayMs) best = other
    }
    return best
  }

  #take(member: Member, chunk: number, giver: Member, into: Map<number, Attempt> = member.attempts): void {
    giver.load.begin(this.#options.lengthOf(chunk))
    this.#begin(member, { chunk, from: giver.name, way: "take", since: this.#clock.now() }, into)
    this.#port.take(member.name, chunk, giver.name)
  }

  /** In the relay's order, so that many want the same at the same time; behind its end, what is rarest. */
  #nextByRelay(member: Member): boolean {
    if (!member.hasRelayPath) return false
    if (member.place < this.#lead.start) member.place = this.#lead.start
    while (member.place < this.#lead.end) {
      const chunk = this.#lead.at(member.place) as number
      const isOn = this.#port.cached(chunk) || this.#fetches.has(chunk)
      if (isOn && member.wants(chunk) && !member.avoids(chunk, "relay")) {
        if (!this.#byRelay(member, chunk)) return false
        member.place++
        return true
      }
      member.place++
    }
    const chunk = this.#rarity.find(
      (each) => member.wants(each) && !member.avoids(each, "relay") && this.#canCarry(each),
      looks,
    )
    return chunk !== undefined && this.#byRelay(member, chunk)
  }

  #canCarry(chunk: number): boolean {
    return this.#port.cached(chunk) || this.#fetches.has(chunk) || this.#fetches.canBegin(chunk)
  }

  #byRelay(member: Member, chunk: number): boolean {
    if (!member.hasRelayPath) return false
    const length = this.#options.lengthOf(chunk)
    if (!this.#relay.hasRoom(length)) return false
    const since = this.#clock.now()
    if (this.#port.cached(chunk)) {
      this.#relay.begin(length)
      this.#begin(member, { chunk, from: "relay", way: "push", since })
      this.#port.push(member.name, chunk)
      return true
    }
    if (!this.#fetches.has(chunk)) {
      if (!this.#fetches.begin(chunk)) return false
      this.#lead.append(chunk)
    }
    this.#begin(member, { chunk, from: "relay", way: "wait", since })
    this.#fetches.wait(chunk, member)
    return true
  }

  #begin(member: Member, attempt: Attempt, into: Map<number, Attempt> = member.attempts): void {
    if (member.attempts.size === 0) member.movedAt = attempt.since
    into.set(attempt.chunk, attempt)
    member.underWay += this.#options.lengthOf(attempt.chunk)
    if (attempt.way === "take") this.#rarity.change(attempt.chunk, 1)
  }

  /** Takes an attempt off the books. */
  #settle(member: Member, attempt: Attempt, isDone: boolean): void {
    const { chunk, from, way } = attempt
    const length = this.#options.lengthOf(chunk)
    if (member.attempts.get(chunk) === attempt) member.attempts.delete(chunk)
    else if (member.seconds.get(chunk) === attempt) member.seconds.delete(chunk)
    else return
    member.underWay -= length
    if (way === "push") this.#relay.end(length, isDone)
    else if (way === "wait") this.#fetches.unwait(chunk, member)
    else {
      this.#rarity.change(chunk, -1)
      this.#members.get(from)?.load.end(length, isDone)
    }
  }

  #giveUp(member: Member, attempt: Attempt, tells: boolean): void {
    this.#settle(member, attempt, false)
    // What was second is what there is now.
    const second = member.seconds.get(attempt.chunk)
    if (second !== undefined && !member.attempts.has(attempt.chunk)) {
      member.seconds.delete(attempt.chunk)
      member.attempts.set(attempt.chunk, second)
    }
    if (tells) this.#port.drop(member.name, attempt.chunk)
  }

  #cut(a: Member, b: Member): void {
    a.paths.delete(b)
    b.paths.delete(a)
    for (const [member, giver] of [
      [a, b],
      [b, a],
    ] as const) {
      for (const attempts of [member.attempts, member.seconds])
        for (const attempt of [...attempts.values()])
          if (attempt.from === giver.name) this.#giveUp(member, attempt, false)
    }
  }

  #gain(chunk: number): void {
    this.#copies[chunk] = (this.#copies[chunk] as number) + 1
    this.#rarity.change(chunk, 1)
  }

  #drop(chunk: number): void {
    this.#copies[chunk] = (this.#copies[chunk] as number) - 1
    this.#rarity.change(chunk, -1)
  }

  /** While something is under way or wanted: what takes too long is noticed. */
  #watch(): void {
    if (this.#timer !== undefined || this.#isOver) return
    if (![...this.#members.values()].some((member) => !member.have.isFull)) return
    this.#timer = this.#clock.after(lookMs, () => {
      this.#timer = undefined
      this.#look()
      this.#work()
    })
  }

  #look(): void {
    const now = this.#clock.now()
    for (const member of this.#members.values()) {
      if (member.have.isFull) continue
      // Who failed once may be better now; else a chunk with one holder would never come.
      if (now - member.movedAt > forgiveMs && member.attempts.size === 0) member.avoid.clear()
      const patience = Math.max(leastPatienceMs, 4 * (member.gapMs ?? 0))
      if (now - member.movedAt < patience || member.seconds.size > 0) continue
      // Nothing came for a while: the oldest is asked for a second time, elsewhere.
      const [oldest] = member.attempts.values()
      if (oldest === undefined) continue
      if (now - oldest.since > stuckMs && oldest.way === "take") {
        member.shun(oldest.chunk, oldest.from)
        this.#giveUp(member, oldest, true)
        continue
      }
      if (this.#duplicates > this.#options.count * mostDuplicates + spareDuplicates) continue
      this.#second(member, oldest)
    }
  }

  #second(member: Member, { chunk, way, from }: Attempt): void {
    for (const other of member.paths) {
      if (other.name === from || !other.have.has(chunk) || member.avoids(chunk, other.name) || other.load.isShut)
        continue
      this.#take(member, chunk, other, member.seconds)
      return
    }
    if (way !== "take" || !member.hasRelayPath || !this.#port.cached(chunk)) return
    this.#relay.begin(this.#options.lengthOf(chunk))
    this.#begin(member, { chunk, from: "relay", way: "push", since: this.#clock.now() }, member.seconds)
    this.#port.push(member.name, chunk)
  }
}

function attemptFrom(member: Member, chunk: number, from: string): Attempt | undefined {
  for (const attempt of [member.attempts.get(chunk), member.seconds.get(chunk)])
    if (attempt?.from === from) return attempt
  return undefined
}

/** Chunks that one choice looks at: a member that has nearly all may look again. */
const looks = 4_096
/** What a holder is asked for before its speed is known, bytes. */
const leastAheadBytes = 512 * 1024
const gapWeight = 0.1
const lookMs = 200
/** A member that gets nothing for so long may have it from the relay. */
const starvingMs = 500
/** A second attempt begins after this at the soonest. */
const leastPatienceMs = 700
/** A direct attempt is given up after this; the member itself gives up sooner by its own measure. */
const stuckMs = 15_000
const forgiveMs = 2_000
/** Chunks that may come twice: a part of all, and a few more. */
const mostDuplicates = 0.02
const spareDuplicates = 4
