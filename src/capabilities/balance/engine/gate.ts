/**
 * Who comes in at a port, and to which app. Most connections go straight on; where a PROXY header, a server name or TLS
 * stands ahead, that is read first, within a time, and for a bounded number of strangers at once.
 */

import type { Socket } from "node:net"
import type { Clock } from "../../../base/clock.ts"
import { silentLog } from "../../../base/log.ts"
import type { Log } from "../../../base/log.ts"
import { hostPortText } from "../../../config/host-port.ts"
import type { HostPort } from "../../../config/host-port.ts"
import { cutSocket } from "../../../sockets/cut.ts"
import { cutEnd } from "../../../sockets/joint.ts"
import type { JointEnd } from "../../../sockets/joint.ts"
import type { ListenerSettings, ListenerTls } from "../config/settings.ts"
import { recordOf } from "../connection/arrival.ts"
import type { Arrival } from "../connection/arrival.ts"
import { Connection } from "../connection/connection.ts"
import type { Ending } from "../connection/ending.ts"
import { PrefaceReader } from "../connection/preface.ts"
import type { Preface, PrefaceListener, PrefaceWants } from "../connection/preface.ts"
import type { ConnectionRecord } from "../connection/record.ts"
import type { ClientFacts } from "../connection/upstream.ts"
import { clientKey } from "../limit/address.ts"
import { readNetworks } from "../limit/networks.ts"
import type { Networks } from "../limit/networks.ts"
import type { Tiers, TierSigns } from "../limit/tiers.ts"
import { ServerNames } from "../preface/server-names.ts"
import type { ProxyHeader } from "../preface/proxy-header.ts"
import { Termination } from "../tls/termination.ts"
import type { Secured } from "../tls/termination.ts"
import type { App } from "./app.ts"

/** An app that takes connections here. */
export interface Tenant {
  readonly app: App
  readonly listener: ListenerSettings
}

/** What all ports share. */
export interface GateKeeper {
  readonly clock: Clock
  readonly log: Log
  tiers: Tiers
  /** Of all ports: those whose preface is not over, the oldest first. */
  readonly entering: Set<Entering>
  /** So many of these there may be. */
  readonly mostEntering: () => number
  /** Counts one more, until its app tells that it is over. False: there are more than there may be. */
  admit(): boolean
  nextId(): number
  /** Of TLS tickets for an app; undefined: each port has its own. */
  readonly ticketKeys: ((app: string) => Uint8Array) | undefined
}

/** A connection whose preface is read. */
export interface Entering {
  fail(ending: Ending, detail?: string): void
}

export class Gate {
  readonly #keeper: GateKeeper
  readonly #address: string
  readonly #port: number
  #tenants: readonly Tenant[] = []
  /** Everybody comes to it, whatever name they ask for. */
  #only: Tenant | undefined
  #readsHello = false
  #names: ServerNames<Tenant> = new ServerNames([])
  #terminations: Map<App, Termination> = new Map()
  #proxyFrom: Networks | undefined
  /** Their preface is not over. */
  readonly #entrants: Set<Entrant> = new Set()

  constructor(keeper: GateKeeper, address: string, port: number) {
    this.#keeper = keeper
    this.#address = address
    this.#port = port
  }

  /** Whether the files that these name can be used. Throws `usage`. */
  check(listeners: readonly ListenerSettings[]): void {
    const { clock } = this.#keeper
    for (const { tls } of listeners) {
      if (tls !== undefined) new Termination({ settings: tls, clock, log: silentLog }).stop()
    }
  }

  /** Connections that come from now on go by this; it was checked. */
  update(tenants: readonly Tenant[]): void {
    const before = this.#terminations
    this.#terminations = new Map()
    for (const { app, listener } of tenants) {
      if (listener.tls === undefined) continue
      const settings = listener.tls
      const known = before.get(app)
      known?.update(settings)
      this.#terminations.set(app, known ?? this.#newTermination(settings, app))
    }
    for (const [app, termination] of before) if (!this.#terminations.has(app)) termination.stop()
    this.#tenants = tenants
    // Of two certificates for one name the hello tells which kind of key the client takes.
    const several = tenants.some(({ listener }) => (listener.tls?.certificates.length ?? 0) > 1)
    const named = tenants.some(({ listener }) => listener.serverNames.length > 0)
    this.#only = named ? undefined : tenants[0]
    this.#readsHello = named || several
    this.#names = new ServerNames(
      tenants.flatMap((tenant) => tenant.listener.serverNames.map((name) => [name, tenant] as const)),
      tenants.find(({ listener }) => listener.serverNames.length === 0),
    )
    const from = tenants[0]?.listener.proxyFrom ?? []
    this.#proxyFrom = from.length === 0 ? undefined : readNetworks(from)
  }

  get tenants(): readonly Tenant[] {
    return this.#tenants
  }

