/** A target of a balancer as the simple form of its file makes it. */

import type { Clock } from "../../src/base/clock.ts"
import type { TargetSettings } from "../../src/capabilities/balance/config/settings.ts"
import { Target } from "../../src/capabilities/balance/target/target.ts"

export function targetFor(host: string, clock: Clock, changes: Partial<TargetSettings> = {}): Target {
  const settings: TargetSettings = {
    address: { kind: "tcp", host, port: 80 },
    weight: 1,
    priority: 0,
    zone: undefined,
    maxConnections: undefined,
    disabled: false,
    tls: undefined,
    proxyProtocol: "off",
    warm: 0,
    wake: undefined,
    ...changes,
  }
  return new Target(settings, clock)
}
