/** The face for Node: a relay and an agent, wired with sockets, a store and the capabilities that ship. */

import { systemClock } from "./base/clock.ts"
import type { Log } from "./base/log.ts"
import type { Scope } from "./base/scope.ts"
import { defaultLimits } from "./mux/limits.ts"
import type { SessionLimits } from "./mux/limits.ts"
import { openDoor } from "./relay/front-door.ts"
import type { Door } from "./relay/front-door.ts"
import { trustedProxies } from "./relay/ingress/trusted-proxies.ts"
import { defaultRelayLimits } from "./relay/limits.ts"
import type { RelayLimits } from "./relay/limits.ts"
import { Relay } from "./relay/relay.ts"
import type { DoorTls } from "./relay/tls-door.ts"
import { nodeRuntime } from "./runtime.ts"
import { rootScope } from "./start-agent.ts"
import { openSqliteStore } from "./store/sqlite-store.ts"
import type { Store } from "./store/store.ts"
import { parseAddress, printHostPort } from "./transport/address.ts"
import type { Address } from "./transport/address.ts"

export * from "./index.ts"
export { startTunnel, tunnel } from "./capabilities/tunnel/capability.ts"
export type { TunnelEvents, TunnelSettings } from "./capabilities/tunnel/capability.ts"
export type { Relay } from "./relay/relay.ts"
export type { RelayLimits } from "./relay/limits.ts"
export { startAgent, version } from "./start-agent.ts"
export type { RunningAgent, StartAgentOptions } from "./start-agent.ts"
export { isLoopback } from "./transport/loopback.ts"
export { createLog } from "./observe/log.ts"

export interface StartRelayOptions {
  /** Addresses as `host:port`, `tcp://`, `tls://`, `unix:`; the first TCP or TLS one is what public URLs name. */
  readonly listen: readonly string[]
  /** Routes are names below it. Default `localhost`. */
  readonly domain?: string
  /** Public URLs begin with this instead of what the first address says: behind a proxy that ends TLS. */
  readonly publicUrl?: string
  /** The database file; `:memory:` forgets with the process. */
  readonly store: string
  /** Lets sessions in without a token: all, or those that come from this machine. */
  readonly open?: boolean | "local"
  /**
   * Proxies in front: addresses, networks (`10.0.0.0/8`), `loopback`, `private`. What they say of their visitors in
   * `X-Forwarded-*` and `Forwarded` counts. Default: nobody's word does.
   */
  readonly trustProxy?: readonly string[]
  readonly tls?: DoorTls
  readonly log: Log
  readonly limits?: Partial<RelayLimits>
  readonly sessionLimits?: Partial<SessionLimits>
}

export interface RunningRelay {
  readonly relay: Relay
  readonly scope: Scope
  readonly store: Store
  /** Where it listens, with the ports that were chosen. */
  readonly addresses: readonly Address[]
  /** Shows another certificate from the next handshake on; links and visitors that are there stay. */
  renewTls(tls: DoorTls): void
  /** Takes nothing new, lets what runs finish up to `graceMs`, ends. */
  stop(graceMs?: number): Promise<void>
}

/** Rejects with `usage`, `in_use` when it cannot listen, or what the store throws; nothing is left open then. */
export async function startRelay(options: StartRelayOptions): Promise<RunningRelay> {
  const { log } = options
  const domain = (options.domain ?? "localhost").toLowerCase()
  // Before the store: whoever mistypes an address is left with no file, and nothing is open yet.
  const wanted = options.listen.map((text) => parseAddress(text, "tcp"))
  const trusted = options.trustProxy?.length ? trustedProxies(options.trustProxy) : undefined
  const store = openSqliteStore({ path: options.store, clock: systemClock, log })
  const scope = rootScope("relay", log)
  scope.onEnd(() => store.close())
  const addresses: Address[] = []
  const relay = new Relay({
    scope,
    runtime: nodeRuntime(log),
    store,
    domain,
    tcpHost: hostOf(wanted[0]),
    open: options.open ?? false,
    trusted,
    limits: { ...defaultRelayLimits, ...options.limits },
    sessionLimits: { ...defaultLimits, ...options.sessionLimits },
    httpUrl: (name) => httpUrl(name, domain, options.publicUrl, addresses),
    tcpUrl: (port) => `tcp://${printHostPort(domain, port)}`,
  })
  const doors: Door[] = []
  relay.report("doors", () => doors.map((door) => door.status()))
  try {
    for (const address of wanted) {
      const door = await openDoor(relay, address, options.tls)
      doors.push(door)
      addresses.push(door.address)
    }
  } catch (error) {
    await Promise.all(doors.map((door) => door.close()))
    await scope.stop()
    throw error
  }
  return {
    relay,
    scope,
    store,
    addresses,
    renewTls: (tls) => doors.forEach((door) => door.renew(tls)),
    async stop(graceMs = 0) {
      const waiting = () => doors.reduce((sum, door) => sum + door.status().waiting, 0)
      await relay.drain(graceMs, async () => void (await Promise.all(doors.map((door) => door.close()))), waiting)
      await scope.stop()
      for (const door of doors) door.cut()
    },
  }
}

/** The interface that public TCP ports share with the first address. */
function hostOf(address: Address | undefined): string {
  return address !== undefined && "host" in address ? address.host : "127.0.0.1"
}

function httpUrl(name: string, domain: string, publicUrl: string | undefined, addresses: readonly Address[]): string {
  if (publicUrl !== undefined) {
    const url = new URL(publicUrl)
    return `${url.protocol}//${name}.${url.host}`
  }
  const address = addresses.find(({ scheme }) => scheme === "tcp" || scheme === "tls")
  if (address === undefined || !("port" in address)) return `http://${name}.${domain}`
  const secure = address.scheme === "tls"
  const port = address.port === (secure ? 443 : 80) ? "" : `:${address.port}`
  return `${secure ? "https" : "http"}://${name}.${domain}${port}`
}
