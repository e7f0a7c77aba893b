/** The face for Node: a relay and an agent, wired with sockets, a store and the capabilities that ship. */

import { hostname } from "node:os"
import { readFileSync } from "node:fs"
import { Agent } from "./agent/agent.ts"
import type { UplinkEvent } from "./agent/uplink.ts"
import { systemClock } from "./base/clock.ts"
import { RdvError } from "./base/error.ts"
import type { Log } from "./base/log.ts"
import { createScope } from "./base/scope.ts"
import type { Scope } from "./base/scope.ts"
import { defaultLimits } from "./mux/limits.ts"
import type { SessionLimits } from "./mux/limits.ts"
import type { Link } from "./mux/link.ts"
import { watchNetwork } from "./observe/network-watch.ts"
import { openDoor } from "./relay/front-door.ts"
import type { Door } from "./relay/front-door.ts"
import { trustedProxies } from "./relay/ingress/trusted-proxies.ts"
import { defaultRelayLimits } from "./relay/limits.ts"
import type { RelayLimits } from "./relay/limits.ts"
import { Relay } from "./relay/relay.ts"
import type { DoorTls } from "./relay/tls-door.ts"
import { nodeRuntime } from "./runtime.ts"
import { openSqliteStore } from "./store/sqlite-store.ts"
import type { Store } from "./store/store.ts"
import { parseAddress, printAddress, printHostPort } from "./transport/address.ts"
import type { Address } from "./transport/address.ts"
import { dial } from "./transport/dial.ts"
import { isLoopback } from "./transport/loopback.ts"
import { nameLookup } from "./transport/name-lookup.ts"
import type { TlsDialLimits } from "./transport/tls.ts"

export * from "./index.ts"
export { startTunnel, tunnel } from "./capabilities/tunnel/capability.ts"
export type { TunnelEvents, TunnelSettings } from "./capabilities/tunnel/capability.ts"
export type { Relay } from "./relay/relay.ts"
export type { RelayLimits } from "./relay/limits.ts"
export { isLoopback } from "./transport/loopback.ts"
export { createLog } from "./observe/log.ts"

/** `rdv/0.1.0`, from the package itself. */
export const version: string = (
  JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
).version

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

export interface StartAgentOptions {
  /** The relay's address; bare `host:port` is TCP. */
  readonly relay: string
  readonly token?: string | undefined
  /** The same over restarts of this installation. */
  readonly instance?: string | undefined
  readonly log: Log
  readonly limits?: Partial<SessionLimits>
  readonly dial?: Partial<TlsDialLimits>
  /** Makes the links in place of dialling the address: to a relay in the same process. */
  readonly connect?: (signal: AbortSignal) => Promise<Link>
  /** Allows a token over a link that anybody on the way can read. */
  readonly tokenInClear?: boolean
  readonly onEvent?: (event: UplinkEvent) => void
}

export interface RunningAgent {
  readonly agent: Agent
  readonly scope: Scope
  /** Takes nothing new, lets what runs finish up to `graceMs`, leaves. */
  stop(graceMs?: number): Promise<void>
}

/** Throws `usage` for an address that is none, or a token that would travel in clear. */
export function startAgent(options: StartAgentOptions): RunningAgent {
  const { log } = options
  const address = parseAddress(options.relay, "tcp")
  if (options.token !== undefined && options.tokenInClear !== true && isReadable(address)) {
    throw new RdvError("usage", `A token for ${printAddress(address)} would travel in clear`, {
      mend: "use tls://, https:// or wss://, or say --token-in-clear",
    })
  }
  const scope = rootScope("agent", log)
  const limits = { ...defaultLimits, ...options.limits }
  const lookup = nameLookup()
  const agent = new Agent({
    scope,
    runtime: nodeRuntime(log),
    limits,
    dial: options.connect ?? ((signal) => dial(address, { timeoutMs: dialMs, lookup, ...options.dial, signal })),
    relay: printAddress(address),
    token: options.token,
    agent: `rdv/${version} (${hostname()}; node ${process.versions.node}; ${process.platform})`.slice(0, 128),
    instance: options.instance,
    ...(options.onEvent !== undefined && { onEvent: options.onEvent }),
  })
  agent.start()
  const unwatch = watchNetwork({
    clock: systemClock,
    onChange: (reason) => {
      log.info("network.changed", { reason })
      agent.refresh()
    },
  })
  scope.onEnd(unwatch)
  return {
    agent,
    scope,
    async stop(graceMs = 0) {
      await agent.drain(graceMs)
      await scope.stop()
    },
  }
}

/** A relay that does not answer is tried again after this, ms. */
const dialMs = 10_000

function rootScope(name: string, log: Log): Scope {
  return createScope({
    name,
    clock: systemClock,
    onFailure: (scope, task, error) => {
      log.error("task.failed", { scope, task, reason: error instanceof Error ? error.message : String(error) })
    },
  })
}

/** Plain text to somewhere else than this machine. */
function isReadable(address: Address): boolean {
  if (address.scheme !== "tcp" && address.scheme !== "http" && address.scheme !== "ws") return false
  return !isLoopback(address.host)
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
