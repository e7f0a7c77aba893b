/** Everything that a target needs beside its record: its addresses, its health checks, its start and stop, how it is dialled. */

import type { Duplex } from "node:stream"
import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { Stream } from "../../../base/stream.ts"
import { isDeepStrictEqual } from "node:util"
import { hostPortText } from "../../../config/host-port.ts"
import type { HostPort } from "../../../config/host-port.ts"
import { lookupName } from "../config/resolve.ts"
import type { AppSettings, Settings, TargetSettings } from "../config/settings.ts"
import { Checker } from "../health/checker.ts"
import type { Name, Names } from "../names/names.ts"
import { writeProxyHeader } from "../preface/write-proxy-header.ts"
import type { Team } from "../engine/team.ts"
import type { Target } from "../target/target.ts"
import { TargetSecurity } from "../tls/target-tls.ts"
import { Waker } from "../wake/waker.ts"
import type { Wakes } from "../wake/waker.ts"
import { WarmPool } from "../warm/warm-pool.ts"
import { probeOver } from "../wake/readiness.ts"
import { Dial } from "./dial.ts"
import type { DialListener, DialOptions } from "./dial.ts"

/** What all targets share. */
export interface Surroundings {
  readonly clock: Clock
  /** From 0 up to and without 1. */
  readonly random: { fraction(): number }
  readonly log: Log
  readonly names: Names
  readonly resolve: () => Settings["resolve"]
  /** Reaches private services of agents; undefined: no relay is configured. */
  readonly callAgents: ((name: string) => Stream) | undefined
  /** Undefined: there is only this event loop. */
  readonly team?: Team | undefined
}

export interface UpstreamOptions {
  readonly target: Target
  readonly app: AppSettings
  readonly surroundings: Surroundings
  /** Its health or its wake state has changed. */
  readonly onChange: () => void
  /** A connection that stands ready was made, or could not be made. */
  readonly onWarmed: (ms: number) => void
  readonly onWarmFailed: () => void
}

/** What is told to a target of its client. */
export interface ClientFacts {
  readonly source: HostPort | undefined
  /** Asked for when it is needed: it costs a system call. */
  readonly destination: () => HostPort | undefined
  readonly serverName: string | undefined
  /** What was agreed on with the client; undefined without TLS at our side. */
  readonly alpn: string | undefined
  readonly tls: { readonly version: string | undefined; readonly commonName: string | undefined } | undefined
}

export class Upstream {
  readonly target: Target
  readonly #around: Surroundings
  readonly #onChange: () => void
  readonly #options: UpstreamOptions
  #app: AppSettings
  readonly #name: Name | undefined
  #checker: Checker | undefined
  #wasDown = false
  #waker: Wakes | undefined
  /** Clients that are joined to it. */
  #joined = 0
  /** Of wakers that the settings no longer have; never rejects. */
  #ending: Promise<unknown> = Promise.resolve()
  #warm: WarmPool | undefined
  #security: { readonly of: TargetSettings["tls"]; readonly security: TargetSecurity } | undefined

  /** Throws `usage` when files of its TLS cannot be used. */
  constructor(options: UpstreamOptions) {
    const { target, app, surroundings, onChange } = options
    this.#options = options
    this.target = target
    this.#around = surroundings
    this.#onChange = onChange
    this.#app = app
    const { address } = target.settings
    if (address.kind === "tcp") this.#name = surroundings.names.open(lookupName(surroundings.resolve(), address))
    try {
      this.update(app)
    } catch (error) {
      void this.stop()
      throw error
    }
  }

  /** What starts it, when something has to. */
  get waker(): Wakes | undefined {
    return this.#waker
  }

  /** False: its name was not answered yet, neither well nor badly; a dial would wait for that. */
  get isResolved(): boolean {
    const name = this.#name
    return name === undefined || name.addresses.length > 0 || name.error !== undefined
  }

  /** How many connections stand ready. */
  get warm(): number {
    return this.#warm?.length ?? 0
  }

