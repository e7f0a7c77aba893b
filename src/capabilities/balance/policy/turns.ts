/**
 * Smooth weighted round robin, as nginx has it: each gets its weight added, the one that is owed most is taken and pays
 * for all. Within so many picks as the weights sum up to, each is taken exactly as often as its weight says, and the turns
 * of a heavy one are spread out: 5, 1, 1 gives a a b a c a a.
 */

import type { Target } from "../target/target.ts"
import { isFree, type Member } from "./policy.ts"

/** The next one of those that are free. Those that are not neither gain nor lose, so nothing is made up for later. */
export function takeTurn(members: readonly Member[], tried: ReadonlySet<Target>): Member | undefined {
  let best: Member | undefined
  let total = 0
  for (const member of members) {
    if (!isFree(member, tried)) continue
    member.turn += member.weight
    total += member.weight
    if (best === undefined || member.turn > best.turn) best = member
  }
  if (best !== undefined) best.turn -= total
  return best
}

/** After members came, left or changed their weight: what is owed sums up to 0 again, and nobody is owed a run of turns. */
export function settleTurns(members: readonly Member[]): void {
  if (members.length === 0) return
  let sum = 0
  let total = 0
  for (const { turn, weight } of members) {
    sum += turn
    total += weight
  }
  const mean = sum / members.length
  for (const member of members) member.turn = Math.max(-total, Math.min(total, member.turn - mean))
}
