/** What `rdv relay` says about tabs. */

import { join } from "node:path"
import { asRdvError, RdvError } from "../base/error.ts"
import type { Log } from "../base/log.ts"
import type { TabService } from "../capabilities/tab/relay/tab-service.ts"
import type { RunningRelay } from "../node.ts"
import { startTabRelay } from "../start-tab-relay.ts"
import type { Publishers } from "../start-tab-relay.ts"
import type { Folders } from "../store/paths.ts"
import { parseAddress } from "../transport/address.ts"
import { isLoopback } from "../transport/loopback.ts"
import type { FlagReader, Flags } from "./flags.ts"
import { ownUrl } from "./own-url.ts"

export const relayTabFlags: Flags = {
  "no-tabs": { kind: "switch", env: "RDV_NO_TABS", summary: "Serves no applications and lets no servers in tabs in" },
  "tab-publish": {
    kind: "text",
    value: "tokens|anybody|nobody",
    env: "RDV_TAB_PUBLISH",
    summary: "Who publishes applications; default: who has a token, with --open anybody",
  },
  "tab-names": {
    kind: "text",
    value: "N",
    env: "RDV_TAB_NAMES",
    summary: "How many names one server in a tab may have",
    default: "3",
  },
  stun: {
    kind: "text",
    value: "HOST:PORT|off",
    env: "RDV_STUN",
    summary: "UDP address where peers learn where they are; default: the first address beyond loopback, else off",
  },
}

export interface TabFlags {
  readonly publishers: Publishers | undefined
  readonly namesPerKey: number
  /** Undefined: where the relay listens, when that is not loopback. */
  readonly stun: "off" | { readonly host: string; readonly port: number } | undefined
}

/** Undefined: it has nothing to do with tabs. Throws `usage`. */
export function readTabFlags(flags: FlagReader): TabFlags | undefined {
  if (flags.on("no-tabs")) return undefined
  return {
    publishers: flags.choice("tab-publish", ["tokens", "anybody", "nobody"]),
    namesPerKey: flags.whole("tab-names", 1, 1_000) as number,
    stun: readStun(flags.text("stun")),
  }
}

export interface RelayTabsOptions {
  readonly domain: string
  readonly publicUrl: string | undefined
  readonly open: boolean
  readonly at: Folders
  readonly log: Log
}

/** Rejects when STUN cannot be answered where the user wants it; the relay is stopped then. */
export async function startRelayTabs(
  running: RunningRelay,
  { domain, publicUrl, open, at, log }: RelayTabsOptions,
  tabs: TabFlags | undefined,
): Promise<TabService | undefined> {
  if (tabs === undefined) return undefined
  const options = {
    url: ownUrl(running.addresses, { domain, publicUrl }),
    domain,
    folder: join(at.data, "tab-apps"),
    open,
    publishers: tabs.publishers ?? (open ? "anybody" : "tokens"),
    limits: { namesPerKey: tabs.namesPerKey },
  } as const
  const { stun } = tabs
  try {
    if (stun !== undefined) return await startTabRelay(running, { ...options, ...(stun !== "off" && { stun }) })
    const nearby = publicAddress(running)
    try {
      return await startTabRelay(running, { ...options, ...(nearby !== undefined && { stun: nearby }) })
    } catch (error) {
      // Nobody asked for it: what else uses the UDP port, HTTP/3 for example, is no reason to serve nothing.
      if (nearby === undefined || asRdvError(error).code !== "in_use") throw error
      log.warn("tab.no_stun", { reason: asRdvError(error).message })
      return await startTabRelay(running, options)
    }
  } catch (error) {
    await running.stop()
    throw error
  }
}

/** The first one that others reach. */
function publicAddress({ addresses }: RunningRelay): { host: string; port: number } | undefined {
  for (const address of addresses) {
    if ((address.scheme === "tcp" || address.scheme === "tls") && !isLoopback(address.host)) {
      return { host: address.host, port: address.port }
    }
  }
  return undefined
}

function readStun(text: string | undefined): TabFlags["stun"] {
  if (text === undefined || text === "off") return text
  const address = parseAddress(text, "tcp")
  if (address.scheme === "tcp") return { host: address.host, port: address.port }
  throw new RdvError("usage", `--stun ${JSON.stringify(text)} is no UDP address`, { mend: "write HOST:PORT or off" })
}
