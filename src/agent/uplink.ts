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
import type { HandshakeRuntime } from "../mux/handshake.ts"
import type { SessionLimits } from "../mux/limits.ts"
import { handshakeMs } from "../mux/limits.ts"
import type { Link } from "../mux/link.ts"
import { Session } from "../mux/session.ts"
import type { SessionRuntime } from "../mux/session-options.ts"

/** Makes a token for each new session. `refusal` is how the relay refused the last one, when that is why it is asked again. */
export type TokenSource = (refusal: RdvError | undefined) => Promise<string>

export interface UplinkOptions {
  readonly scope: Scope
  readonly runtime: SessionRuntime
  readonly limits: SessionLimits
  /** Makes a link to the relay; rejects with `RdvError`. */
  readonly dial: (signal: AbortSignal) => Promise<Link>
  readonly token: string | TokenSource | undefined
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
  readonly #handshake: HandshakeRuntime
  readonly #backoff: Backoff = new Backoff({ firstMs: firstRetryMs, maxMs: maxRetryMs })
  #session: Session | undefined
  /** What the relay said at the last attempt. */
  #refusal: RdvError | undefined
  #secret: Uint8Array = new Uint8Array(0)
  /** Wakes the loop: the link is gone, the session is over, or the network changed. */
  #wake: PromiseWithResolvers<void> = Promise.withResolvers<void>()
  #refresh = false
  /** A new network may need a moment before it carries anything: until then a refresh that failed is tried again. */
  #refreshUntil = 0
  /** The dial or handshake under way. */
  #attempt: AbortController | undefined
  #downAt: number | undefined

  constructor(options: UplinkOptions) {
    this.#options = options
    const { clock, checksum } = options.runtime
    // A relay that is silent for the dead time is as dead in a handshake as afterwards.
    this.#handshake = { clock, checksum, handshakeMs: Math.min(handshakeMs, options.limits.deadAfterMs) }
  }

  get session(): Session | undefined {
    return this.#session
  }

  start(): void {
    const { scope } = this.#options
    scope.stopping.addEventListener("abort", () => this.#wake.resolve(), { once: true })
    scope.run("uplink", () => this.#run())
    scope.onEnd(() => this.#session?.close())
  }

  /** Dials a fresh link now, although the old one may live: the network under it has changed. */
  refresh(): void {
    this.#refresh = true
    const { runtime, limits } = this.#options
    this.#refreshUntil = runtime.clock.now() + limits.deadAfterMs
    this.#backoff.reset()
    this.#attempt?.abort(new RdvError("link_lost", "The network has changed"))
    this.#wake.resolve()
  }

  async #run(): Promise<void> {
    const { scope, runtime } = this.#options
    while (!scope.stopping.aborted) {
      if (this.#session?.state === "live" && !this.#refresh) {
        await this.#wake.promise
        this.#wake = Promise.withResolvers<void>()
        continue
      }
      this.#wake = Promise.withResolvers<void>()
      if (scope.stopping.aborted) return
      const refreshed = this.#refresh
      this.#refresh = false
      try {
        await this.#connect()
        this.#backoff.reset()
        this.#refusal = undefined
      } catch (thrown) {
        if (scope.stopping.aborted) return
        const error = asRdvError(thrown)
        this.#refusal = error.origin === "remote" ? error : undefined
        if (finalCodes.has(error.code) && error.origin === "remote") {
          this.#options.onEvent?.({ kind: "failed", error })
          this.#session?.close(error.code)
          return
        }
        // The network changed in the middle of the attempt: it says nothing about the next one.
        if (this.#refresh) continue
        // The attempt itself was a long enough pause for the relay, and a network may be back the next moment.
        if (error.code === "timeout") this.#backoff.reset()
        const retryMs = this.#backoff.next()
        this.#options.onEvent?.({ kind: "retry", error, retryMs })
        // A network that changed meanwhile ends the wait.
        await Promise.race([delay(runtime.clock, retryMs, scope.stopping).catch(() => undefined), this.#wake.promise])
        // What is alive after so long was not on the network that went.
        if (refreshed && runtime.clock.now() < this.#refreshUntil) this.#refresh = true
      }
    }
  }

  /** One attempt: the old session on a new link, or a new session. */
  async #connect(): Promise<void> {
    const session = this.#session
    if (session !== undefined && session.state !== "closed") {
      try {
        await this.#onLink((link) => this.#resume(session, link))
        return
      } catch (thrown) {
        const error = asRdvError(thrown)
        if (error.code !== "unknown_session") throw error
        // The relay has answered, so it is there: no reason to wait before the new session.
        session.close("expired", "The relay no longer knows the session")
      }
    }
    await this.#onLink((link) => this.#begin(link))
  }

  /** Dials, and lets the handshake have the link; both end when the scope stops or the network changes. */
  async #onLink(handshake: (link: Link) => Promise<void>): Promise<void> {
    const { stopping } = this.#options.scope
    const attempt = new AbortController()
    const stop = () => attempt.abort(stopping.reason)
    stopping.addEventListener("abort", stop)
    this.#attempt = attempt
    try {
      const link = await this.#options.dial(attempt.signal)
      const cut = () => link.abort(asRdvError(attempt.signal.reason))
      if (attempt.signal.aborted) cut()
      attempt.signal.addEventListener("abort", cut)
      try {
        await handshake(link)
      } finally {
        attempt.signal.removeEventListener("abort", cut)
      }
    } finally {
      stopping.removeEventListener("abort", stop)
      this.#attempt = undefined
    }
  }

  async #begin(link: Link): Promise<void> {
    const { runtime, limits, token } = this.#options
    const { welcome, ...ready } = await dialNew(link, this.#handshake, {
      token: typeof token === "function" ? await token(this.#refusal) : token,
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
    // Told first: bytes that came behind the handshake may already end the link again.
    this.#up(false)
    fresh.attachLink(ready.link, 0, ready.checked, ready.early)
    this.#options.onSession(fresh)
  }

  async #resume(session: Session, link: Link): Promise<void> {
    const gone = new RdvError("replaced", "A newer link took over")
    const { peerReceived, checked, early } = await dialResume(link, this.#handshake, {
      id: session.id,
      secret: this.#secret,
      freeze: () => {
        this.#downAt ??= this.#options.runtime.clock.now()
        session.detachLink(gone)
        return session.received
      },
    })
    // The grace time may have ended during the handshake.
    if (session.state === "closed") throw new RdvError("expired")
    this.#up(true)
    session.attachLink(link, peerReceived, checked, early)
  }

  #up(again: boolean): void {
    const downMs = this.#downAt === undefined ? 0 : this.#options.runtime.clock.now() - this.#downAt
    this.#downAt = undefined
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
/**
 * A relay that comes back is found within this, ms: people wait for it. A thousand agents make it 1,300 attempts a second,
 * each refused by the kernel while nobody listens.
 */
const maxRetryMs = 1_000
