/**
 * A host by dialling out: it offers services through one session to a relay and calls what the relay knows. It announces
 * again whatever it offers whenever a new session begins.
 */

import { Backoff } from "../base/backoff.ts"
import type { Clock, Timer } from "../base/clock.ts"
import { RdvError } from "../base/error.ts"
import type { Json, JsonObject } from "../base/json.ts"
import type { Log } from "../base/log.ts"
import type { Scope } from "../base/scope.ts"
import type { Stream } from "../base/stream.ts"
import { controlService, passingRefusals, readRelayMessage } from "../host/control.ts"
import { drainSessions } from "../host/drain.ts"
import type { AcceptOptions, CallHandler, DialOptions, Exposed, Exposure, Host, ServiceName } from "../host/host.ts"
import { Services } from "../host/services.ts"
import { checkServiceName } from "../wire/encode.ts"
import type { SessionLimits } from "../mux/limits.ts"
import type { Link } from "../mux/link.ts"
import type { Session } from "../mux/session.ts"
import type { SessionRuntime } from "../mux/session-options.ts"
import { Uplink } from "./uplink.ts"
import type { TokenSource, UplinkEvent } from "./uplink.ts"

export interface AgentOptions {
  readonly scope: Scope
  readonly runtime: SessionRuntime
  readonly limits: SessionLimits
  readonly dial: (signal: AbortSignal) => Promise<Link>
  /** For `status`: where the relay is, without secrets. */
  readonly relay: string
  readonly token?: string | TokenSource | undefined
  readonly agent: string
  readonly instance?: string | undefined
  readonly onEvent?: (event: UplinkEvent) => void
}

interface Announcement {
  readonly id: number
  readonly service: ServiceName
  readonly expose: Exposure
  readonly options: AcceptOptions
  exposed: Exposed | undefined
  /** The relay said a no that trying again does not mend. */
  refused: RdvError | undefined
  /** The relay's last answer was a no that may pass. */
  delayed: { readonly error: RdvError; readonly againAt: number } | undefined
  /** Between announcements that the relay refused for a reason that may pass. */
  readonly backoff: Backoff
  again: Timer | undefined
}

export class Agent implements Host {
  readonly scope: Scope
  readonly log: Log
  readonly clock: Clock
  readonly #options: AgentOptions
  readonly #services: Services
  readonly #uplink: Uplink
  readonly #announcements: Map<number, Announcement> = new Map()
  readonly #reports: Map<string, () => Json> = new Map()
  #control: Stream | undefined
  #nextId = 1

