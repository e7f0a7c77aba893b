/**
 * The books of a swarm: how many have each chunk, what is under way to whom, what everybody has before them. Who decides
 * writes down here what begins, and who hears reports what came of it.
 */

import type { Clock } from "../../../base/clock.ts"
import { Choice } from "./choice.ts"
import { Fetches } from "./fetches.ts"
import { Load } from "./load.ts"
import type { Attempt, Member } from "./member.ts"
import { Rarity } from "./rarity.ts"
import type { SwarmPort } from "./swarm-port.ts"

export interface LedgerOptions {
  readonly clock: Clock
  readonly count: number
  /** Sealed bytes. */
  readonly lengthOf: (chunk: number) => number
  readonly port: SwarmPort
  /** A member has room again for what others want of it. */
  readonly freed: (giver: Member) => void
}

export class Ledger {
  readonly members: Map<string, Member> = new Map()
  readonly rarity: Rarity
  readonly choice: Choice
  readonly fetches: Fetches
  /** What the relay has to send. */
  readonly relay: Load
  readonly #options: LedgerOptions
  readonly #copies: Uint16Array

  constructor(options: LedgerOptions) {
    const { clock, count, lengthOf, port } = options
    this.#options = options
    this.rarity = new Rarity(count)
    this.choice = new Choice(this.rarity, count)
    this.#copies = new Uint16Array(count)
    this.relay = new Load({ clock, leastBytes: 64 << 20, mostBytes: 512 << 20 })
    const changed = (chunk: number, by: 1 | -1) => this.rarity.change(chunk, by)
    this.fetches = new Fetches({ clock, count, port, lengthOf, members: this.members, changed })
  }

  /** How many members have it. */
  copiesOf(chunk: number): number {
    return this.#copies[chunk] as number
  }

  /** How many chunks have so many copies: the last of `levels` counts all above, too. */
  copies(levels: number): number[] {
    const chunks = Array.from({ length: levels }, () => 0)
    for (const count of this.#copies) {
      const at = Math.min(count, levels - 1)
      chunks[at] = (chunks[at] as number) + 1
    }
    return chunks
  }

  gain(chunk: number): void {
    this.#copies[chunk] = (this.#copies[chunk] as number) + 1
    this.rarity.change(chunk, 1)
  }

  lose(chunk: number): void {
    this.#copies[chunk] = (this.#copies[chunk] as number) - 1
    this.rarity.change(chunk, -1)
  }

  begin(member: Member, attempt: Attempt, into: Map<number, Attempt> = member.attempts): void {
    if (member.attempts.size === 0) member.movedAt = attempt.since
    into.set(attempt.chunk, attempt)
    member.noted(attempt.chunk)
    member.underWay += this.#options.lengthOf(attempt.chunk)
    if (attempt.way === "push") this.#beginPush(attempt.chunk)
    else if (attempt.way === "take") {
      this.rarity.change(attempt.chunk, 1)
      attempt.order = this.members.get(attempt.from)?.load.begin(this.#options.lengthOf(attempt.chunk))
    }
  }

  /** What was waited for is in the cache. */
  beginPush(attempt: Attempt): void {
    attempt.way = "push"
    attempt.since = this.#options.clock.now()
    this.#beginPush(attempt.chunk)
  }

  /** Takes an attempt off the books. */
  settle(member: Member, attempt: Attempt, isDone: boolean): void {
    const { chunk, from, way } = attempt
    const length = this.#options.lengthOf(chunk)
    if (member.attempts.get(chunk) === attempt) member.attempts.delete(chunk)
    else if (member.seconds.get(chunk) === attempt) member.seconds.delete(chunk)
    else return
    member.noted(chunk)
    member.underWay -= length
    if (way === "wait") this.fetches.unwait(chunk, member)
    else this.rarity.change(chunk, -1)
    if (way === "push") this.relay.end(length, isDone)
    const giver = way === "take" ? this.members.get(from) : undefined
    if (giver === undefined) return
    giver.load.end(length, isDone, attempt.order)
    this.#options.freed(giver)
  }

  /** It came to nothing; what was second is what there is now. */
  giveUp(member: Member, attempt: Attempt): void {
    this.settle(member, attempt, false)
    const second = member.seconds.get(attempt.chunk)
    if (second === undefined || member.attempts.has(attempt.chunk)) return
    member.seconds.delete(attempt.chunk)
    member.attempts.set(attempt.chunk, second)
    member.noted(attempt.chunk)
  }

  giveUpAll(member: Member, which: (attempt: Attempt) => boolean = () => true): void {
    for (const attempts of [member.attempts, member.seconds])
      for (const attempt of attempts.values()) if (which(attempt)) this.giveUp(member, attempt)
  }

  /** Two members reach each other no longer. */
  cut(a: Member, b: Member): void {
    a.paths.delete(b)
    b.paths.delete(a)
    this.giveUpAll(a, ({ from }) => from === b.name)
    this.giveUpAll(b, ({ from }) => from === a.name)
  }

  #beginPush(chunk: number): void {
    this.relay.begin(this.#options.lengthOf(chunk))
    this.rarity.change(chunk, 1)
  }
}
