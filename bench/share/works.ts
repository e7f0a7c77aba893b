/** What each system is asked to do. */

import { leastTime } from "../../src/capabilities/share/trial/trial-summary.ts"
import type { Options } from "../options.ts"
import type { ShareSystem, Task } from "./system.ts"

export interface ShareWork extends Pick<Task, "clients" | "bytes" | "uplink" | "by"> {
  /** The part of `--only`. */
  readonly part: "copies" | "uplinks" | "hosts" | "multicast"
  readonly name: string
  /** The least time that the uplinks allow, s. */
  readonly bound?: number | undefined
  /** So many rounds at most. */
  readonly rounds?: number
  readonly takes: (system: ShareSystem) => boolean
}

/** Bytes/s. */
const uplink = 20e6

export function worksOf({ quick }: Options): readonly ShareWork[] {
  const bytes = quick ? 20e6 : 100e6
  const crowds = quick ? [1, 10] : [1, 10, 50, 100]
  const swarms = quick ? [10] : [10, 50]
  const bound = (clients: number): number | undefined =>
    leastTime(bytes, clients, { senderUp: uplink, receiverUp: uplink, relayUp: 0 })
  return [
    ...crowds.map((clients): ShareWork => ({
      part: "copies",
      name: `copies ${clients}`,
      clients,
      bytes,
      takes: ({ most = Infinity, isCast = false }) => clients <= most && !isCast,
    })),
    ...swarms.map((clients): ShareWork => ({
      part: "uplinks",
      name: `uplinks ${clients}`,
      clients,
      bytes,
      uplink,
      by: "bucket",
      bound: bound(clients),
      takes: ({ isSwarm = false, isCast = false }) => isSwarm && !isCast,
    })),
    {
      part: "hosts",
      name: "hosts 10",
      clients: 10,
      bytes,
      uplink,
      by: "namespaces",
      bound: bound(10),
      takes: ({ isSwarm = false, isCast = false }) => isSwarm && !isCast,
    },
    {
      part: "multicast",
      name: "multicast 10",
      clients: 10,
      bytes,
      by: "namespaces",
      takes: ({ isCast = false }) => isCast,
    },
  ]
}
