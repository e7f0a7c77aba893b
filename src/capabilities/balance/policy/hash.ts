/**
 * A client stays at its target. The table (`maglev.ts`) is made of all members of the level, usable or not, so it only
 * changes with the configuration. A client whose target cannot be used now walks on through the table to the next that can:
 * so only the clients of that target move, they spread over all others, and each of them is back when the target is.
 *
 * With a bound, a target has room for `bound` times its share of all connections, and whoever finds no room walks on
 * (Mirrokni et al., Consistent Hashing with Bounded Loads). In slow start a target takes its clients back one part after
 * the other, always the same first.
 */

import type { Target } from "../target/target.ts"
import { fractionOf, hashText, mix } from "./hashing.ts"
import { maglevTable } from "./maglev.ts"
import { isFree, loadOf, totalWeight, type Member, type Policy, type PolicyRequest } from "./policy.ts"

/** So many slots are looked at; when hardly anybody is usable, all members are weighed instead. */
const longestWalk = 256

const levelSeed = 0x6c65_766c
const rampSeed = 0x7261_6d70
const namesSeed = 0x6e61_6d65

export class ConsistentHash implements Policy {
  readonly #bound: number | undefined
  #usable: readonly Member[] = []
  #all: readonly Member[] = []
  #usableWeight = 0
  /** What the table was made of; it is made when the first client needs it. */
  #madeOf = ""
  #table: Uint16Array | undefined
  #deflected = false

  /** `bound`: 1 or more; undefined for none. */
  constructor(bound: number | undefined) {
    this.#bound = bound === undefined ? undefined : Math.max(1, bound)
  }

  get deflected(): boolean {
    return this.#deflected
  }

  use(usable: readonly Member[], all: readonly Member[]): void {
    this.#usable = usable
    this.#usableWeight = totalWeight(usable)
    this.#all = all
    const madeOf = JSON.stringify(all.map(({ target }) => [target.name, target.settings.weight]))
    if (madeOf === this.#madeOf) return
    this.#madeOf = madeOf
    this.#table = undefined
  }

  pick({ client, tried }: PolicyRequest): Member | undefined {
    if (this.#usable.length === 0) return undefined
    const table = (this.#table ??= maglevTable(
      this.#all.map(({ target }) => ({ name: target.name, weight: target.settings.weight })),
    ))
    const hash = hashText(clientKey(client))
    const roomPerWeight = this.#roomPerWeight()
    const ramp = fractionOf(mix(hash ^ rampSeed))
    let slot = hash % table.length
    let refused: Member | undefined
    const steps = Math.min(longestWalk, table.length)
    for (let step = 0; step < steps; step++) {
      const member = this.#all[table[slot] as number] as Member
      if (++slot === table.length) slot = 0
      if (member === refused) continue
      if (member.usable && ramp < member.ramp && isFree(member, tried) && hasRoom(member, roomPerWeight)) {
        this.#deflected = step > 0
        return member
      }
      refused = member
    }
    this.#deflected = true
    return this.#weigh(hash, tried, roomPerWeight) ?? this.#weigh(hash, tried, undefined)
  }

  fraction(client: string): number {
    return fractionOf(mix(hashText(clientKey(client)) ^ levelSeed))
  }

  /** How many connections there may be per weight; undefined for as many as may come. */
  #roomPerWeight(): number | undefined {
    if (this.#bound === undefined) return undefined
    let load = 1
    for (const member of this.#usable) load += loadOf(member)
    return (this.#bound * load) / this.#usableWeight
  }

  /** Weighted rendezvous: the highest lot wins. O(n), and just as steady as the table. */
  #weigh(hash: number, tried: ReadonlySet<Target>, roomPerWeight: number | undefined): Member | undefined {
    let best: Member | undefined
    let highest = Number.NEGATIVE_INFINITY
    for (const member of this.#usable) {
      if (!isFree(member, tried) || !hasRoom(member, roomPerWeight)) continue
      const lot = fractionOf(mix(hash ^ hashText(member.target.name, namesSeed)))
      const score = Math.log(lot + Number.EPSILON) / member.weight
      if (score <= highest) continue
      best = member
      highest = score
    }
    return best
  }
}

/** Whether one more fits: a target may have its share, rounded up, but for what is rounding already. */
function hasRoom(member: Member, perWeight: number | undefined): boolean {
  return perWeight === undefined || loadOf(member) < Math.ceil(perWeight * member.weight - 1e-9)
}

/** The same machine is one client, whichever kind of socket it came in by. */
function clientKey(client: string): string {
  return client.startsWith("::ffff:") && client.includes(".") ? client.slice("::ffff:".length) : client
}
