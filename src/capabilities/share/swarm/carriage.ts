/**
 * What the relay carries itself: from its cache, or from a holder into the cache and on to all who wait. It leads: members
 * go through the chunks in its order, so that what is in the cache is what most of them want next.
 */

import type { Clock } from "../../../base/clock.ts"
import { Lead } from "./lead.ts"
import type { Ledger } from "./ledger.ts"
import type { Member } from "./member.ts"
import type { SwarmPort } from "./swarm-port.ts"

export interface CarriageOptions {
  readonly clock: Clock
  readonly port: SwarmPort
  readonly ledger: Ledger
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
  /** Of this round. */
  #front: number | undefined

  constructor(options: CarriageOptions) {
    this.#options = options
  }

  get hasRoom(): boolean {
    return this.#options.ledger.relay.hasRoom(this.#options.chunkBytes)
  }

  newRound(): void {
    this.#front = undefined
  }

  /** Where somebody who comes now begins. */
  get start(): number {
    return this.#lead.start
  }

  /** In the relay's order, so that many want the same at the same time; behind its end, what is rarest. */
  next(member: Member): boolean {
    if (!member.hasRelayPath || !this.#options.ledger.relay.hasRoom(this.#options.chunkBytes)) return false
    if (member.place < this.#lead.start) member.place = this.#lead.start
    while (member.place < this.#lead.end) {
      const chunk = this.#lead.at(member.place) as number
      member.place++
      const isOn = this.#options.port.cached(chunk) || this.#options.ledger.fetches.has(chunk)
      if (isOn && member.wants(chunk) && !member.avoids(chunk, "relay") && this.one(member, chunk)) return true
    }
    const mayFetch = this.#mayFetch(member)
    const chunk = this.#options.ledger.choice.forTaker(
      member,
      (each) => member.wants(each) && !member.avoids(each, "relay") && this.#canCarry(each, mayFetch),
    )
    return chunk !== undefined && this.one(member, chunk)
  }

  /**
   * Most are so near to the end of the relay's order that the cache still holds what they have not got. Who has little left
   * to do goes on all the same: it does not wait for those who are slow.
   */
  #mayFetch(member: Member): boolean {
    const { cacheBytes } = this.#options
    const { bytes } = this.#options.ledger.fetches
    if (bytes === 0) return true
    if (bytes > cacheBytes / 2) return false
    if (member.underWay * 4 <= member.window) return true
    this.#front ??= this.#frontPlace()
    return (this.#lead.end - this.#front) * this.#options.chunkBytes + bytes <= cacheBytes * 0.75
  }

  /** What three quarters of those who get something have passed. */
  #frontPlace(): number {
    const places: number[] = []
    for (const { have, hasRelayPath, window, place } of this.#options.ledger.members.values())
      if (!have.isFull && hasRelayPath && window > 0) places.push(Math.max(place, this.#lead.start))
    places.sort((a, b) => a - b)
    return places[Math.floor(places.length / 4)] ?? this.#lead.end
  }

  #canCarry(chunk: number, mayFetch: boolean): boolean {
    return (
      this.#options.port.cached(chunk) ||
      this.#options.ledger.fetches.has(chunk) ||
      (mayFetch && this.#options.ledger.fetches.canBegin(chunk))
    )
  }

  one(member: Member, chunk: number): boolean {
    if (!member.hasRelayPath) return false
    const length = this.#options.lengthOf(chunk)
    if (!this.#options.ledger.relay.hasRoom(length)) return false
    const since = this.#options.clock.now()
    if (this.#options.port.cached(chunk)) {
      this.#options.ledger.begin(member, { chunk, from: "relay", way: "push", since })
      this.#options.port.push(member.name, chunk)
      return true
    }
    if (!this.#options.ledger.fetches.has(chunk)) {
      if (!this.#options.ledger.fetches.begin(chunk)) return false
      this.#lead.append(chunk)
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
      return this.#canCarry(each, mayFetch)
    }
    const chunk = this.#options.ledger.choice.forTaker(member, carried, fewLooks)
    return chunk !== undefined && this.one(member, chunk)
  }
}

/** Chunks that one choice looks at: whoever finds nothing looks again in a moment. */
const fewLooks = 128
