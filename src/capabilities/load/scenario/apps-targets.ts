/**
 * Targets from a file of Apps: the ports that a load balancer listens on, not what it leads to. One label for each:
 * `five-thousand:5001`.
 */

import type { App } from "../../../config/apps.ts"
import type { Target } from "./scenario.ts"

/** In the order of the file. */
export function targetsOfApps(apps: readonly App[], host: string): readonly Target[] {
  return apps.flatMap(({ name, ports }) =>
    ports.map((port): Target => ({ label: `${name}:${port}`, protocol: "tcp", host, port, path: "" })),
  )
}
