/**
 * To a target that has few connections for its weight. Connections are whole, so most of the time no target has exactly its
 * part: all those come into question that have less than any other would have with one more. Among these the turns of round
 * robin decide. With equal weights that is the target with the fewest; with others, connections that are short or few are
 * spread by weight as those that stay are, where the fewest for the weight would favour whoever is light. It looks at each
 * target: O(n).
 */

import { isFree, loadOf, type Member, type Policy, type PolicyRequest } from "./policy.ts"
import { settleTurns } from "./turns.ts"

export class LeastConnections implements Policy {
  #members: readonly Member[] = []
  readonly #random: () => number

  /** `random` says who begins, so that many balancers do not all begin with the same target. */
  constructor(random: () => number) {
    this.#random = random
  }

  use(usable: readonly Member[]): void {
    this.#members = usable
    for (const member of usable) if (member.turn === 0) member.turn = (this.#random() - 0.5) * member.weight
    settleTurns(usable)
  }

  pick({ tried }: PolicyRequest): Member | undefined {
    // Who would have the least with one more.
    let load = Infinity
    let weight = 1
    let total = 0
    for (const member of this.#members) {
      if (!isFree(member, tried)) continue
      total += member.weight
      const more = loadOf(member) + 1
      // more / weight, compared without a division: the order must not depend on rounding.
      if (load === Infinity || more * weight < load * member.weight) {
        load = more
        weight = member.weight
      }
    }
    let best: Member | undefined
    for (const member of this.#members) {
      if (!isFree(member, tried)) continue
      // Those that have too many gain as well, or the light ones would have their turns for nothing. It is not made up for
      // without end: who is busy for long has what it needs.
      member.turn = Math.min(total, member.turn + member.weight)
      const isLow = loadOf(member) * weight < load * member.weight
      if (isLow && (best === undefined || member.turn > best.turn)) best = member
    }
    if (best !== undefined) best.turn = Math.max(-total, best.turn - total)
    return best
  }
}
