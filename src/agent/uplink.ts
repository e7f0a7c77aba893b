/**
 * Keeps one session to a relay: dials, resumes after a cut, makes a new session when the old one is gone, and backs off
 * while nobody answers. What uses it sees one session after another and never a link.
 */

import { Backoff } from "../base/backoff.ts"
import { fromBase64url } from "../base/bytes.ts"
import { delay } from "../base/clock.ts"
import { asRdvError, RdvError } from "../base/error.ts"
import type { ErrorCode } from "../base/error.ts"
import type { Scope } from "../base/scope.ts"
import type { Stream } from "../base/stream.ts"
import { dialNew, dialResume } from "../mux/handshake.ts"
import type { SessionLimits } from "../mux/limits.ts"
import type { Link } from "../mux/link.ts"
import { Session } from "../mux/session.ts"
import type { SessionRuntime } from "../mux/session.ts"

export interface UplinkOptions {
  readonly scope: Scope
  readonly runtime: SessionRuntime
  readonly limits: SessionLimits
  /** Makes a link to the relay; rejects with `RdvError`. */
  readonly dial: (signal: AbortSignal) => Promise<Link>
  readonly token: string | undefined
  /** Program and version, for people. */
  readonly agent: string
  /** The same over restarts of this installation. */
  readonly instance: string | undefined
  /** The relay calls a service. */
  readonly onStream: (stream: Stream) => void
  /** A session began: the first one, or one after another was lost. */
  readonly onSession: (session: Session) => void
  readonly onEvent?: (event: UplinkEvent) => void
}

export type UplinkEvent =
  /** `again` tells a resumed session from a new one. */
  | { readonly kind: "up"; readonly again: boolean; readonly downMs: number }
  | { readonly kind: "down"; readonly error: RdvError }
  /** An attempt failed; the next comes in `retryMs`. */
  | { readonly kind: "retry"; readonly error: RdvError; readonly retryMs: number }
  /** The relay shuts down or asks us to leave. */
  | { readonly kind: "draining" }
  /** Trying again would not help; the uplink has ended. */
  | { readonly kind: "failed"; readonly error: RdvError }

/** Refusals that only a person can mend. */
const finalCodes: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["unauthorized", "forbidden", "version", "usage"])

export class Uplink {
  readonly #options: UplinkOptions
  #session: Session | undefined
  #secret: Uint8Array = new Uint8Array(0)
  /** Wakes the loop: the link is gone, the session is over, or the network changed. */
  #wake: PromiseWithResolvers<void> = Promise.withResolvers<void>()
  #refresh = false
  #downAt: number | undefined

  constructor(options: UplinkOptions) {
    this.#options = options
  }

  get session(): Session | undefined {
    return this.#session
  }

  start(): void {
    this.#options.scope.run("uplink", () => this.#run())
    this.#options.scope.onEnd(() => this.#session?.close())
  }

  /** Dials a fresh link now, although the old one may live: the network under it has changed. */
  refresh(): void {
    this.#refresh = true
    this.#wake.resolve()
  }

  async #run(): Promise<void> {
    const { scope, runtime } = this.#options
    const backoff = new Backoff({ firstMs: firstRetryMs, maxMs: maxRetryMs })
    while (!scope.stopping.aborted) {
      const session = this.#session
      if (session?.state === "live" && !this.#refresh) {
        await this.#woken()
        continue
      }
      this.#wake = Promise.withResolvers<void>()
      this.#refresh = false
      try {
        await this.#connect()
        backoff.reset()
        this.#downAt = undefined
      } catch (thrown) {
        if (scope.stopping.aborted) return
        const error = asRdvError(thrown)
        if (finalCodes.has(error.code) && error.origin === "remote") {
          this.#options.onEvent?.({ kind: "failed", error })
          this.#session?.close(error.code)
          return
        }
        const retryMs = backoff.next()
        this.#options.onEvent?.({ kind: "retry", error, retryMs })
        // A network that changed meanwhile ends the wait.
        await Promise.race([delay(runtime.clock, retryMs, scope.stopping).catch(() => undefined), this.#wake.promise])
      }
    }
  }

  #woken(): Promise<void> {
    const { stopping } = this.#options.scope
    if (stopping.aborted) return Promise.resolve()
    stopping.addEventListener("abort", () => this.#wake.resolve(), { once: true })
    return this.#wake.promise.then(() => {
      this.#wake = Promise.withResolvers<void>()
    })
  }

  async #connect(): Promise<void> {
    const { runtime, limits, scope } = this.#options
    const link = await this.#options.dial(scope.stopping)
    const session = this.#session
    if (session !== undefined && session.state !== "closed" && !session.draining) {
      try {
        await this.#resume(session, link)
        return
      } catch (thrown) {
        const error = asRdvError(thrown)
        if (error.code !== "unknown_session") throw error
        session.close("expired", "The relay no longer knows the session")
        throw error
      }
    }
    const { welcome, ...ready } = await dialNew(link, runtime, {
      token: this.#options.token,
      agent: this.#options.agent,
      instance: this.#options.instance,
      windowBytes: limits.windowBytes,
      streams: limits.streams,
    })
    const secret = fromBase64url(welcome.secret)
    if (secret?.length !== 32) throw new RdvError("protocol", "The relay's session secret is not 32 bytes")
    this.#secret = secret
    const fresh: Session = new Session({
      id: welcome.session,
      role: "dialer",
      limits: { ...limits, graceMs: welcome.graceMs },
      peer: welcome,
      runtime,
      onStream: this.#options.onStream,
      onSuspended: (error) => this.#down(error),
      onDrain: () => this.#options.onEvent?.({ kind: "draining" }),
      onClosed: (error) => {
        if (this.#session === fresh) this.#down(error ?? new RdvError("closed", "The relay closed the session"))
      },
    })
    this.#session = fresh
    fresh.attachLink(ready.link, 0, ready.checked, ready.early)
    this.#up(false)
    this.#options.onSession(fresh)
  }

  async #resume(session: Session, link: Link): Promise<void> {
    const gone = new RdvError("replaced", "A newer link took over")
    const { peerReceived, checked, early } = await dialResume(link, this.#options.runtime, {
      id: session.id,
      secret: this.#secret,
      freeze: () => {
        session.detachLink(gone)
        return session.received
      },
    })
    session.attachLink(link, peerReceived, checked, early)
    this.#up(true)
  }

  #up(again: boolean): void {
    const downMs = this.#downAt === undefined ? 0 : this.#options.runtime.clock.now() - this.#downAt
    this.#options.onEvent?.({ kind: "up", again, downMs })
  }

  #down(error: RdvError): void {
    if (this.#options.scope.stopping.aborted) return
    this.#downAt ??= this.#options.runtime.clock.now()
    this.#options.onEvent?.({ kind: "down", error })
    this.#wake.resolve()
  }
}

/** The first attempt after a cut is immediate; a relay that is away is asked again this soon, ms. */
const firstRetryMs = 50
/** A relay that comes back is found within this, ms; small enough for people, with jitter large enough for a thousand agents. */
const maxRetryMs = 2_000
