/**
 * A relay inside the agent's process, for `rdv http` without `--relay`: the first run needs nothing else. Visitors come
 * in on loopback; the session runs through memory.
 */

import { join } from "node:path"
import { systemClock } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import type { Log } from "../base/log.ts"
import type { Link } from "../mux/link.ts"
import type { SessionLimits } from "../mux/limits.ts"
import { startRelay } from "../node.ts"
import { startShareRelay } from "../start-share-relay.ts"
import { ownUrl } from "./own-url.ts"
import type { RunningRelay } from "../node.ts"
import { memoryNetwork } from "../transport/memory.ts"
import type { Folders } from "../store/paths.ts"

export interface LocalRelayOptions {
  readonly folders: Folders
  /** Empty: port 8080 of loopback, or the next free one. */
  readonly listen: readonly string[]
  /** A relay for TCP alone needs no port of its own. */
  readonly http: boolean
  readonly log: Log
  readonly sessionLimits?: Partial<SessionLimits>
  /** It serves shares, and others than this machine come in only by their codes. */
  readonly shares?: boolean
}

export interface LocalRelay {
  readonly running: RunningRelay
  /** For the agent. */
  readonly address: string
  readonly connect: (signal: AbortSignal) => Promise<Link>
}

const firstPort = 8080
const lastPort = 8099

/** Rejects with `in_use` when `listen` names an address that is taken. */
export async function startLocalRelay(options: LocalRelayOptions): Promise<LocalRelay> {
  const running = await listening(options)
  if (options.shares === true) {
    startShareRelay(running, { url: ownUrl(running.addresses), log: options.log, carrier: "relay" })
  }
  const network = memoryNetwork(systemClock)
  network.listen("local", (link) => running.relay.takeLink(link))
  return {
    running,
    address: "memory:local",
    connect: (signal) => network.dial({ scheme: "memory", name: "local" }, { signal, timeoutMs: 5_000 }),
  }
}

async function listening(options: LocalRelayOptions): Promise<RunningRelay> {
  const start = (listen: readonly string[]) =>
    startRelay({
      listen,
      // Apart from the store of `rdv relay`: names that tokens claimed there are of another relay.
      store: join(options.folders.data, "local.db"),
      open: options.shares === true ? "local" : true,
      log: options.log,
      ...(options.sessionLimits !== undefined && { sessionLimits: options.sessionLimits }),
    })
  if (options.listen.length > 0 || !options.http) return start(options.listen)
  for (let port = firstPort; port <= lastPort; port++) {
    try {
      return await start([`127.0.0.1:${port}`])
    } catch (error) {
      if (!(error instanceof RdvError) || error.code !== "in_use") throw error
    }
  }
  return start(["127.0.0.1:0"])
}
