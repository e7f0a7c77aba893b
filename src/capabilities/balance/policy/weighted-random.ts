/** Each connection by lot. Needs no memory of what was before, so many balancers do not fall into step. */

import type { Member, Policy, PolicyRequest } from "./policy.ts"
import { Sampler } from "./sampler.ts"

export class WeightedRandom implements Policy {
  readonly #sampler: Sampler

  constructor(random: () => number) {
    this.#sampler = new Sampler(random)
  }

  use(usable: readonly Member[]): void {
    this.#sampler.use(usable)
  }

  pick({ tried }: PolicyRequest): Member | undefined {
    return this.#sampler.draw(tried)
  }
}