  constructor(options: AgentOptions) {
    this.#options = options
    this.scope = options.scope
    this.log = options.runtime.log
    this.clock = options.runtime.clock
    this.#services = new Services(this.log)
    this.#uplink = new Uplink({
      scope: options.scope,
      runtime: options.runtime,
      limits: options.limits,
      dial: options.dial,
      token: options.token,
      agent: options.agent,
      instance: options.instance,
      onStream: (stream) => this.#services.serve(stream, { peer: options.relay, owner: undefined }),
      onSession: (session) => this.#begin(session),
      onEvent: (event) => {
        this.#tell(event)
        options.onEvent?.(event)
      },
    })
  }

  /** Dials until the scope ends. */
  start(): void {
    this.#uplink.start()
  }

  /** The network under the link has changed: a new link replaces it at once. */
  refresh(): void {
    this.#uplink.refresh()
  }

  accept(service: ServiceName, handle: CallHandler, options: AcceptOptions = {}): void {
    checkServiceName(service)
    this.#services.add(service, handle)
    if (options.expose === undefined) return
    const id = this.#nextId++
    const { expose } = options
    const backoff = new Backoff({ firstMs: firstAgainMs, maxMs: maxAgainMs })
    const state = { exposed: undefined, refused: undefined, delayed: undefined, backoff, again: undefined }
    const announcement: Announcement = { id, service, expose, options, ...state }
    this.#announcements.set(id, announcement)
    this.#announce(announcement)
  }

  dial(service: ServiceName, options: DialOptions = {}): Stream {
    const session = this.#uplink.session
    if (session === undefined) throw new RdvError("unreachable", "There is no session to the relay yet")
    if (session.state === "closed") throw new RdvError("unreachable", "There is no session to the relay any more")
    return session.open(service, options.header ?? {})
  }

  report(name: string, read: () => Json): void {
    this.#reports.set(name, read)
  }

  /** What `rdv status` shows. */
  status(): JsonObject {
    const session = this.#uplink.session
    return {
      role: "agent",
      relay: this.#options.relay,
      session: session === undefined ? null : { ...session.status() },
      limits: { ...this.#options.limits },
      services: [...this.#announcements.values()].map(({ service, exposed, refused, delayed }) => ({
        service,
        url: exposed?.url ?? null,
        refused: refused?.message ?? null,
        delayed: delayed === undefined ? null : this.#delay(delayed),
      })),
      ...Object.fromEntries([...this.#reports].map(([name, read]) => [name, read()])),
    }
  }

  /** Takes no new calls, lets the running ones finish up to `graceMs`, then leaves. */
  async drain(graceMs: number): Promise<void> {
    const session = this.#uplink.session
    if (session === undefined) return
    // The routes stay until the session ends: visitors who come now hear that it is shutting down, not that nobody is there.
    await drainSessions({ clock: this.clock, graceMs, sessions: () => [session] })
    session.close()
  }

  #begin(session: Session): void {
    const control = session.open(controlService, {})
    this.#control = control
    control.attach({
      data: (chunk) => control.consumed(chunk.length),
      meta: (block) => {
        // What an older session has lost is no news for the present one.
        if (this.#control === control) this.#hear(block)
      },
      end: () => undefined,
      drain: () => undefined,
      closed: () => {
        if (this.#control !== control) return
        this.#control = undefined
        for (const { again } of this.#announcements.values()) again?.cancel()
      },
    })
    for (const announcement of this.#announcements.values()) {
      announcement.again?.cancel()
      announcement.backoff.reset()
      if (announcement.refused === undefined) this.#announce(announcement)
    }
  }

  #delay({ error, againAt }: { error: RdvError; againAt: number }): JsonObject {
    const retryMs = Math.max(0, Math.round(againAt - this.clock.now()))
    return { code: error.code, reason: error.message, retryMs }
  }

  #announce({ id, service, expose }: Announcement): void {
    this.#control?.meta({ do: "announce", id, service, expose: { ...expose } })
  }

  #hear(block: JsonObject): void {
    const message = readRelayMessage(block)
    const announcement = this.#announcements.get(message.id)
    if (announcement === undefined) return
    announcement.delayed = undefined
    if (message.do === "exposed") {
      announcement.backoff.reset()
      announcement.exposed = { url: message.url, name: message.name }
      announcement.options.onExposed?.(announcement.exposed)
      return
    }
    const error = new RdvError(message.code, message.reason, { origin: "remote" })
    this.log.warn(message.do === "refused" ? "expose.refused" : "expose.withdrawn", {
      service: announcement.service,
      code: error.code,
      reason: error.message,
    })
    announcement.exposed = undefined
    if (message.do === "refused" && passingRefusals.has(error.code)) {
      announcement.again?.cancel()
      const retryMs = announcement.backoff.next()
      announcement.delayed = { error, againAt: this.clock.now() + retryMs }
      announcement.again = this.clock.after(retryMs, () => this.#announce(announcement))
      announcement.options.onDelayed?.(error, retryMs)
      return
    }
    announcement.refused = error
    announcement.options.onRefused?.(error)
  }

  #tell(event: UplinkEvent): void {
    switch (event.kind) {
      case "up":
        this.log.info(event.again ? "session.resumed" : "session.opened", { downMs: Math.round(event.downMs) })
        return
      case "down":
        this.log.warn("session.down", { code: event.error.code, reason: event.error.message })
        return
      case "retry":
        this.log.info("session.retry", { code: event.error.code, reason: event.error.message, retryMs: event.retryMs })
        return
      case "draining":
        this.log.info("session.draining")
        return
      case "failed":
        this.log.warn("session.refused", { code: event.error.code, reason: event.error.message })
    }
  }
}

/** A refused announcement is made again after this at first, ms. */
const firstAgainMs = 1_000
/** And later no more rarely than this, ms: a port that was freed is found within it. */
const maxAgainMs = 30_000
