/** Draws members by weight: the draw itself costs O(1) with equal weights, else O(log n). */

import type { Target } from "../target/target.ts"
import { haveEqualWeights, isFree, type Member } from "./policy.ts"

/** So many draws may hit one that is not free; then those that are free are counted. */
const draws = 4

export class Sampler {
  readonly #random: () => number
  #members: readonly Member[] = []
  #equal = true
  /** The sum of the weights up to and with each. */
  #sums = new Float64Array(0)

  constructor(random: () => number) {
    this.#random = random
  }

  use(members: readonly Member[]): void {
    this.#members = members
    this.#equal = haveEqualWeights(members)
    if (this.#equal) return
    this.#sums = new Float64Array(members.length)
    let sum = 0
    for (const [at, { weight }] of members.entries()) this.#sums[at] = sum += weight
  }

  /** One of those that are free and not `except`. */
  draw(tried: ReadonlySet<Target>, except?: Member): Member | undefined {
    if (this.#members.length === 0) return undefined
    for (let draw = 0; draw < draws; draw++) {
      const member = this.#any()
      if (member !== except && isFree(member, tried)) return member
    }
    return this.#anyFree(tried, except)
  }

  #any(): Member {
    const members = this.#members
    if (this.#equal) return members[Math.floor(this.#random() * members.length)] as Member
    const sums = this.#sums
    const at = this.#random() * (sums[sums.length - 1] as number)
    let low = 0
    let high = sums.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((sums[middle] as number) > at) high = middle
      else low = middle + 1
    }
    return members[low] as Member
  }

  #anyFree(tried: ReadonlySet<Target>, except: Member | undefined): Member | undefined {
    const random = this.#random
    let total = 0
    let drawn: Member | undefined
    for (const member of this.#members) {
      if (member === except || !isFree(member, tried)) continue
      total += member.weight
      if (random() * total < member.weight) drawn = member
    }
    return drawn
  }
}
