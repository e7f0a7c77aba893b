/**
 * Two targets are drawn by weight, and the one with the lower cost is taken (Mitzenmacher's power of two choices): nearly
 * as even as looking at all, in O(1), and without a herd that runs to the one best target.
 *
 * The cost is the time that a new connection will probably wait: latency × (connections + 1). The connections count by
 * weight, so that under load a target with twice the weight carries twice as many. Connections are whole: where the two are
 * less than one apart, neither has fewer, and only latency and the lot decide. Else light targets, idle more often, would
 * get more than their part of connections that are short or few.
 */

import { loadOf, totalWeight, type Member, type Policy, type PolicyRequest } from "./policy.ts"
import { Sampler } from "./sampler.ts"

/** Costs that differ by less than this share are the same: then the lot, and with it the weight, decides. */
const noise = 0.05

/** Below this, latency says more of the machines' schedulers than of the way or the target, ms. */
const leastLatencyMs = 1

export class TwoChoices implements Policy {
  readonly #sampler: Sampler
  #meanWeight = 1

  constructor(random: () => number) {
    this.#sampler = new Sampler(random)
  }

  use(usable: readonly Member[]): void {
    this.#sampler.use(usable)
    if (usable.length > 0) this.#meanWeight = totalWeight(usable) / usable.length
  }

  pick({ tried }: PolicyRequest): Member | undefined {
    const first = this.#sampler.draw(tried)
    if (first === undefined) return undefined
    const second = this.#sampler.draw(tried, first)
    return second !== undefined && this.#isCheaper(second, first) ? second : first
  }

  #isCheaper(second: Member, first: Member): boolean {
    let ours = second.target.latency.value
    let theirs = first.target.latency.value
    // Of a target that has never been asked nothing is known but its load.
    if (ours === undefined || theirs === undefined) ours = theirs = 1
    else if (ours > theirs) ours = second.target.latency.forgiven(theirs)
    else theirs = first.target.latency.forgiven(ours)
    const near = areNear(first, second)
    return this.#cost(second, ours, near) < this.#cost(first, theirs, near) * (1 - noise)
  }

  #cost(member: Member, latencyMs: number, isIdle: boolean): number {
    const load = isIdle ? 0 : (loadOf(member) * this.#meanWeight) / member.weight
    return Math.max(latencyMs, leastLatencyMs) * (load + 1)
  }
}

/** Each has less for its weight than the other would have with one more. */
function areNear(a: Member, b: Member): boolean {
  const [loadA, loadB] = [loadOf(a), loadOf(b)]
  return loadA * b.weight < (loadB + 1) * a.weight && loadB * a.weight < (loadA + 1) * b.weight
}
