/**
 * The whole of it on one event loop: apps, ports, and what they share. A new configuration is taken over in place: ports
 * that stay keep their sockets, connections that run keep their targets, and a configuration that cannot be used changes
 * nothing.
 */

import { isDeepStrictEqual } from "node:util"
import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Log } from "../../../base/log.ts"
import type { Stream } from "../../../base/stream.ts"
import type { LiveConnection } from "../admin/control.ts"
import { Shaper } from "../bandwidth/shaper.ts"
import type { AppSettings, ListenerSettings, Settings } from "../config/settings.ts"
import type { Ending } from "../connection/ending.ts"
import type { ConnectionRecord } from "../connection/record.ts"
import type { Surroundings } from "../connection/upstream.ts"
import { Tiers } from "../limit/tiers.ts"
import { Names } from "../names/names.ts"
import type { Seats } from "../limit/seats.ts"
import type { AppSnapshot } from "../observe/snapshot.ts"
import type { Target } from "../target/target.ts"
import type { Wakes } from "../wake/waker.ts"
import { App } from "./app.ts"
import { appSnapshot } from "./app-snapshot.ts"
import { Door, doorAddress } from "./door.ts"
import { Gate } from "./gate.ts"
import type { GateKeeper } from "./gate.ts"
import type { Engine } from "./engine.ts"
import type { Team, Word } from "./team.ts"

export interface BalancerOptions {
  readonly settings: Settings
  readonly clock: Clock
  readonly random: { fraction(): number }
  readonly log: Log
  readonly callAgents: ((name: string) => Stream) | undefined
  /** Hears of each connection that is over. */
  readonly onEnded: (record: ConnectionRecord) => void
  /** Other event loops listen on the same ports. */
  readonly shared?: boolean
  /** What it has in common with them. */
  readonly team?: Team | undefined
}

interface Port {
  readonly door: Door
  readonly gate: Gate
}

export class Balancer implements Engine {
  readonly #options: BalancerOptions
  readonly #names: Names
  readonly #shaper: Shaper
  readonly #surroundings: Surroundings
  readonly #keeper: GateKeeper
  #settings: Settings
  #apps: ReadonlyMap<string, App> = new Map()
  /** Apps that the file no longer has, until their last connection is over. */
  readonly #leaving: Set<App> = new Set()
  /** Of apps that are gone: what was started for them ends. */
  readonly #ending: Set<Promise<void>> = new Set()
  #ports: ReadonlyMap<string, Port> = new Map()
  #connections = 0
  /** Of all event loops. */
  readonly #seats: Seats | undefined
  #lastId = 0
  #sweep: Timer | undefined
  #idle: (() => void) | undefined
  /** Its ports are closed for good, whatever becomes of targets. */
  #isStopping = false

