/**
 * What the relay carries itself: from its cache, or from a holder into the cache and on to all who wait. It leads: members
 * go through the chunks in its order, so that what is in the cache is what most of them want next.
 */

import type { Clock } from "../../../base/clock.ts"
import { Bitmap } from "../content/bitmap.ts"
import { Front } from "./front.ts"
import { Lead } from "./lead.ts"
import type { Ledger } from "./ledger.ts"
import type { Member } from "./member.ts"
import type { SwarmPort } from "./swarm-port.ts"

export interface CarriageOptions {
  readonly clock: Clock
  readonly port: SwarmPort
  readonly ledger: Ledger
  /** Chunks in all. */
  readonly count: number
  readonly lengthOf: (chunk: number) => number
  /** What the cache has for this swarm, bytes. */
  readonly cacheBytes: number
  /** Of the largest chunk. */
  readonly chunkBytes: number
  /** A fetch has begun: others may wait for the same. */
  readonly begun: () => void
}

export class Carriage {
  readonly #options: CarriageOptions
  readonly #lead: Lead = new Lead()
  readonly #front: Front
  /** What was in the cache before: others have it. */
  readonly #carried: Bitmap

  constructor(options: CarriageOptions) {
    this.#options = options
    this.#front = new Front({ ...options, members: options.ledger.members, lead: this.#lead })
    this.#carried = new Bitmap(options.count)
  }

  /** For anybody. */
  get hasRoom(): boolean {
    return this.#options.ledger.relay.hasRoom(this.#options.chunkBytes)
  }

  /** Who has less than its part before it gets that, however much the relay has to send to those who take it slowly. */
  hasRoomFor(member: Member, bytes: number = this.#options.chunkBytes): boolean {
    const { relay, members } = this.#options.ledger
    return relay.hasRoom(bytes) || member.underWay + bytes <= relay.capacity / members.size
  }

  /** Somebody waited for those who are behind, and does no longer. */
  isReleased(): boolean {
    return this.#front.isHeld && !this.#front.holds(this.#options.ledger.fetches.bytes)
  }

  /** Where somebody who comes now begins. */
  get start(): number {
    return this.#lead.start
  }

  /** In the relay's order, so that many want the same at the same time; behind its end, what is rarest. */
  next(member: Member): boolean {
    if (!member.hasRelayPath || !this.hasRoomFor(member)) return false
    if (member.place < this.#lead.start) member.place = this.#lead.start
    while (member.place < this.#lead.end) {
      const chunk = this.#lead.at(member.place) as number
      member.place++
      const isOn = this.#options.port.cached(chunk) || this.#options.ledger.fetches.has(chunk)
      if (isOn && member.wants(chunk) && !member.avoids(chunk, "relay") && this.one(member, chunk)) return true
    }
    const mayFetch = this.#mayFetch(member)
    const isStarving = member.isStarving(this.#options.clock.now())
    const fits = (each: number) =>
      member.wants(each) && !member.avoids(each, "relay") && this.#canCarry(member, each, mayFetch, isStarving)
    // Behind the order's end there is little else than what can be fetched.
    const chunk = this.#options.ledger.choice.forTaker(member, fits, mayFetch ? undefined : leanLooks)
    return chunk !== undefined && this.one(member, chunk)
  }

  /** Those who keep up lose nothing by it; or this one has little left to do, and has waited long enough. */
  #mayFetch(member: Member): boolean {
    const { bytes } = this.#options.ledger.fetches
    if (bytes > this.#options.cacheBytes / 2) return false
    if (this.#front.hasRoom(bytes)) return true
    return member.underWay * 4 <= member.window && !this.#front.holds(bytes)
  }

  #canCarry(member: Member, chunk: number, mayFetch: boolean, isStarving: boolean): boolean {
    const { port, ledger } = this.#options
    if (port.cached(chunk) || ledger.fetches.has(chunk)) return true
    if (!mayFetch || !ledger.fetches.canBegin(chunk)) return false
    return isStarving || !this.#carried.has(chunk) || !isNear(member, chunk)
  }

  one(member: Member, chunk: number): boolean {
    if (!member.hasRelayPath) return false
    const length = this.#options.lengthOf(chunk)
    if (!this.hasRoomFor(member, length)) return false
    const since = this.#options.clock.now()
    if (this.#options.port.cached(chunk)) {
      this.#options.ledger.begin(member, { chunk, from: "relay", way: "push", since })
      this.#options.port.push(member.name, chunk)
      return true
    }
    if (!this.#options.ledger.fetches.has(chunk)) {
      if (!this.#options.ledger.fetches.begin(chunk)) return false
      this.#lead.append(chunk)
      this.#carried.add(chunk)
      // Others can wait for the same now.
      this.#options.begun()
    }
    this.#options.ledger.begin(member, { chunk, from: "relay", way: "wait", since })
    this.#options.ledger.fetches.wait(chunk, member)
    return true
  }

  /** Peers carry what they can; the relay brings one of them what none of them has. */
  nextUnreachable(member: Member): boolean {
    if (!member.hasRelayPath) return false
    const mayFetch = this.#mayFetch(member)
    const carried = (each: number) => {
      if (!member.wants(each) || member.avoids(each, "relay")) return false
      for (const other of member.paths)
        if ((other.have.has(each) && !member.avoids(each, other.name)) || other.attempts.has(each)) return false
      return this.#canCarry(member, each, mayFetch, true)
    }
    const chunk = this.#options.ledger.choice.forTaker(member, carried, fewLooks)
    return chunk !== undefined && this.one(member, chunk)
  }
}

/** A partner has it or gets it from its own, and can give it directly soon: the relay need not get it again. Whoever had it all from the start is spared. */
function isNear(member: Member, chunk: number): boolean {
  for (const other of member.paths) {
    if (other.isOrigin || other.load.isShut || other.load.delayMs > nearMs || member.avoids(chunk, other.name)) continue
    if (other.have.has(chunk) || other.attempts.get(chunk)?.way === "take") return true
  }
  return false
}

/** A partner that has more to do is not waited for, ms. */
const nearMs = 1_000
/** Chunks that one choice looks at: whoever finds nothing looks again in a moment. */
const fewLooks = 128
/** While nothing may be fetched. */
const leanLooks = 32
