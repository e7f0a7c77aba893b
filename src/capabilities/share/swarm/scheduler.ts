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
import { Carriage } from "./carriage.ts"
import { Ledger } from "./ledger.ts"
import { GiverWindow } from "./giver-window.ts"
import { Load } from "./load.ts"
import { Member } from "./member.ts"
import type { Attempt } from "./member.ts"
import { Wanted } from "./wanted.ts"
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
  /** What the cache has for this swarm, bytes: more than half of it is never fetched at once. */
  readonly cacheBytes: number
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
  readonly #carriage: Carriage
  readonly #ledger: Ledger
  #carrier: Carrier = "relay"
  /** They may get something, in this order. */
  readonly #dirty: Set<Member> = new Set()
  /** Those of them for whom something has changed: the relay may have their part for them when it has no room for all. */
  readonly #woken: Set<Member> = new Set()
  /** With room, and nothing to be had for them at the last look. */
  readonly #starved: Set<Member> = new Set()
  /** Givers with something new, or with new room. */
  readonly #givers: Set<Member> = new Set()
  readonly #wanted: Wanted
  /** Room is there when a large chunk fits. */
  readonly #chunkBytes: number
  #duplicates = 0
  #isDue = false
  #timer: Timer | undefined
  #isOver = false

  constructor(options: SchedulerOptions) {
    this.#options = options
    this.#clock = options.clock
    this.#port = options.port
    this.#ledger = new Ledger({ ...options, freed: (giver) => this.#givers.add(giver) })
    this.#wanted = new Wanted(options.count)
    let largest = 0
    for (let chunk = 0; chunk < options.count; chunk++) largest = Math.max(largest, options.lengthOf(chunk))
    this.#chunkBytes = largest
    const begun = () => this.#retry()
    this.#carriage = new Carriage({ ...options, ledger: this.#ledger, chunkBytes: largest, begun })
  }

  /** Somebody comes, or comes back: what was known of it before is forgotten. */
  join(name: string, { have }: JoinFacts): void {
    if (this.#ledger.members.has(name)) this.leave(name)
    const sizes = { clock: this.#clock, leastBytes: leastAheadBytes, mostBytes: 32 << 20 }
    const window = new GiverWindow(sizes)
    const load = new Load({ ...sizes, window })
    const member = new Member(name, have, load, this.#clock.now())
    member.place = this.#carriage.start
    this.#ledger.members.set(name, member)
    for (let chunk = 0; chunk < have.length; chunk++) if (have.has(chunk)) this.#ledger.gain(chunk)
    this.#wake(member)
    this.#retry()
  }

  leave(name: string): void {
    const member = this.#ledger.members.get(name)
    if (member === undefined) return
    this.#ledger.members.delete(name)
    this.#ledger.giveUpAll(member)
    for (const other of member.paths) this.#ledger.cut(member, other)
    this.#ledger.fetches.lose(member)
    for (let chunk = 0; chunk < member.have.length; chunk++) if (member.have.has(chunk)) this.#ledger.lose(chunk)
    this.#retry()
    this.#wake()
  }

  /** How much may be under way to a member, bytes. */
  window(name: string, bytes: number): void {
    const member = this.#ledger.members.get(name)
    if (member === undefined) return
    member.window = bytes
    this.#wakeWith(member)
  }

  /** The most that a member wants to send, bytes/s; 0 is nothing, undefined what the network gives. */
  uplink(name: string, bytesPerSecond: number | undefined): void {
    const member = this.#ledger.members.get(name)
    if (member === undefined) return
    member.load.limit = bytesPerSecond
    this.#wake(member)
    this.#retry()
  }

  carrier(carrier: Carrier): void {
    this.#carrier = carrier
    this.#wakeAll()
  }

  /** A member has a path to the relay for chunks, or has lost it. */
  relayPath(name: string, state: "up" | "down"): void {
    const member = this.#ledger.members.get(name)
    if (member === undefined || member.hasRelayPath === (state === "up")) return
    member.hasRelayPath = state === "up"
    if (state === "down") {
      this.#ledger.giveUpAll(member, ({ way }) => way === "push")
      this.#ledger.fetches.lose(member)
    }
    this.#retry()
    this.#wake(member)
  }

  /** Two members reach each other directly, or do not any more. */
  path(one: string, another: string, state: "up" | "down"): void {
    const a = this.#ledger.members.get(one)
    const b = this.#ledger.members.get(another)
    if (a === undefined || b === undefined || a === b) return
    if (state === "down") this.#ledger.cut(a, b)
    else {
      a.paths.add(b)
      b.paths.add(a)
    }
    this.#wake(a)
    this.#wake(b)
  }

  /** They get everything by multicast, and nothing else until this is called without them. */
  casting(names: readonly string[] = []): void {
    const cast = new Set(names)
    for (const member of this.#ledger.members.values()) member.isCast = cast.has(member.name)
    this.#wakeAll()
  }

  /** A member has a chunk now, wherever it came from. */
  have(name: string, chunk: number): void {
    const member = this.#ledger.members.get(name)
    if (member === undefined) return
    const attempt = member.attempts.get(chunk)
    const second = member.seconds.get(chunk)
    if (!member.have.add(chunk)) {
      member.duplicates++
      this.#duplicates++
      return
    }
    member.noted(chunk)
    const now = this.#clock.now()
    const gap = now - member.movedAt
    member.gapMs = member.gapMs === undefined ? gap : member.gapMs + (gap - member.gapMs) * gapWeight
    member.movedAt = now
    // Of two, nobody knows which one brought it: it says nothing about how fast either is.
    if (attempt !== undefined) this.#ledger.settle(member, attempt, second === undefined)
    if (second !== undefined) {
      this.#ledger.settle(member, second, false)
      this.#port.drop(member.name, chunk)
    }
    member.avoid.delete(chunk)
    this.#ledger.gain(chunk)
    this.#wakeWith(member)
  }

  /** A member has lost a chunk: its file has changed. */
  lost(name: string, chunk: number): void {
    const member = this.#ledger.members.get(name)
    if (member === undefined || !member.have.remove(chunk)) return
    member.noted(chunk)
    this.#ledger.lose(chunk)
    this.#wake(member)
  }

  /** A chunk did not come to a member as it should have: it comes another way, or later. */
  failed(name: string, chunk: number, from: string): void {
    const member = this.#ledger.members.get(name)
    if (member === undefined) return
    for (const attempt of [member.attempts.get(chunk), member.seconds.get(chunk)]) {
      if (attempt?.from !== from) continue
      this.#ledger.giveUp(member, attempt)
      member.shun(chunk, from)
    }
    this.#wakeWith(member)
  }

  /** A chunk is in the cache: fetched, checked. Those who wait for it get it. */
  arrived(chunk: number, from: string): void {
    const waiting = this.#ledger.fetches.arrived(chunk, from)
    for (const member of waiting) {
      const attempt = attemptFrom(member, chunk, "relay")
      if (attempt?.way !== "wait") continue
      this.#ledger.beginPush(attempt)
      this.#port.push(member.name, chunk)
    }
    this.#retry()
    this.#wake()
  }

  /** A holder cannot give what it was asked for, or gave something else. */
  refused(holder: string, chunk: number): void {
    this.#ledger.fetches.refused(chunk, holder)
    this.#retry()
    this.#wake()
  }

  /** The relay did not send a chunk after all: it is no longer in the cache, or the path was lost. */
  unpushed(name: string, chunk: number): void {
    const member = this.#ledger.members.get(name)
    const attempt = member === undefined ? undefined : attemptFrom(member, chunk, "relay")
    if (member === undefined || attempt?.way !== "push") return
    this.#ledger.giveUp(member, attempt)
    this.#wake(member)
  }

  /** What the relay has been sending to a member since before `before`, ms. */
  pushesTo(name: string, before: number): number[] {
    const { attempts, seconds } = this.#ledger.members.get(name) ?? { attempts: [], seconds: [] }
    const all = [...attempts.values(), ...seconds.values()]
    return all.filter(({ way, since }) => way === "push" && since <= before).map(({ chunk }) => chunk)
  }

  stats(): SchedulerStats {
    let underWay = 0
    for (const { attempts } of this.#ledger.members.values()) underWay += attempts.size
    const copies = this.#ledger.copies(10)
    return { copies, duplicates: this.#duplicates, underWay, fetching: this.#ledger.fetches.size }
  }

  /** How many members have it. */
  copiesOf(chunk: number): number {
    return this.#ledger.copiesOf(chunk)
  }

  /** How many who are here have not. */
  lackedBy(chunk: number): number {
    return this.#ledger.members.size - this.#ledger.copiesOf(chunk)
  }

  close(): void {
    this.#isOver = true
    this.#timer?.cancel()
  }

  /** Behind whatever else happens in this turn: many reports are answered at once. */
  #wake(member?: Member): void {
    if (member !== undefined) {
      this.#dirty.add(member)
      this.#woken.add(member)
      this.#givers.add(member)
    }
    if (this.#isDue || this.#isOver) return
    this.#isDue = true
    queueMicrotask(() => {
      this.#isDue = false
      if (!this.#isOver) this.#work()
    })
  }

  /** It can get more, so those it reaches may give. */
  #wakeWith(member: Member): void {
    for (const other of member.paths) if (other.load.hasRoom(this.#chunkBytes)) this.#givers.add(other)
    this.#wake(member)
  }

  #wakeAll(): void {
    for (const member of this.#ledger.members.values()) this.#wake(member)
  }

  #work(): void {
    if (this.#carriage.isReleased()) this.#retry()
    this.#ledger.fetches.newRound()
    for (const { chunk, waiting } of this.#ledger.fetches.repair()) {
      for (const member of waiting) {
        const attempt = attemptFrom(member, chunk, "relay")
        if (attempt?.way === "wait") this.#ledger.giveUp(member, attempt)
      }
    }
    if (this.#carrier === "direct") this.#giveOut()
    // In turn, one each: whoever got one is last again, and those for whom the relay has no room now keep their places.
    for (const member of this.#dirty) {
      if (this.#carrier === "relay" && !this.#carriage.hasRoom) break
      this.#serve(member)
    }
    for (const member of this.#woken)
      while (this.#dirty.has(member) && this.#carriage.hasRoomFor(member)) this.#serve(member)
    this.#woken.clear()
    if (this.#carrier === "relay") this.#giveOut()
    this.#watch()
  }

  /** One chunk, if there is one for it, and its turn again. */
  #serve(member: Member): void {
    this.#dirty.delete(member)
    if (!this.#ledger.members.has(member.name) || !member.hasRoom(this.#chunkBytes)) this.#starved.delete(member)
    else if (this.#give(member)) this.#dirty.add(member)
    else this.#starved.add(member)
  }

  /** Something is to be had again. */
  #retry(): void {
    for (const member of this.#starved) {
      this.#dirty.add(member)
      this.#woken.add(member)
    }
    this.#starved.clear()
  }

  /** Direct paths are filled from the givers' side: a giver with room looks for the rarest that somebody wants of it. */
  #giveOut(): void {
    for (const giver of this.#givers) {
      this.#givers.delete(giver)
      if (!this.#ledger.members.has(giver.name) || giver.have.count === 0) continue
      while (giver.load.hasRoom(this.#chunkBytes) && this.#giveOne(giver)) continue
    }
  }

  #giveOne(giver: Member): boolean {
    const takers: Member[] = []
    for (const other of giver.paths) {
      if (other.isCast || !other.hasRoom(this.#chunkBytes) || !this.#hasManifest(other)) continue
      if (this.#carrier === "relay" && !this.#needsHelp(other, giver)) continue
      takers.push(other)
    }
    if (takers.length === 0) return false
    const mayHave = (taker: Member, chunk: number) => taker.wants(chunk) && !taker.avoids(chunk, giver.name)
    const wanted = this.#wanted
    wanted.begin(giver, takers)
    const chunk = this.#ledger.choice.forGiver(giver, takers, (each) => {
      if (!wanted.has(each)) return false
      for (const taker of takers) if (mayHave(taker, each)) return true
      return false
    })
    if (chunk === undefined) return false
    let taker: Member | undefined
    for (const other of takers) {
      if (mayHave(other, chunk) && (taker === undefined || other.served < taker.served)) taker = other
    }
    if (taker === undefined) return false
    this.#take(taker, chunk, giver)
    return true
  }

  /** The relay has nothing for it now. Whoever had everything from the start gives once, to the relay, if that is enough. */
  #needsHelp(member: Member, giver: Member): boolean {
    if (giver.isOrigin && member.hasRelayPath) return member.isStarving(this.#clock.now())
    return member.attempts.size === 0 || this.#starved.has(member)
  }

  #hasManifest(member: Member): boolean {
    for (let chunk = 0; chunk < this.#options.manifestChunks; chunk++) if (!member.have.has(chunk)) return false
    return true
  }

  /** One chunk for a member, as far as the relay is concerned; false when there is none for it now. */
  #give(member: Member): boolean {
    const { manifestChunks } = this.#options
    let isWaiting = false
    for (let chunk = 0; chunk < manifestChunks; chunk++) {
      if (member.have.has(chunk)) continue
      isWaiting = true
      if (!member.attempts.has(chunk) && (this.#carriage.one(member, chunk) || this.#directly(member, chunk)))
        return true
    }
    if (isWaiting || member.isCast) return false
    if (this.#carrier === "relay" || member.paths.size === 0 || member.isStarving(this.#clock.now()))
      return this.#carriage.next(member)
    return this.#carriage.nextUnreachable(member)
  }

  #directly(member: Member, chunk: number): boolean {
    const giver = this.#giver(member, chunk)
    if (giver === undefined) return false
    this.#take(member, chunk, giver)
    return true
  }

  /** The one of those who have it that is through first, however much it has to do: for what cannot wait. */
  #giver(member: Member, chunk: number): Member | undefined {
    let best: Member | undefined
    for (const other of member.paths) {
      if (!other.have.has(chunk) || other.load.isShut || member.avoids(chunk, other.name)) continue
      if (best === undefined || other.load.delayMs < best.load.delayMs) best = other
    }
    return best
  }

  #take(member: Member, chunk: number, giver: Member, into: Map<number, Attempt> = member.attempts): void {
    this.#ledger.begin(member, { chunk, from: giver.name, way: "take", since: this.#clock.now() }, into)
    this.#port.take(member.name, chunk, giver.name)
  }

  /** While something is under way or wanted: what takes too long is noticed. */
  #watch(): void {
    if (this.#timer !== undefined || this.#isOver) return
    if (![...this.#ledger.members.values()].some((member) => !member.have.isFull)) return
    this.#timer = this.#clock.after(lookMs, () => {
      this.#timer = undefined
      this.#look()
      for (const member of this.#ledger.members.values()) {
        if (!member.have.isFull) this.#dirty.add(member)
        if (member.paths.size > 0) this.#givers.add(member)
      }
      this.#work()
    })
  }

  #look(): void {
    const now = this.#clock.now()
    for (const member of this.#ledger.members.values()) {
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
        this.#ledger.giveUp(member, oldest)
        this.#port.drop(member.name, oldest.chunk)
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
    this.#ledger.begin(member, { chunk, from: "relay", way: "push", since: this.#clock.now() }, member.seconds)
    this.#port.push(member.name, chunk)
  }
}

function attemptFrom(member: Member, chunk: number, from: string): Attempt | undefined {
  for (const attempt of [member.attempts.get(chunk), member.seconds.get(chunk)])
    if (attempt?.from === from) return attempt
  return undefined
}

/** What a holder is asked for before its speed is known, bytes. */
const leastAheadBytes = 512 * 1024
const gapWeight = 0.1
const lookMs = 200
/** A second attempt begins after this at the soonest. */
const leastPatienceMs = 700
/** A direct attempt is given up after this; the member itself gives up sooner by its own measure. */
const stuckMs = 15_000
const forgiveMs = 2_000
/** Chunks that may come twice: a part of all, and a few more. */
const mostDuplicates = 0.02
const spareDuplicates = 4
