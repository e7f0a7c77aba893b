/**
 * A connection on its way through a gate: its PROXY header, its server name and its handshake are waited for here, until
 * it is handed to an app or is refused. It is over exactly once, however many of these end at the same moment.
 */

import type { Socket } from "node:net"
import type { HostPort } from "../../../config/host-port.ts"
import type { JointEnd } from "../../../sockets/joint.ts"
import type { ListenerSettings } from "../config/settings.ts"
import { recordOf } from "../connection/arrival.ts"
import type { Arrival } from "../connection/arrival.ts"
import type { Ending } from "../connection/ending.ts"
import { PrefaceReader } from "../connection/preface.ts"
import type { Preface, PrefaceListener, PrefaceWants } from "../connection/preface.ts"
import type { ConnectionRecord } from "../connection/record.ts"
import type { ClientFacts } from "../connection/upstream.ts"
import type { TierSigns } from "../limit/tiers.ts"
import type { ProxyHeader } from "../preface/proxy-header.ts"
import type { Secured, Termination } from "../tls/termination.ts"
import type { App } from "./app.ts"

/** An app that takes connections here. */
export interface Tenant {
  readonly app: App
  readonly listener: ListenerSettings
}

/** What header and handshake tell for tiers. */
export type Told = Pick<TierSigns, "certificate" | "token">

/** What an entrant needs of its gate. Tenants may change while it is on its way. */
export interface EntrantGate {
  /** Whoever is refused before it has said whom it wants is counted there. */
  readonly fallback: Tenant | undefined
  add(entrant: Entrant): void
  drop(entrant: Entrant): void
  wants(socket: Socket): PrefaceWants
  /** Whether it may say on whose behalf it comes. */
  mayTell(socket: Socket): boolean
  /** No app here takes it, whatever it may say. */
  denies(socket: Socket): boolean
  /** Whether its app is still here. */
  has(tenant: Tenant): boolean
  tenantFor(serverName: string | undefined): Tenant | undefined
  termination(tenant: Tenant): Termination | undefined
  arrive(entrant: Entrant, tenant: Tenant, facts: ClientFacts, told: Told): Arrival
  enter(tenant: Tenant, arrival: Arrival, client: JointEnd): void
  refuse(app: App, arrival: Arrival, client: JointEnd, ending: Ending, detail: string): void
}

export class Entrant implements PrefaceListener {
  readonly socket: Socket
  readonly startedAt: number
  readonly #gate: EntrantGate
  readonly #reads: boolean
  #tenant: Tenant | undefined
  #reader: PrefaceReader | undefined
  #header: ProxyHeader | undefined
  #isOver = false

  constructor(gate: EntrantGate, socket: Socket, startedAt: number, reads: boolean) {
    this.#gate = gate
    this.socket = socket
    this.startedAt = startedAt
    this.#reads = reads
    this.#tenant = gate.fallback
  }

  begin(): void {
    this.#gate.add(this)
    this.socket.on("error", ignore)
    if (!this.#reads) {
      if (this.#gate.denies(this.socket)) this.fail("denied")
      else this.onPreface({ header: undefined, hello: undefined, rest: Buffer.alloc(0) })
      return
    }
    const wants = this.#gate.wants(this.socket)
    if (wants.proxyHeader === "off" && this.#gate.denies(this.socket)) this.fail("denied")
    else if (wants.proxyHeader === "require" && !this.#gate.mayTell(this.socket)) {
      this.fail("denied", "its PROXY header does not count")
    } else if (wants.proxyHeader === "off" && !wants.hello) {
      this.onPreface({ header: undefined, hello: undefined, rest: Buffer.alloc(0) })
    } else this.#reader = new PrefaceReader(this.socket, wants, this)
  }

  look(now: number): void {
    const prefaceMs = this.#tenant?.app.settings.timeouts.prefaceMs ?? 0
    if (now - this.startedAt >= prefaceMs) this.fail("preface-timeout")
  }

  onPreface({ header, hello, rest }: Preface): void {
    this.#header = header
    const serverName = hello?.serverName
    const tenant = this.#gate.tenantFor(serverName)
    if (tenant === undefined) {
      this.fail("unknown-name", serverName === undefined ? "it names none" : serverName)
      return
    }
    this.#tenant = tenant
    const termination = this.#gate.termination(tenant)
    if (termination === undefined) {
      // What is put back needs no memory of ours later; behind an end nothing can be.
      const first = rest.length > 0 && this.socket.readableEnded ? rest : undefined
      if (rest.length > 0 && first === undefined) this.socket.unshift(rest)
      this.#enter(tenant, { stream: this.socket, first }, this.#facts(hello?.serverName ?? header?.authority))
    } else termination.secure(this.socket, rest, (result) => this.#secured(tenant, result))
  }

  onBadPreface(ending: Ending, detail: string): void {
    this.fail(ending, detail)
  }

  fail(ending: Ending, detail = ""): void {
    if (this.#isOver) return
    this.#over()
    const tenant = this.#tenant as Tenant
    const arrival = this.#gate.arrive(this, tenant, this.#facts(undefined), this.#told(undefined))
    this.#gate.refuse(tenant.app, arrival, { stream: this.socket }, ending, detail)
  }

  #secured(tenant: Tenant, result: Secured): void {
    if (this.#isOver) {
      if (result.ok) result.socket.destroy()
      return
    }
    if (!result.ok) {
      this.fail("tls-failed", result.reason)
      return
    }
    if (!this.#gate.has(tenant)) {
      result.socket.on("error", ignore)
      result.socket.destroy()
      this.fail("stopped", "its app went during the handshake")
      return
    }
    const { serverName, alpn, version, commonName } = result
    const facts = { ...this.#facts(serverName), alpn, tls: { version, commonName } }
    this.#enter(tenant, { stream: result.socket, below: this.socket }, facts)
  }

  #enter(tenant: Tenant, client: JointEnd, facts: ClientFacts): void {
    this.#over()
    this.socket.off("error", ignore)
    const arrival = this.#gate.arrive(this, tenant, facts, this.#told(facts.tls?.commonName))
    this.#gate.enter(tenant, arrival, client)
  }

  #told(commonName: string | undefined): Told {
    const header = this.#header
    return { certificate: commonName ?? header?.tls?.commonName, token: header?.custom }
  }

  #facts(serverName: string | undefined): ClientFacts {
    const own = plainFacts(this.socket)
    const header = this.#header
    return {
      source: header?.source ?? own.source,
      destination: header?.destination === undefined ? own.destination : () => header.destination,
      serverName,
      alpn: undefined,
      tls: undefined,
    }
  }

  #over(): void {
    this.#isOver = true
    this.#reader?.stop()
    this.#gate.drop(this)
  }
}

/** Of a client that comes without a preface. */
export function plainFacts(socket: Socket): ClientFacts {
  return {
    source: endOf(socket.remoteAddress, socket.remotePort),
    destination: () => endOf(socket.localAddress, socket.localPort),
    serverName: undefined,
    alpn: undefined,
    tls: undefined,
  }
}

/** An IPv4 client of a port for both families is one of IPv4. */
function endOf(host: string | undefined, port: number | undefined): HostPort | undefined {
  if (host === undefined || port === undefined) return undefined
  return { host: host.startsWith("::ffff:") ? host.slice(7) : host, port }
}

export function refusalRecord(arrival: Arrival, app: App, ending: Ending, now: number, detail = ""): ConnectionRecord {
  return { ...recordOf(arrival, app.settings.name, now), ending, detail }
}

function ignore(): void {
  // Without a listener the process would end; whoever reads the socket hears of it.
}
