/** A target of a balancer as the simple form of its file makes it. */

import type { Clock } from "../../src/base/clock.ts"
import { defaultTarget } from "../../src/capabilities/balance/config/defaults.ts"
import type { TargetSettings } from "../../src/capabilities/balance/config/settings.ts"
import { Target } from "../../src/capabilities/balance/target/target.ts"

export function targetFor(host: string, clock: Clock, changes: Partial<TargetSettings> = {}): Target {
  const settings: TargetSettings = {
    address: { kind: "tcp", host, port: 80 },
    ...defaultTarget,
    ...changes,
  }
  return new Target(settings, clock)
}
