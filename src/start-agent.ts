/** An agent on Node: a session to a relay over real sockets, which follows changes of the network. */

import { readFileSync } from "node:fs"
import { hostname } from "node:os"
import { Agent } from "./agent/agent.ts"
import type { TokenSource, UplinkEvent } from "./agent/uplink.ts"
import { systemClock } from "./base/clock.ts"
import { RdvError } from "./base/error.ts"
import type { Log } from "./base/log.ts"
import { createScope } from "./base/scope.ts"
import type { Scope } from "./base/scope.ts"
import { defaultLimits } from "./mux/limits.ts"
import type { SessionLimits } from "./mux/limits.ts"
import type { Link } from "./mux/link.ts"
import { watchNetwork } from "./observe/network-watch.ts"
import { nodeRuntime } from "./runtime.ts"
import { parseAddress, printAddress } from "./transport/address.ts"
import type { Address } from "./transport/address.ts"
import { dial } from "./transport/dial.ts"
import { isLoopback } from "./transport/loopback.ts"
import { nameLookup } from "./transport/name-lookup.ts"
import type { TlsDialLimits } from "./transport/tls.ts"

/** `rdv/0.1.0`, from the package itself. */
export const version: string = (
  JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as { version: string }
).version

export interface StartAgentOptions {
  /** The relay's address; bare `host:port` is TCP. */
  readonly relay: string
  /** A function makes one for each session: proofs, which are no secret. */
  readonly token?: string | TokenSource | undefined
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
  // What a guest shows opens nothing but what it is a guest of, and what that is made of is sealed.
  const isSecret = typeof options.token === "string" && !options.token.startsWith("guest:")
  if (isSecret && options.tokenInClear !== true && isReadable(address)) {
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

/** A scope whose failures are logged. */
export function rootScope(name: string, log: Log): Scope {
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
