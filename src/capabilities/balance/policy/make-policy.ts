/** From a word in the settings to what chooses. */

import type { PolicySettings } from "../config/settings.ts"
import type { Policy } from "./policy.ts"
import { RoundRobin } from "./round-robin.ts"

export function makePolicy(_settings: PolicySettings, random: () => number): Policy {
  return new RoundRobin(random)
}