  /** Listens at once. Throws `usage` when a file that the settings name cannot be used. */
  constructor(options: BalancerOptions) {
    const { settings, clock, random, log, callAgents, team } = options
    this.#options = options
    this.#settings = settings
    this.#names = new Names({
      clock,
      resolveMs: () => this.#settings.resolveMs,
      resolve: () => this.#settings.resolve,
    })
    this.#shaper = new Shaper({ clock, settings, share: team?.share ?? 1 })
    const resolve = () => this.#settings.resolve
    this.#surroundings = { clock, random, log, names: this.#names, resolve, callAgents, team }
    this.#seats = team?.seats("all")
    this.#keeper = {
      clock,
      log,
      tiers: new Tiers(settings.tiers),
      entering: new Set(),
      mostEntering: () => Math.max(leastEntering, Math.floor((this.#settings.maxConnections ?? mostEntering) / 2)),
      admit: () => this.#admit(),
      nextId: team === undefined ? () => ++this.#lastId : () => team.nextId(),
      ticketKeys: team && ((app) => team.ticketKeys(app)),
    }
    this.#apply(settings)
    this.#sweepLater()
  }

  get settings(): Settings {
    return this.#settings
  }

  /** That run, those that wait too. */
  get connections(): number {
    return this.#connections
  }

  /** Each port once; whether the first attempt to listen went well. */
  async listening(): Promise<readonly { readonly address: string; readonly ok: boolean }[]> {
    return Promise.all(
      [...this.#ports.values()].map(async ({ door }) => ({ address: door.address, ok: await door.up })),
    )
  }

  app(name: string): App {
    const app = this.#apps.get(name)
    if (app !== undefined) return app
    throw new RdvError("usage", `There is no app ${JSON.stringify(name)}`, {
      mend: `apps are ${[...this.#apps.keys()].join(", ")}`,
    })
  }

  targets(app: string): readonly Target[] {
    return this.app(app).pool.targets
  }

  retarget(app: string): void {
    this.app(app).retarget()
  }

  /** What starts a target; undefined when nothing does, or it is not there any more. */
  waker(app: string, target: string): Wakes | undefined {
    const found = this.#apps.get(app)
    const known = found?.pool.targets.find(({ name }) => name === target)
    return known && found?.upstream(known).waker
  }

  /** Another event loop says it. */
  hear(word: Word): void {
    if (word.kind !== "tickets") this.#apps.get(word.app)?.hear(word)
    else for (const { gate } of this.#ports.values()) gate.changeTickets()
  }

  /** What it has used of bandwidth that event loops share; its parts from now on. */
  get bandwidth(): Pick<Shaper, "demands" | "divide"> {
    return this.#shaper
  }

  /** All that another event loop has to know when it begins. */
  words(): Word[] {
    return [...this.#apps.values()].flatMap((app) => app.words())
  }

  /** Takes over another configuration. Throws `usage` when it cannot be used, `closed` while it stops: nothing has changed. */
  update(settings: Settings): void {
    if (this.#isStopping) throw new RdvError("closed", "The balancer is being stopped")
    this.#apply(settings)
  }

  reloadFiles(): readonly string[] {
    for (const { gate } of this.#ports.values()) gate.reload()
    return [...this.#apps.values()].flatMap((app) => app.reloadFiles())
  }

  snapshots(): AppSnapshot[] {
    const now = this.#options.clock.now()
    return [...this.#apps.values()].map((app) =>
      appSnapshot(
        app,
        [...this.#ports.values()]
          .filter(({ gate }) => gate.tenants.some((tenant) => tenant.app === app))
          .map(({ door }) => door.state),
        now,
      ),
    )
  }

  liveConnections(most: number): LiveConnection[] {
    const now = this.#options.clock.now()
    const live: LiveConnection[] = []
    for (const app of this.#everyApp()) {
      for (const connection of app.connections) {
        if (live.length >= most) return live
        live.push(connection.live(now))
      }
    }
    return live
  }

  /** False when there is none of this id. */
  cut(id: number): boolean {
    for (const app of this.#everyApp()) {
      for (const connection of app.connections) {
        if (connection.id !== id) continue
        connection.end("stopped", "an operator cut it")
        return true
      }
    }
    return false
  }

  /** Listens no more; waits for what runs, then cuts it. Never rejects. */
  async stop(graceMs: number): Promise<void> {
    await this.drain(graceMs)
    await Promise.all([...[...this.#everyApp()].map((app) => app.stop("stopped")), ...this.#ending])
    // What was cut is told of when its sockets are closed.
    await this.#untilIdle(mostClosingMs)
    this.#sweep?.cancel()
    this.#names.stop()
    this.#shaper.stop()
  }

  /** Listens no more; waits for what runs. */
  async drain(graceMs: number): Promise<void> {
    this.#isStopping = true
    for (const { door, gate } of this.#ports.values()) {
      door.close()
      gate.stop()
    }
    for (const app of this.#everyApp()) app.cool()
    await this.#untilIdle(graceMs)
  }

  async #untilIdle(mostMs: number): Promise<void> {
    if (this.#connections === 0 || mostMs <= 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#options.clock.after(mostMs, resolve)
    this.#idle = resolve
    await promise
    timer.cancel()
  }

  #apply(settings: Settings): void {
    const before = this.#settings
    const made: App[] = []
    const apps = new Map<string, App>()
    const ports = new Map<string, Port>()
    const plans = planPorts(settings)
    this.#settings = settings
    try {
      for (const app of settings.apps) apps.set(app.name, this.#apps.get(app.name) ?? this.#newApp(app, made))
      for (const app of settings.apps) this.#apps.get(app.name)?.check(app)
      for (const [address, plan] of plans) {
        const port = this.#ports.get(address) ?? this.#newPort(plan)
        port.gate.check(plan.map(({ listener }) => listener))
        ports.set(address, port)
      }
    } catch (error) {
      this.#settings = before
      for (const app of made) void app.stop("stopped")
      throw error
    }
    this.#switch(settings, apps, ports, plans)
  }

  /** Everything was checked. */
  #switch(
    settings: Settings,
    apps: ReadonlyMap<string, App>,
    ports: ReadonlyMap<string, Port>,
    plans: ReadonlyMap<string, readonly PlannedTenant[]>,
  ): void {
    for (const app of settings.apps) {
      const known = this.#apps.get(app.name)
      if (known !== undefined && !isDeepStrictEqual(known.settings, app)) known.update(app)
    }
    for (const [name, app] of this.#apps) {
      if (apps.has(name)) continue
      this.#leaving.add(app)
      app.update({ ...app.settings, listeners: [], targets: [] })
    }
    for (const [address, { door, gate }] of this.#ports) {
      if (ports.has(address)) continue
      door.close()
      gate.stop()
    }
    for (const [address, plan] of plans) {
      ports.get(address)?.gate.update(plan.map(({ app, listener }) => ({ app: apps.get(app.name) as App, listener })))
    }
    this.#apps = apps
    this.#ports = ports
    this.#shaper.update(settings)
    for (const app of apps.values()) for (const connection of app.connections) connection.pace()
    this.#keeper.tiers = new Tiers(settings.tiers)
    for (const { door, gate } of ports.values()) this.#openOrRefuse(door, gate)
    this.#letGo()
  }

  #newApp(settings: AppSettings, made: App[]): App {
    const app = new App({
      settings,
      zone: this.#settings.zone,
      surroundings: this.#surroundings,
      shaper: this.#shaper,
      onEnded: (record) => {
        this.#dismiss(record.ending)
        this.#options.onEnded(record)
      },
      onUsable: (changed) => this.#usableChanged(changed),
    })
    made.push(app)
    return app
  }

  #newPort(plan: readonly PlannedTenant[]): Port {
    const { clock, log, shared = false } = this.#options
    const [{ app, listener }] = plan as [PlannedTenant]
    const { host, port } = listener
    const gate = new Gate(this.#keeper, doorAddress(listener), port)
    const door = new Door({
      host,
      port,
      clock,
      log,
      // Without TLS of ours the joint sees to it.
      noDelay: app.noDelay && plan.some((each) => each.listener.tls !== undefined),
      shared,
      onSocket: gate.take,
    })
    return { door, gate }
  }

  #usableChanged(app: App): void {
    for (const { door, gate } of this.#ports.values()) {
      if (this.#isStopping) break
      if (gate.tenants.some((tenant) => tenant.app === app)) this.#openOrRefuse(door, gate)
    }
    for (const connection of app.connections) connection.retry()
  }

  /** A port that `refuse`s is open as long as one of its apps can take connections. */
  #openOrRefuse(door: Door, { tenants }: Gate): void {
    const [first] = tenants
    if (first === undefined) return
    const isOpen = tenants.some(({ app }) => app.settings.whenDown !== "refuse" || app.isUsable)
    if (isOpen) door.open(first.listener)
    else door.refuse()
  }

  #admit(): boolean {
    const { maxConnections } = this.#settings
    this.#connections++
    if (this.#seats !== undefined) return this.#seats.take(maxConnections)
    return maxConnections === undefined || this.#connections <= maxConnections
  }

  #dismiss(ending: Ending): void {
    this.#connections--
    // It had none.
    if (ending !== "limit-total") this.#seats?.give()
    if (this.#leaving.size > 0) setImmediate(() => this.#letGo())
    if (this.#connections === 0) this.#idle?.()
  }

  #letGo(): void {
    for (const app of this.#leaving) {
      if (!app.isEmpty) continue
      this.#leaving.delete(app)
      const ending = app.stop("stopped").finally(() => this.#ending.delete(ending))
      this.#ending.add(ending)
    }
  }

  *#everyApp(): Iterable<App> {
    yield* this.#apps.values()
    yield* this.#leaving
  }

  #sweepLater(): void {
    const { clock } = this.#options
    this.#sweep = clock.after(sweepMs(this.#settings), () => {
      const now = clock.now()
      for (const app of this.#everyApp()) app.look(now)
      for (const { gate } of this.#ports.values()) gate.look(now)
      // The keeper's have gone elsewhere.
      if (this.#leaving.size > 0) this.#letGo()
      this.#sweepLater()
    })
  }
}

/** Connections whose preface is read: half of all that there may be, but so many in any case. */
const leastEntering = 16
const mostEntering = 65_536

interface PlannedTenant {
  readonly app: AppSettings
  readonly listener: ListenerSettings
}

/** By address; the apps of one in the order of the file. */
function planPorts({ apps }: Settings): ReadonlyMap<string, readonly PlannedTenant[]> {
  const ports = new Map<string, PlannedTenant[]>()
  for (const app of apps) {
    for (const listener of app.listeners) {
      const address = doorAddress(listener)
      const planned = ports.get(address)
      if (planned === undefined) ports.set(address, [{ app, listener }])
      else planned.push({ app, listener })
    }
  }
  return ports
}

/** Sockets that were destroyed are closed within a turn of the event loop or two. */
const mostClosingMs = 1_000

const mostSweepMs = 1_000
const leastSweepMs = 20

/** Time-outs are met within a quarter of the shortest, and within a second. */
function sweepMs({ apps }: Settings): number {
  let shortest = mostSweepMs * 4
  for (const { timeouts, whenDown } of apps) {
    for (const ms of Object.values(timeouts)) if (ms !== undefined) shortest = Math.min(shortest, ms as number)
    if (whenDown === "hold") shortest = Math.min(shortest, 1_000)
  }
  return Math.max(leastSweepMs, Math.min(mostSweepMs, shortest / 4))
}
