/**
 * How far the relay's order may run ahead of those who follow it. What is fetched takes the place of what somebody has not
 * got yet, and would be fetched again: so the front waits for all who keep up, while the cache holds what is between them
 * and it. It waits for nobody who stands still or is far slower than most, and never for more than a small part of the
 * time: whoever is slow must not make everybody slow.
 */

import type { Clock } from "../../../base/clock.ts"
import type { Lead } from "./lead.ts"
import type { Member } from "./member.ts"

export interface FrontOptions {
  readonly clock: Clock
  readonly lead: Lead
  readonly members: ReadonlyMap<string, Member>
  /** What the cache has for this swarm, bytes. */
  readonly cacheBytes: number
  /** Of the largest chunk. */
  readonly chunkBytes: number
}

export class Front {
  readonly #options: FrontOptions
  /** The place of the last of those who keep up; places only grow, so an old one is careful. */
  #rear = 0
  #lookedAt = -Infinity
  /** For how long it may wait, ms. */
  #patience = firstPatienceMs
  #countedAt: number
  #isHeld = false

  constructor(options: FrontOptions) {
    this.#options = options
    this.#countedAt = options.clock.now()
  }

  /** Somebody could go on if there were room. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  /** Beside `bytes` that are under way one more can come, and nobody who keeps up loses anything by it. */
  hasRoom(bytes: number): boolean {
    if (this.#fits(bytes, this.#rear)) return true
    const now = this.#options.clock.now()
    if (now - this.#lookedAt < lookMs) return false
    this.#lookedAt = now
    this.#rear = this.#look(now)
    return this.#fits(bytes, this.#rear)
  }

  /** Whether somebody who has next to nothing to do waits for the others. */
  holds(bytes: number): boolean {
    const isHeld = !this.hasRoom(bytes)
    const now = this.#options.clock.now()
    const grown = this.#patience + (now - this.#countedAt) * (this.#isHeld ? patiencePart - 1 : patiencePart)
    this.#countedAt = now
    this.#patience = Math.min(mostPatienceMs, grown)
    this.#isHeld = isHeld && this.#patience > 0
    return this.#isHeld
  }

  #fits(bytes: number, rear: number): boolean {
    const { lead, cacheBytes, chunkBytes } = this.#options
    return (lead.end - Math.max(rear, lead.start) + 1) * chunkBytes + bytes <= cacheBytes * keptPart
  }

  #look(now: number): number {
    const { lead, members } = this.#options
    const followers: Member[] = []
    const gaps: number[] = []
    for (const member of members.values()) {
      const { have, hasRelayPath, window, isCast, attempts } = member
      if (have.isFull || !hasRelayPath || isCast || (window === 0 && attempts.size === 0)) continue
      followers.push(member)
      if (member.gapMs !== undefined) gaps.push(member.gapMs)
    }
    const usual = (gaps.toSorted((a, b) => a - b)[gaps.length >> 1] ?? 0) * muchSlower
    let rear = lead.end
    for (const { place, gapMs, movedAt } of followers) {
      if ((gapMs ?? 0) > Math.max(usual, leastGapMs) || now - movedAt > Math.max(usual, stillMs)) continue
      rear = Math.min(rear, place)
    }
    return rear
  }
}

/** Of the cache; the rest is for what is being sent while others have it already. */
const keptPart = 0.9
/** Whoever takes so many times as long for a chunk as most do is not waited for. */
const muchSlower = 8
/** Unless it takes less than this, ms. */
const leastGapMs = 20
/** Nor is who has got nothing for so long, ms: a disk that is busy may take that. */
const stillMs = 1_000
const firstPatienceMs = 500
const mostPatienceMs = 1_000
/** Of the time, at most, behind `firstPatienceMs`. */
const patiencePart = 0.2
/** The members are gone through again after this at the soonest, ms. */
const lookMs = 5
