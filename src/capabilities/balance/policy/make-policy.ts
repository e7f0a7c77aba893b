/** From a word in the settings to what chooses. */

import type { PolicySettings } from "../config/settings.ts"
import { ConsistentHash } from "./hash.ts"
import { LeastConnections } from "./least-connections.ts"
import type { Policy } from "./policy.ts"
import { RoundRobin } from "./round-robin.ts"
import { TwoChoices } from "./two-choices.ts"
import { WeightedRandom } from "./weighted-random.ts"

/** `random`: from 0 up to and without 1. */
export function makePolicy(settings: PolicySettings, random: () => number): Policy {
  switch (settings.kind) {
    case "round-robin":
      return new RoundRobin(random)
    case "random":
      return new WeightedRandom(random)
    case "least-connections":
      return new LeastConnections(random)
    case "peak-ewma":
      return new TwoChoices(random)
    case "hash":
      return new ConsistentHash(settings.bound)
  }
}
