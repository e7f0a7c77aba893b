/** What `rdv relay` says about shares. */

import { join } from "node:path"
import { RdvError } from "../base/error.ts"
import type { Log } from "../base/log.ts"
import type { Carrier } from "../capabilities/share/swarm/scheduler.ts"
import type { RunningRelay } from "../node.ts"
import { startShareRelay } from "../start-share-relay.ts"
import type { Folders } from "../store/paths.ts"
import { isLoopback } from "../transport/loopback.ts"
import type { FlagReader, Flags } from "./flags.ts"
import { ownUrl } from "./own-url.ts"
import { byteCount, byteRate } from "./share-flags.ts"

export const relayShareFlags: Flags = {
  "no-share": { kind: "switch", env: "RDV_NO_SHARE", summary: "Serves no shares of files" },
  "share-cache": {
    kind: "text",
    value: "SIZE",
    env: "RDV_SHARE_CACHE",
    summary: "Memory for parts of shared files, sealed; all shares together",
    default: "48MiB",
  },
  "share-disk": {
    kind: "text",
    value: "SIZE",
    env: "RDV_SHARE_DISK",
    summary: "Keeps so many more of them on disk, below --data; default: none",
  },
  "share-rate": {
    kind: "text",
    value: "RATE",
    env: "RDV_SHARE_RATE",
    summary: "The most that one share sends through this relay: 20MB/s",
  },
  "share-carrier": {
    kind: "text",
    value: "relay|direct",
    env: "RDV_SHARE_CARRIER",
    summary:
      "Who sends where members reach each other as well; default: relay on loopback without --share-rate, else direct",
  },
}

interface ShareFlags {
  readonly cacheBytes: number
  readonly diskBytes: number | undefined
  readonly bytesPerSecond: number | undefined
  readonly carrier: Carrier | undefined
}

/** Undefined: it serves none. Throws `usage`. */
export function readShareFlags(flags: FlagReader): ShareFlags | undefined {
  if (flags.on("no-share")) return undefined
  const cacheBytes = byteCount(flags, "share-cache") as number
  if (cacheBytes < leastShareCache) {
    throw new RdvError("usage", "--share-cache is too small", { mend: "give at least 8MiB" })
  }
  return {
    cacheBytes,
    diskBytes: byteCount(flags, "share-disk"),
    bytesPerSecond: byteRate(flags, "share-rate"),
    carrier: flags.choice("share-carrier", ["relay", "direct"]),
  }
}

/** Where its page is; undefined without shares. */
export function startRelayShares(
  running: RunningRelay,
  { domain, publicUrl, at, log }: { domain: string; publicUrl: string | undefined; at: Folders; log: Log },
  share: ShareFlags | undefined,
): string | undefined {
  if (share === undefined) return undefined
  const url = ownUrl(running.addresses, { domain, publicUrl })
  const { cacheBytes, diskBytes, bytesPerSecond } = share
  // What is near and has no bound carries faster than members do.
  const isNear = running.addresses.every((address) => !("host" in address) || isLoopback(address.host))
  startShareRelay(running, {
    url,
    log,
    store: running.store.publications,
    limits: { cacheBytes, ...(diskBytes !== undefined && { diskBytes }) },
    carrier: share.carrier ?? (isNear && bytesPerSecond === undefined ? "relay" : "direct"),
    ...(diskBytes !== undefined && { diskFolder: join(at.data, "share-chunks") }),
    ...(bytesPerSecond !== undefined && { bytesPerSecond }),
  })
  return `${url}/share`
}

/** Eight chunks of the largest size. */
const leastShareCache = 8 * 1024 * 1024
