/**
 * A page's session to the relay that served it, over a WebSocket. It outlives cuts; when the relay has started anew there
 * is a new one, and what waits for a session gets that.
 */

import { Uplink } from "../../agent/uplink.ts"
import { systemClock } from "../../base/clock.ts"
import { RdvError } from "../../base/error.ts"
import type { JsonObject } from "../../base/json.ts"
import { silentLog } from "../../base/log.ts"
import { createScope } from "../../base/scope.ts"
import type { Scope } from "../../base/scope.ts"
import type { Stream } from "../../base/stream.ts"
import type { RelayAccess } from "../../capabilities/share/peer/relay-access.ts"
import { defaultLimits } from "../../mux/limits.ts"
import type { Session } from "../../mux/session.ts"
import { parseAddress } from "../../transport/address.ts"
import { dialWebSocket } from "../../transport/ws.ts"
import { browserRuntime } from "../browser-runtime.ts"

export interface RelaySessionOptions {
  /** `wss://host:port`. */
  readonly relay: string
  readonly token: string | undefined
  /** Told whenever it changes. */
  readonly onState: (state: RelayState) => void
}

export type RelayState =
  | { readonly kind: "up" }
  /** It is dialled again, for as long as it takes. */
  | { readonly kind: "down"; readonly error: RdvError }
  | { readonly kind: "refused"; readonly error: RdvError }

export class RelaySession implements RelayAccess {
  readonly #scope: Scope
  readonly #uplink: Uplink
  /** Settled while there is a session; rejected when there will be none. */
  #session: PromiseWithResolvers<Session> = Promise.withResolvers<Session>()
  #isSettled = false
  #wasUp = false

  constructor({ relay, token, onState }: RelaySessionOptions) {
    const address = parseAddress(relay)
    this.#session.promise.catch(() => undefined)
    this.#scope = createScope({ name: "page", clock: systemClock, onFailure: () => undefined })
    this.#uplink = new Uplink({
      scope: this.#scope,
      runtime: browserRuntime(silentLog),
      limits: defaultLimits,
      dial: (signal) => dialWebSocket(address, { timeoutMs: dialMs, signal }),
      token,
      agent: "rdv share page",
      instance: undefined,
      onStream: (stream) => stream.reset("no_service"),
      onSession: (session) => {
        if (this.#isSettled) this.#renew()
        this.#isSettled = true
        this.#session.resolve(session)
      },
      onEvent: (event) => {
        if (event.kind === "up") {
          this.#wasUp = true
          onState({ kind: "up" })
        } else if (event.kind === "failed" || (event.kind === "retry" && this.#isFinal(event.error))) {
          if (this.#isSettled) this.#renew()
          this.#isSettled = true
          this.#session.reject(event.error)
          onState({ kind: "refused", error: event.error })
        } else if (event.kind !== "draining") onState({ kind: "down", error: event.error })
      },
    })
    this.#uplink.start()
  }

  async open(service: string, header: JsonObject, signal: AbortSignal): Promise<Stream> {
    for (;;) {
      const session = await orAborted(this.#session.promise, signal)
      if (session.state !== "closed") return session.open(service, header)
      // The relay has lost it; the next one is being made.
      if (this.#uplink.session === session) this.#renew()
    }
  }

  /** The network has changed, or the machine was asleep: finds out at once whether the link still lives. */
  refresh(): void {
    this.#uplink.refresh()
  }

  async close(): Promise<void> {
    await this.#scope.stop()
    if (!this.#isSettled) this.#session.reject(new RdvError("closed"))
  }

  /** Somebody who looks at the page has to know; a relay that has started anew learns of its shares when senders are back. */
  #isFinal({ origin, code }: RdvError): boolean {
    if (origin !== "remote") return false
    if (code === "removed" || code === "expired") return true
    return !this.#wasUp && (code === "not_found" || code === "rate_limited")
  }

  #renew(): void {
    this.#isSettled = false
    this.#session = Promise.withResolvers<Session>()
    this.#session.promise.catch(() => undefined)
  }
}

function orAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error)
    if (signal.aborted) stop()
    signal.addEventListener("abort", stop, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop))
  })
}

const dialMs = 10_000
