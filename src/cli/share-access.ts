/**
 * The way of a member to its relay: a session that outlives cuts, and connections of their own for chunks. `rdv share`,
 * `rdv get`, `rdv share status` and the programs that use `rdv/share` all come by it.
 */

import { asRdvError, RdvError } from "../base/error.ts"
import { base64url } from "../base/bytes.ts"
import type { JsonObject } from "../base/json.ts"
import type { Log } from "../base/log.ts"
import type { Stream } from "../base/stream.ts"
import type { UplinkEvent } from "../agent/uplink.ts"
import type { SwarmKeys } from "../capabilities/share/code/swarm-keys.ts"
import type { Pipe } from "../capabilities/share/paths/pipe.ts"
import type { RelayAccess } from "../capabilities/share/peer/relay-access.ts"
import type { SessionLimits } from "../mux/limits.ts"
import { startAgent } from "../node.ts"
import type { RunningAgent } from "../node.ts"
import { parseAddress } from "../transport/address.ts"
import { dial } from "../transport/dial.ts"
import { nameLookup } from "../transport/name-lookup.ts"
import type { TlsDialLimits } from "../transport/tls.ts"

export interface ShareAccessOptions {
  readonly relay: string
  readonly token?: string | undefined
  readonly tokenInClear?: boolean
  readonly instance?: string | undefined
  readonly dial?: Partial<TlsDialLimits>
  readonly limits?: Partial<SessionLimits>
  readonly log: Log
  /** The first session has to stand within this, ms; later ones are waited for as long as anybody wants. */
  readonly firstMs: number
  readonly onEvent?: (event: UplinkEvent) => void
}

export interface ShareAccess {
  readonly access: RelayAccess
  readonly agent: RunningAgent
  /** Rejects when there will be no session any more: it never came, or the relay refuses us. */
  readonly failed: Promise<never>
  /** Lets what runs finish up to `graceMs`, leaves. */
  stop(graceMs?: number): Promise<void>
}

/** Of a connection for chunks, ms. */
const dialMs = 10_000

/** Who has the code needs no other token. It is no secret for those on the way: they see it in the session as well. */
export function guestToken(swarm: string, { access }: Pick<SwarmKeys, "access">): string {
  return `guest:share/${swarm}:${base64url(access)}`
}

/** Returns at once; the first `open` hears whether the relay is there. Throws `usage` as `startAgent` does. */
export function openShareAccess(options: ShareAccessOptions): ShareAccess {
  const { relay, token, log, onEvent } = options
  const address = parseAddress(relay, "tcp")
  /** Those who wait for a session. */
  const waiting = new Set<() => void>()
  let failure: RdvError | undefined
  let lastError: RdvError | undefined
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
  const first = setTimeout(() => fail(unreached(relay, options.firstMs, lastError)), options.firstMs)
  const hear = (event: UplinkEvent) => {
    if (event.kind === "up") {
      clearTimeout(first)
      wake()
    } else if (event.kind === "retry") lastError = event.error
    else if (event.kind === "failed") fail(event.error)
    onEvent?.(event)
  }
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