  /** Reads certificates again. */
  reload(): void {
    for (const termination of this.#terminations.values()) termination.reload()
  }

  /** There are other keys for tickets. */
  changeTickets(): void {
    const { ticketKeys } = this.#keeper
    if (ticketKeys === undefined) return
    for (const [app, termination] of this.#terminations) termination.changeTickets(ticketKeys(app.settings.name))
  }

  look(now: number): void {
    for (const entrant of this.#entrants) entrant.look(now)
  }

  stop(): void {
    for (const termination of this.#terminations.values()) termination.stop()
    for (const entrant of this.#entrants) entrant.fail("stopped")
  }

  /** A new, paused socket. */
  readonly take = (socket: Socket): void => {
    const first = this.#tenants[0]
    const keeper = this.#keeper
    if (first === undefined || socket.remoteAddress === undefined) {
      socket.destroy()
      return
    }
    const now = keeper.clock.now()
    if (!keeper.admit()) {
      socket.on("error", ignore)
      cutSocket(socket)
      const arrival = this.#arrival(socket, now, first, plainFacts(socket), undefined)
      first.app.refused(refusalRecord(arrival, first.app, "limit-total", now))
      return
    }
    const { proxyProtocol } = first.listener
    const reads = proxyProtocol !== "off" || this.#readsHello
    if (reads || this.#terminations.size > 0) new Entrant(this, socket, now, reads).begin()
    else this.enter(first, this.#arrival(socket, now, first, plainFacts(socket), undefined), { stream: socket })
  }

  /** @internal What the rest is for an entrant. */
  wants(socket: Socket): PrefaceWants {
    const proxyHeader = this.#tenants[0]?.listener.proxyProtocol ?? "off"
    const isTrusted = this.#proxyFrom === undefined || this.#proxyFrom.has(socket.remoteAddress ?? "")
    // Nobody else may say who they are.
    const wanted = isTrusted || proxyHeader === "require" ? proxyHeader : "off"
    const other = this.tenantFor(undefined)
    return {
      proxyHeader: wanted,
      hello: this.#readsHello,
      plain: other !== undefined && other.listener.tls === undefined,
    }
  }

  /** @internal */
  mayTell(socket: Socket): boolean {
    return this.#proxyFrom === undefined || this.#proxyFrom.has(socket.remoteAddress ?? "")
  }

  /** @internal No app here takes it, whatever it may say. */
  denies(socket: Socket): boolean {
    return this.#tenants.every(({ app }) => !app.allows(socket.remoteAddress ?? ""))
  }

  /** @internal */
  has(tenant: Tenant): boolean {
    return this.#tenants.some(({ app }) => app === tenant.app)
  }

  /** @internal */
  tenantFor(serverName: string | undefined): Tenant | undefined {
    return this.#only ?? this.#names.find(serverName)
  }

  /** @internal */
  termination(tenant: Tenant): Termination | undefined {
    return this.#terminations.get(tenant.app)
  }

  /** @internal */
  get fallback(): Tenant | undefined {
    return this.#tenants[0]
  }

  /** @internal */
  add(entrant: Entrant): void {
    const { entering, mostEntering } = this.#keeper
    this.#entrants.add(entrant)
    entering.add(entrant)
    if (entering.size <= mostEntering()) return
    // Whoever says nothing must not keep out those who do.
    const [oldest] = entering
    oldest?.fail("preface-timeout", "too many others came meanwhile")
  }

  /** @internal */
  drop(entrant: Entrant): void {
    this.#entrants.delete(entrant)
    this.#keeper.entering.delete(entrant)
  }

  get clock(): Clock {
    return this.#keeper.clock
  }

  /** @internal */
  arrive(
    entrant: { readonly socket: Socket; readonly startedAt: number },
    tenant: Tenant,
    facts: ClientFacts,
    told: Told,
  ): Arrival {
    return this.#arrival(entrant.socket, entrant.startedAt, tenant, facts, told)
  }

  /** @internal */
  enter({ app }: Tenant, arrival: Arrival, client: JointEnd): void {
    const refused = app.refusal(arrival.address, arrival.clientKey)
    if (refused === undefined) app.take(new Connection(app, arrival, client))
    else this.refuse(app, arrival, client, refused, "")
  }

  /** @internal */
  refuse(app: App, arrival: Arrival, client: JointEnd, ending: Ending, detail: string): void {
    client.stream.on("error", ignore)
    cutEnd(client)
    app.refused(refusalRecord(arrival, app, ending, this.#keeper.clock.now(), detail))
  }

  #newTermination(settings: ListenerTls, app: App): Termination {
    const { clock, log, ticketKeys } = this.#keeper
    const { name } = app.settings
    const options = { settings, clock, log: log.with({ app: name }) }
    return new Termination(ticketKeys === undefined ? options : { ...options, ticketKeys: ticketKeys(name) })
  }

  #arrival(socket: Socket, startedAt: number, { app }: Tenant, facts: ClientFacts, told: Told | undefined): Arrival {
    const { clock, tiers } = this.#keeper
    const source = facts.source ?? { host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 }
    const now = clock.now()
    return {
      id: this.#keeper.nextId(),
      listener: this.#address,
      port: this.#port,
      address: source.host,
      clientKey: clientKey(source.host, app.settings.limits.clientPrefix),
      client: hostPortText(source),
      facts,
      tier: tiers.find({ ...told, address: source.host, port: this.#port, serverName: facts.serverName })?.name,
      startedAt,
      wallAt: clock.wall() - (now - startedAt),
      prefaceMs: told === undefined ? undefined : now - startedAt,
    }
  }
}

/** What header and handshake tell for tiers. */
type Told = Pick<TierSigns, "certificate" | "token">

/** A connection whose preface is read. */
class Entrant implements PrefaceListener {
  readonly socket: Socket
  readonly startedAt: number
  readonly #gate: Gate
  readonly #reads: boolean
  #tenant: Tenant | undefined
  #reader: PrefaceReader | undefined
  #header: ProxyHeader | undefined
  #isOver = false

  constructor(gate: Gate, socket: Socket, startedAt: number, reads: boolean) {
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

function plainFacts(socket: Socket): ClientFacts {
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

function refusalRecord(arrival: Arrival, app: App, ending: Ending, now: number, detail = ""): ConnectionRecord {
  return { ...recordOf(arrival, app.settings.name, now), ending, detail }
}

function ignore(): void {
  // Without a listener the process would end; whoever reads the socket hears of it.
}
