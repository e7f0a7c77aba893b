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
import type { Target } from "../target/target.ts"
import { TargetSecurity } from "../tls/target-tls.ts"
import { Waker } from "../wake/waker.ts"
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
}

export interface UpstreamOptions {
  readonly target: Target
  readonly app: AppSettings
  readonly surroundings: Surroundings
  /** Its health or its wake state has changed. */
  readonly onChange: () => void
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
  #app: AppSettings
  readonly #name: Name | undefined
  #checker: Checker | undefined
  #waker: Waker | undefined
  #security: { readonly of: TargetSettings["tls"]; readonly security: TargetSecurity } | undefined

  /** Throws `usage` when files of its TLS cannot be used. */
  constructor({ target, app, surroundings, onChange }: UpstreamOptions) {
    this.target = target
    this.#around = surroundings
    this.#onChange = onChange
    this.#app = app
    const { address } = target.settings
    if (address.kind === "tcp") this.#name = surroundings.names.open(lookupName(surroundings.resolve(), address))
    this.update(app)
  }

  /** What starts it, when something has to. */
  get waker(): Waker | undefined {
    return this.#waker
  }

  /** False: its name was not answered yet, neither well nor badly; a dial would wait for that. */
  get isResolved(): boolean {
    const name = this.#name
    return name === undefined || name.addresses.length > 0 || name.error !== undefined
  }

  /** The app or the target's own settings have changed. Throws `usage` when files of its TLS cannot be used. */
  update(app: AppSettings): void {
    this.#app = app
    this.#follow(this.target.settings)
    const { wake } = this.target.settings
    if (wake === undefined) {
      void this.#waker?.stop()
      this.#waker = undefined
    } else if (this.#waker === undefined) this.#waker = this.#newWaker(wake)
    else this.#waker.update(wake)
    // What sleeps until somebody comes would be woken, or found dead, by checks.
    const health = wake === undefined ? app.health : undefined
    if (health === undefined) {
      this.#checker?.stop()
      this.#checker = undefined
    } else if (this.#checker === undefined) {
      this.#checker = new Checker({
        target: this.target,
        settings: health,
        clock: this.#around.clock,
        random: this.#around.random,
        connect: (_target, port, signal) => this.#connect(port, signal),
        onVerdict: () => this.#onChange(),
      })
    } else this.#checker.update(health)
  }

  /** A client was joined to it. */
  joined(): void {
    this.#waker?.busy()
  }

  /** That client has gone. */
  left(): void {
    this.#waker?.idle()
  }

  /** It did not take a connection. True: it may have been stopped by somebody else, and can be started. */
  refused(): boolean {
    this.#waker?.refused()
    return this.#waker?.state === "asleep"
  }

  /** Begins with `start` of what it returns. */
  dial(facts: ClientFacts, listener: DialListener): Dial {
    return this.#newDial(facts, listener, { port: undefined, withEvents: false })
  }

  /** Takes no further part; what was started is ended. */
  async stop(): Promise<void> {
    this.#security?.security.stop()
    this.#checker?.stop()
    this.#name?.close()
    await this.#waker?.stop()
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

  #newWaker(settings: NonNullable<Target["settings"]["wake"]>): Waker {
    const { clock, random, log } = this.#around
    const { address } = this.target.settings
    const host = address.kind === "tcp" ? hostPortText(address) : "localhost"
    return new Waker({
      target: this.target,
      settings,
      clock,
      log,
      random: () => random.fraction(),
      probe: probeOver((signal) => this.#connect(undefined, signal), host),
      onState: () => this.#onChange(),
    })
  }

  #newDial(facts: ClientFacts, listener: DialListener, way: Pick<DialOptions, "port" | "withEvents">): Dial {
    const { settings } = this.target
    const { noDelay } = this.#app
    const security = this.#security?.security
    return new Dial({
      settings,
      ...way,
      name: this.#name,
      callAgents: this.#around.callAgents,
      noDelay,
      preamble: settings.proxyProtocol === "off" ? undefined : preambleOf(settings.proxyProtocol, facts),
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
            resolve(stream)
          },
          dialFailed: (detail) => {
            done()
            reject(new RdvError("unreachable", detail))
          },
        },
        { port, withEvents: true },
      )
      signal.addEventListener("abort", onAbort, { once: true })
      dial.start()
    })
  }
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