  /** The app or the target's own settings have changed. Throws `usage` when files of its TLS cannot be used. */
  update(app: AppSettings): void {
    const isReload = app !== this.#app
    this.#app = app
    this.#follow(this.target.settings)
    const { wake } = this.target.settings
    if (wake === undefined) this.#dropWaker()
    else if (this.#waker === undefined) this.#waker = this.#isKeeper ? this.#newWaker(wake) : this.#wakes()
    else this.#waker.update(wake)
    // What sleeps until somebody comes would be woken, or found dead, by checks.
    const health = wake === undefined && this.#isKeeper ? app.health : undefined
    if (health === undefined) this.#dropChecker()
    else if (this.#checker === undefined) {
      this.#checker = new Checker({
        target: this.target,
        settings: health,
        clock: this.#around.clock,
        random: this.#around.random,
        connect: (_target, port, signal) => this.#connect(port, signal),
        onVerdict: (isHealthy, reason) => this.#judged(isHealthy, reason),
      })
    } else this.#checker.update(health)
    this.#followWarm(isReload)
  }

  #judged(isHealthy: boolean, reason: string): void {
    const fields = { app: this.#app.name, target: this.target.name, reason }
    if (!isHealthy) this.#around.log.warn("target.down", fields)
    else if (this.#wasDown) this.#around.log.info("target.up", fields)
    this.#wasDown = !isHealthy
    this.#onChange()
  }

  /** What is known of the target, or whether it may be used, has changed. */
  refresh(): void {
    this.#warm?.refresh()
  }

  /** Nothing more will come: nothing has to stand ready. */
  cool(): void {
    this.#warm?.stop()
    this.#warm = undefined
  }

  /** A client was joined to it. */
  joined(): void {
    this.#joined++
    this.#waker?.busy()
  }

  /** That client has gone. */
  left(): void {
    this.#joined--
    this.#waker?.idle()
    if (this.target.settings.maxConnections !== undefined) this.#warm?.refresh()
  }

  /** It did not take a connection. True: it may have been stopped by somebody else, and can be started. */
  refused(): boolean {
    this.#waker?.refused()
    return this.#waker?.state === "asleep"
  }

  /** Begins with `start` of what it returns. With `anew` nothing that stands ready is taken. */
  dial(facts: ClientFacts, listener: DialListener, { anew = false }: { readonly anew?: boolean } = {}): Dial {
    const mayHaveSpoken = this.#security === undefined || this.#warmsSecured
    const ready = anew ? undefined : this.#warm?.take({ mayHaveSpoken })
    return this.#newDial(facts, listener, { port: undefined, withEvents: false, ready })
  }

  /** Takes no further part; what was started is ended. */
  async stop(): Promise<void> {
    this.cool()
    this.#security?.security.stop()
    this.#checker?.stop()
    this.#name?.close()
    await Promise.all([this.#waker?.stop(), this.#ending])
  }

  reloadFiles(): void {
    this.#security?.security.reload()
  }

  #dropWaker(): void {
    const waker = this.#waker
    this.#waker = undefined
    if (waker !== undefined) this.#ending = Promise.all([this.#ending, waker.stop()])
  }

  /** Nobody would ever take its last verdict back. */
  #dropChecker(): void {
    if (this.#checker === undefined) return
    this.#checker.stop()
    this.#checker = undefined
    this.target.healthy = true
    this.target.healthReason = ""
  }

  #follow({ tls, address }: TargetSettings): void {
    if (isDeepStrictEqual(tls, this.#security?.of)) return
    const { clock, log } = this.#around
    const security =
      tls === undefined
        ? undefined
        : new TargetSecurity({
            settings: tls,
            host: address.kind === "tcp" ? address.host : undefined,
            clock,
            log: log.with({ target: this.target.name }),
          })
    this.#security?.security.stop()
    this.#security = security && { of: tls, security }
  }

  /** Targets are checked and started by one loop for all. */
  get #isKeeper(): boolean {
    return this.#around.team?.isKeeper ?? true
  }

  #wakes(): Wakes | undefined {
    const waker = this.#around.team?.wakes(this.#app.name, this.target)
    for (let count = this.#joined; count > 0; count--) waker?.busy()
    return waker
  }

  #newWaker(settings: NonNullable<Target["settings"]["wake"]>): Waker {
    const { clock, random, log } = this.#around
    const { address } = this.target.settings
    const host = address.kind === "tcp" ? hostPortText(address) : "localhost"
    const waker = new Waker({
      target: this.target,
      settings,
      clock,
      log,
      random: () => random.fraction(),
      probe: probeOver((signal) => this.#connect(undefined, signal), host),
      onState: () => this.#onChange(),
    })
    // Who was there before it is there for it too.
    for (let count = this.#joined; count > 0; count--) waker.busy()
    return waker
  }

  /** TLS can be made before the client is known: neither a header stands ahead of it, nor does the client choose protocols. */
  get #warmsSecured(): boolean {
    const { tls, proxyProtocol } = this.target.settings
    if (tls === undefined || proxyProtocol !== "off") return false
    return tls.alpn !== undefined || this.#app.listeners.every((listener) => (listener.tls?.alpn ?? []).length === 0)
  }

  #followWarm(isReload: boolean): void {
    const { warm, address } = this.target.settings
    // Calls through an agent stand on a link of its own, which is open already.
    if (warm === 0 || address.kind === "rdv") {
      this.cool()
      return
    }
    if (this.#warm !== undefined) {
      if (isReload) this.#warm.clear()
      this.#warm.refresh()
      return
    }
    const { clock, random } = this.#around
    this.#warm = new WarmPool({
      target: this.target,
      clock,
      random,
      dial: (listener) => this.#warmDial(listener),
      mayDial: () => this.#waker === undefined || this.#waker.state === "ready",
      connectMs: () => this.#app.timeouts.connectMs,
      onDialled: this.#options.onWarmed,
      onDialFailed: this.#options.onWarmFailed,
    })
  }

  #warmDial(listener: DialListener): Dial {
    return this.#newDial(nobody, listener, { port: undefined, withEvents: false, isBare: !this.#warmsSecured })
  }

  #newDial(facts: ClientFacts, listener: DialListener, { isBare = false, ...way }: Way): Dial {
    const { settings } = this.target
    const { noDelay } = this.#app
    const security = isBare ? undefined : this.#security?.security
    const version = isBare ? "off" : settings.proxyProtocol
    return new Dial({
      settings,
      ...way,
      name: this.#name,
      callAgents: this.#around.callAgents,
      noDelay,
      preamble: version === "off" ? undefined : preambleOf(version, facts),
      secure: security && ((socket) => security.secure(socket, facts.alpn)),
      listener,
    })
  }

  /** For checks. */
  #connect(port: number | undefined, signal: AbortSignal): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      const onAbort = () => {
        dial.cancel()
        reject(signal.reason as Error)
      }
      const done = () => signal.removeEventListener("abort", onAbort)
      const dial = this.#newDial(
        nobody,
        {
          dialled: ({ stream }) => {
            done()
            // It may break before whoever waits for it hears of it, and then nobody listens yet.
            stream.on("error", ignore)
            resolve(stream)
          },
          dialFailed: (detail, fault) => {
            done()
            reject(new RdvError(fault === "us" ? "limit" : "unreachable", detail))
          },
        },
        { port, withEvents: true },
      )
      signal.addEventListener("abort", onAbort, { once: true })
      dial.start()
    })
  }
}

type Way = Pick<DialOptions, "port" | "withEvents" | "ready"> & {
  /** Nothing is sent ahead, TLS neither. */
  readonly isBare?: boolean
}

/** Checks speak for themselves. */
const nobody: ClientFacts = {
  source: undefined,
  destination: () => undefined,
  serverName: undefined,
  alpn: undefined,
  tls: undefined,
}

function preambleOf(version: "v1" | "v2", { source, destination, serverName, alpn, tls }: ClientFacts): Uint8Array {
  return writeProxyHeader(version, { source, destination: destination(), authority: serverName, alpn, tls })
}

function ignore(): void {
  // Who reads from it hears of its end.
}
