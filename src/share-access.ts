/**
 * The way of a member to its relay: a session that outlives cuts, and connections of their own for chunks. `share`, `get`
 * and `rdv share status` all come by it.
 */

import { asRdvError, RdvError } from "./base/error.ts"
import { base64url } from "./base/bytes.ts"
import type { JsonObject } from "./base/json.ts"
import type { Log } from "./base/log.ts"
import type { Stream } from "./base/stream.ts"
import type { UplinkEvent } from "./agent/uplink.ts"
import type { SwarmKeys } from "./capabilities/share/code/swarm-keys.ts"
import type { Pipe } from "./base/pipe.ts"
import type { RelayAccess } from "./capabilities/share/peer/relay-access.ts"
import type { SessionLimits } from "./mux/limits.ts"
import { startAgent } from "./node.ts"
import type { RunningAgent } from "./node.ts"
import { parseAddress } from "./transport/address.ts"
import { dial } from "./transport/dial.ts"
import { nameLookup } from "./transport/name-lookup.ts"
import type { TlsDialLimits } from "./transport/tls.ts"

/** Which relay, and who we are there. */
export interface RelayOptions {
  /** `host:port`, `tls://host:port`, `https://…`, `wss://…`, `unix:/path`. */
  readonly relay: string
  /** Default: whoever has a code needs none to receive, and a relay may be open to senders. */
  readonly token?: string | undefined
  /** Allows a token over a link that anybody on the way can read. */
  readonly tokenInClear?: boolean
  /** The same over restarts of this installation; a sender goes on with its code by it. */
  readonly instance?: string | undefined
  /** Authorities, pins and proxies. */
  readonly dial?: Partial<TlsDialLimits>
  /** The first session has to stand within this, ms; later ones are waited for. Default 10 000. */
  readonly firstMs?: number
  /** Of the link to the relay. */
  readonly onLink?: (event: UplinkEvent) => void
}

export interface ShareAccessOptions extends RelayOptions {
  readonly limits?: Partial<SessionLimits>
  readonly log: Log
}

export interface ShareAccess {
  readonly access: RelayAccess
  readonly agent: RunningAgent
  /** Rejects when there will be no session any more: it never came, or the relay refuses us. */
  readonly failed: Promise<never>
  /** Lets what runs finish up to `graceMs`, leaves. */
  stop(graceMs?: number): Promise<void>
}

/** What the relay says of a code. */
const refusals: ReadonlySet<string> = new Set([
  "not_found",
  "expired",
  "removed",
  "closed",
  "rate_limited",
  "claimed",
  "no_service",
])

/** True when the relay answered and the code is what is wrong: `open` tells that, so nobody else need. */
export function isRefusal(event: UplinkEvent): boolean {
  return event.kind === "failed" || (event.kind === "retry" && refusals.has(event.error.code))
}

/** Of a connection for chunks, ms. */
const dialMs = 10_000

/** Who has the code needs no other token. It is no secret for those on the way: they see it in the session as well. */
export function guestToken(swarm: string, { access }: Pick<SwarmKeys, "access">): string {
  return `guest:share/${swarm}:${base64url(access)}`
}

/** Returns at once; the first `open` hears whether the relay is there. Throws `usage` as `startAgent` does. */
export function openShareAccess(options: ShareAccessOptions): ShareAccess {
  const { relay, token, log, onLink, firstMs = 10_000 } = options
  const address = parseAddress(relay, "tcp")
  /** Those who wait for a session. */
  const waiting = new Set<() => void>()
  let failure: RdvError | undefined
  let lastError: RdvError | undefined
  /** The relay is there and lets us not in, as things are. */
  let refusal: RdvError | undefined
  const failed = Promise.withResolvers<never>()
  // Not everybody looks at it.
  failed.promise.catch(() => undefined)
  const wake = () => {
    for (const each of waiting) each()
    waiting.clear()
  }
  const fail = (error: RdvError) => {
    if (failure !== undefined) return
    failure = error
    clearTimeout(first)
    failed.reject(error)
    wake()
  }
  const first = setTimeout(() => fail(unreached(relay, firstMs, lastError)), firstMs)
  const hear = (event: UplinkEvent) => {
    // That a session ends which was ended is no news.
    if (failure?.code === "closed") return
    if (event.kind === "up") {
      clearTimeout(first)
      refusal = undefined
      wake()
    } else if (event.kind === "retry") {
      lastError = event.error
      // Asked again all the same: the share may begin later. Who does not want to wait hears it now.
      if (isRefusal(event)) {
        refusal = event.error
        clearTimeout(first)
        wake()
      }
    } else if (event.kind === "failed") fail(showsToken ? ofToken(event.error) : event.error)
    onLink?.(event)
  }
  const showsToken = token !== undefined && !token.startsWith("guest:")
  const tokenInClear = options.tokenInClear === true || token?.startsWith("guest:") === true
  const { instance, limits } = options
  const running = startAgent({
    relay,
    token,
    log,
    tokenInClear,
    ...(instance !== undefined && { instance }),
    ...(options.dial !== undefined && { dial: options.dial }),
    ...(limits !== undefined && { limits }),
    onEvent: hear,
  })
  const lookup = nameLookup()
  const access: RelayAccess = {
    async open(service: string, header: JsonObject, signal: AbortSignal): Promise<Stream> {
      for (;;) {
        if (failure !== undefined) throw failure
        signal.throwIfAborted()
        try {
          return running.agent.dial(service, { header })
        } catch (thrown) {
          if (asRdvError(thrown).code !== "unreachable") throw thrown
        }
        if (refusal !== undefined) throw refusal
        await woken(waiting, signal)
      }
    },
    // A link is all that a pipe is.
    connect: (signal: AbortSignal): Promise<Pipe> =>
      dial(address, { timeoutMs: dialMs, lookup, ...options.dial, signal }),
  }
  return {
    access,
    agent: running,
    failed: failed.promise,
    async stop(graceMs = 0) {
      fail(new RdvError("closed", "The session to the relay was ended"))
      await running.stop(graceMs)
    },
  }
}

/** What is wrong is the user's token, not the code: it is told as it is. */
function ofToken(error: RdvError): RdvError {
  if (error.code !== "unauthorized") return error
  const mend = error.mend ?? "show another one; who has the code of a share needs none"
  return new RdvError("unauthorized", error.message, { mend, origin: "local", cause: error })
}

function woken(waiting: Set<() => void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      signal.removeEventListener("abort", wake)
      waiting.delete(wake)
      resolve()
    }
    waiting.add(wake)
    signal.addEventListener("abort", wake, { once: true })
  })
}

function unreached(relay: string, ms: number, last: RdvError | undefined): RdvError {
  if (last === undefined) return new RdvError("unreachable", `The relay ${relay} did not answer within ${ms} ms`)
  return new RdvError("unreachable", last.message, { cause: last, ...(last.mend !== undefined && { mend: last.mend }) })
}
