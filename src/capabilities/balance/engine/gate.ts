/**
 * Who comes in at a port, and to which app. Most connections go straight on; where a PROXY header, a server name or TLS
 * stands ahead, that is read first, within a time, and for a bounded number of strangers at once.
 */

import type { Socket } from "node:net"
import type { Clock } from "../../../base/clock.ts"
import { silentLog } from "../../../base/log.ts"
import type { Log } from "../../../base/log.ts"
import { hostPortText } from "../../../config/host-port.ts"
import { cutSocket } from "../../../sockets/cut.ts"
import { cutEnd } from "../../../sockets/joint.ts"
import type { JointEnd } from "../../../sockets/joint.ts"
import type { ListenerSettings, ListenerTls } from "../config/settings.ts"
import type { Arrival } from "../connection/arrival.ts"
import { Connection } from "../connection/connection.ts"
import type { Ending } from "../connection/ending.ts"
import type { PrefaceWants } from "../connection/preface.ts"
import type { ClientFacts } from "../connection/upstream.ts"
import { clientKey } from "../limit/address.ts"
import { readNetworks } from "../limit/networks.ts"
import type { Networks } from "../limit/networks.ts"
import type { Tiers } from "../limit/tiers.ts"
import { ServerNames } from "../preface/server-names.ts"
import { Termination } from "../tls/termination.ts"
import type { App } from "./app.ts"
import { Entrant, plainFacts, refusalRecord } from "./entrant.ts"
import type { EntrantGate, Tenant, Told } from "./entrant.ts"

/** What all ports share. */
export interface GateKeeper {
  readonly clock: Clock
  readonly log: Log
  tiers: Tiers
  /** Of all ports: those whose preface is not over, the oldest first. */
  readonly entering: Set<Entrant>
  /** So many of these there may be. */
  readonly mostEntering: () => number
  /** Counts one more, until its app tells that it is over. False: there are more than there may be. */
  admit(): boolean
  nextId(): number
  /** Of TLS tickets for an app; undefined: each port has its own. */
  readonly ticketKeys: ((app: string) => Uint8Array) | undefined
}

export class Gate implements EntrantGate {
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

  // What follows is for entrants.

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

  mayTell(socket: Socket): boolean {
    return this.#proxyFrom === undefined || this.#proxyFrom.has(socket.remoteAddress ?? "")
  }

  denies(socket: Socket): boolean {
    return this.#tenants.every(({ app }) => !app.allows(socket.remoteAddress ?? ""))
  }

  has(tenant: Tenant): boolean {
    return this.#tenants.some(({ app }) => app === tenant.app)
  }

  tenantFor(serverName: string | undefined): Tenant | undefined {
    return this.#only ?? this.#names.find(serverName)
  }

  termination(tenant: Tenant): Termination | undefined {
    return this.#terminations.get(tenant.app)
  }

  get fallback(): Tenant | undefined {
    return this.#tenants[0]
  }

  add(entrant: Entrant): void {
    const { entering, mostEntering } = this.#keeper
    this.#entrants.add(entrant)
    entering.add(entrant)
    if (entering.size <= mostEntering()) return
    // Whoever says nothing must not keep out those who do.
    const [oldest] = entering
    oldest?.fail("preface-timeout", "too many others came meanwhile")
  }

  drop(entrant: Entrant): void {
    this.#entrants.delete(entrant)
    this.#keeper.entering.delete(entrant)
  }

  arrive({ socket, startedAt }: Entrant, tenant: Tenant, facts: ClientFacts, told: Told): Arrival {
    return this.#arrival(socket, startedAt, tenant, facts, told)
  }

  enter({ app }: Tenant, arrival: Arrival, client: JointEnd): void {
    const refused = app.refusal(arrival.address, arrival.clientKey)
    if (refused === undefined) app.take(new Connection(app, arrival, client))
    else this.refuse(app, arrival, client, refused, "")
  }

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

function ignore(): void {
  // Without a listener the process would end; whoever reads the socket hears of it.
}
