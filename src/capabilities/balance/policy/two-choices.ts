/**
 * Two targets are drawn by weight, and the one with the lower cost is taken (Mitzenmacher's power of two choices): nearly
 * as even as looking at all, in O(1), and without a herd that runs to the one best target.
 *
 * The cost is the time that a new connection will probably wait: latency × (connections + 1). The connections count by
 * weight, so that under load a target with twice the weight carries twice as many.
 */

import { loadOf, totalWeight, type Member, type Policy, type PolicyRequest } from "./policy.ts"
import { Sampler } from "./sampler.ts"

/** Costs that differ by less than this share are the same: then the lot, and with it the weight, decides. */
const noise = 0.05

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
    return this.#cost(second, ours) < this.#cost(first, theirs) * (1 - noise)
  }

  #cost(member: Member, latencyMs: number): number {
    return latencyMs * ((loadOf(member) * this.#meanWeight) / member.weight + 1)
  }
}
