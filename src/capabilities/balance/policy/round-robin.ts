/** One after the other; those with more weight come more often, evenly spread. */

import { haveEqualWeights, isFree, totalWeight, type Member, type Policy, type PolicyRequest } from "./policy.ts"
import { settleTurns, takeTurn } from "./turns.ts"

const nobody: ReadonlySet<never> = new Set<never>()

/** A rotation begins somewhere within so many turns at most. */
const longestStart = 1024

export class RoundRobin implements Policy {
  readonly #random: () => number
  #members: readonly Member[] = []
  #equal = true
  /** With equal weights: the index of the next one. */
  #next = 0
  /** The place of the one that was taken last: when members change, the rotation goes on behind it. */
  #last: number | undefined

  /** `random` says where the rotation begins, so that many balancers do not all begin with the same target. */
  constructor(random: () => number) {
    this.#random = random
  }

  use(usable: readonly Member[]): void {
    const isFirst = this.#members.length === 0 && this.#last === undefined
    this.#members = usable
    this.#equal = haveEqualWeights(usable)
    if (usable.length === 0) return
    settleTurns(usable)
    if (isFirst) this.#begin()
    else if (this.#last !== undefined) {
      const last = this.#last
      this.#next = Math.max(
        0,
        usable.findIndex(({ place }) => place > last),
      )
    }
  }

  pick({ tried }: PolicyRequest): Member | undefined {
    const members = this.#members
    if (!this.#equal) {
      const member = takeTurn(members, tried)
      if (member !== undefined) this.#last = member.place
      return member
    }
    for (let step = 0; step < members.length; step++) {
      const at = (this.#next + step) % members.length
      const member = members[at] as Member
      if (!isFree(member, tried)) continue
      this.#next = at + 1 === members.length ? 0 : at + 1
      this.#last = member.place
      return member
    }
    return undefined
  }

  #begin(): void {
    const members = this.#members
    if (this.#equal) {
      this.#next = Math.floor(this.#random() * members.length)
      return
    }
    const turns = Math.floor(this.#random() * Math.min(longestStart, totalWeight(members)))
    for (let turn = 0; turn < turns; turn++) takeTurn(members, nobody)
  }
}
