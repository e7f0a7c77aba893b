/**
 * To the target with the fewest connections for its weight. Those that have equally few take turns as in round robin, so
 * that short connections, which find everybody idle, are spread by weight too. It looks at each target: O(n).
 */

import { isFree, loadOf, type Member, type Policy, type PolicyRequest } from "./policy.ts"
import { settleTurns, takeTurn } from "./turns.ts"

export class LeastConnections implements Policy {
  #members: readonly Member[] = []
  /** Used again for each pick. */
  readonly #tied: Member[] = []
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
    const tied = this.#tied
    tied.length = 0
    let least = 0
    let weight = 1
    for (const member of this.#members) {
      if (!isFree(member, tried)) continue
      const load = loadOf(member)
      // load / weight, compared without a division: the order must not depend on rounding.
      const more = tied.length === 0 ? -1 : load * weight - least * member.weight
      if (more > 0) continue
      if (more < 0) {
        tied.length = 0
        least = load
        weight = member.weight
      }
      tied.push(member)
    }
    return tied.length === 1 ? tied[0] : takeTurn(tied, tried)
  }
}
