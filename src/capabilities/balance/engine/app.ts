/**
 * One app while we run: its targets, its limits, and the connections that it has. What happens to a connection is told
 * here once, and goes on to whom it concerns: guards, counters, the queue.
 */

import { isDeepStrictEqual } from "node:util"
import { Bucket } from "../../../base/bucket.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import type { Log } from "../../../base/log.ts"
import type { Flow, Shaper } from "../bandwidth/shaper.ts"
import type { AppSettings } from "../config/settings.ts"
import type { Arrival } from "../connection/arrival.ts"
import type { Connection } from "../connection/connection.ts"
import type { Ending } from "../connection/ending.ts"
import type { ConnectionRecord } from "../connection/record.ts"
import { Upstream } from "../connection/upstream.ts"
import type { Surroundings } from "../connection/upstream.ts"
import { Breaker } from "../guard/breaker.ts"
import { Outlier } from "../guard/outlier.ts"
import { RetryBudget } from "../guard/retry-budget.ts"
import { Access } from "../limit/access.ts"
import { ClientTable } from "../limit/client-table.ts"
import type { Clients } from "../limit/client-table.ts"
import { OwnSeats } from "../limit/seats.ts"
import type { Seats } from "../limit/seats.ts"
import { WaitQueue } from "../limit/wait-queue.ts"
import { AppStats } from "../observe/app-stats.ts"
import { Pool } from "../pool/pool.ts"
import type { Target } from "../target/target.ts"
import { TargetSecurity } from "../tls/target-tls.ts"
import type { Rate, TargetWord, Word } from "./team.ts"

export interface AppOptions {
  readonly settings: AppSettings
  readonly zone: string | undefined
  readonly surroundings: Surroundings
  readonly shaper: Shaper
  /** A connection is over; its app has counted it. */
  readonly onEnded: (record: ConnectionRecord) => void
  /** Whether it can take connections may have changed. */
  readonly onUsable: (app: App) => void
}

export interface Flows {
  readonly up: Flow | undefined
  readonly down: Flow | undefined
}

export class App {
  readonly clock: Clock
  readonly pool: Pool
  readonly queue: WaitQueue
  readonly breaker: Breaker
  readonly retryBudget: RetryBudget
  readonly stats: AppStats = new AppStats()
  readonly clients: Clients
  /** Connections that are dialled for or joined; those in the queue have none. */
  readonly places: Seats
  readonly #options: AppOptions
  readonly #log: Log
  readonly #outlier: Outlier
  readonly #access: Access
  readonly #upstreams: Map<Target, Upstream> = new Map()
  readonly #connections: Set<Connection> = new Set()
  #settings: AppSettings
  #rate: Rate | undefined
  /** Those in the queues of all event loops; undefined where there is only this one. */
  readonly #queued: Seats | undefined
  /** Of targets that were removed, until their last connection is over. */
  readonly #leaving: Set<Target> = new Set()
  /** Of targets that are gone: what was started for them ends. */
  readonly #ending: Set<Promise<void>> = new Set()
  readonly #drains: Set<Timer> = new Set()

  /** Throws `usage` when a file of its rules cannot be used. */
  constructor(options: AppOptions) {
    const { settings, zone, surroundings } = options
    const { clock, random, log, team } = surroundings
    this.#options = options
    this.#settings = settings
    this.#log = log.with({ app: settings.name })
    this.clock = clock
    this.#access = new Access({ clock, log: this.#log, settings: settings.access })
    this.pool = new Pool({ app: settings, clock, random: () => random.fraction(), zone })
    const limits = () => this.#settings.limits
    this.#queued = team?.seats("queue", settings.name)
    this.queue = new WaitQueue({ clock, limits, seats: this.#queued })
    this.clients = team?.clients(settings.name, limits) ?? new ClientTable({ clock, limits })
    this.places = team?.seats("app", settings.name) ?? new OwnSeats()
    this.#outlier = new Outlier({
      targets: () => this.pool.targets,
      settings: () => this.#settings.outlier,
      clock,
      onChange: (target, event, ejection) => {
        if (ejection !== undefined) {
          const { name } = target
          this.#log.warn(`target.${event}`, {
            target: name,
            ...(event === "ejected" && { forMs: Math.round(ejection.ms) }),
          })
          team?.tell({ kind: event, app: settings.name, target: name, ejection })
        }
        this.#changed()
      },
    })
    this.breaker = new Breaker({
      settings: () => this.#settings.breaker,
      clock,
      onChange: (target, event) => {
        this.#log.info(`breaker.${event}`, { target: target.name })
        this.#changed()
      },
    })
    this.retryBudget = new RetryBudget({ settings: () => this.#settings.retry, clock })
    this.#setRate(settings)
    try {
      for (const target of this.pool.targets) this.#add(target)
    } catch (error) {
      void this.stop("stopped")
      throw error
    }
  }

  get settings(): AppSettings {
    return this.#settings
  }

  get connections(): ReadonlySet<Connection> {
    return this.#connections
  }

  /** Something can be dialled; `refuse` goes by it. */
  get isUsable(): boolean {
    return this.pool.usableCount() > 0 || this.pool.panic
  }

  /** It has as many connections as it may. */
  get isFull(): boolean {
    const { connections } = this.#settings.limits
    return connections !== undefined && this.places.taken >= connections
  }

  /** Nobody is there any more, in whatever event loop; what it has started is not needed. */
  get isEmpty(): boolean {
    const { team } = this.#options.surroundings
    return this.#connections.size === 0 && (team?.isKeeper !== true || this.places.taken === 0)
  }

  upstream(target: Target): Upstream {
    return this.#upstreams.get(target) as Upstream
  }

  allows(address: string): boolean {
    return this.#access.allows(address)
  }

  /** Why a client may not come in; undefined when it may, and then `take` has to follow. */
  refusal(address: string, clientKey: string): Ending | undefined {
    if (!this.#access.allows(address)) return "denied"
    if (this.#rate?.take() === false) return "rate-app"
    const refused = this.clients.admit(clientKey)
    if (refused !== undefined) this.#rate?.giveBack()
    return refused
  }

  /** A connection is here to stay. */
  take(connection: Connection): void {
    this.#connections.add(connection)
    this.stats.began()
    connection.begin()
  }

  /** One that was refused at the door. */
  refused(record: ConnectionRecord): void {
    this.stats.began()
    this.stats.ended(record)
    this.#options.onEnded(record)
  }

  /** It is over, and its place is free. */
  left(connection: Connection, { clientKey }: Arrival, record: ConnectionRecord): void {
    this.#connections.delete(connection)
    this.clients.left(clientKey)
    this.stats.ended(record)
    this.#options.onEnded(record)
    if (this.#leaving.size > 0) this.#letGo()
    this.#serve()
  }

  /** A client was joined to it. `ms`: how long connecting took; undefined when the connection stood ready. */
  connected(target: Target, ms: number | undefined): void {
    if (ms !== undefined) this.#reached(target, ms)
    this.upstream(target).joined()
  }

  /** A dial is no longer pending: there may be room for the next one. */
  dialOver(): void {
    if (this.queue.length > 0) this.queue.serve()
  }

  connectFailed(target: Target): void {
    target.totals.connectFailures++
    this.#outlier.connectFailed(target)
  }

  earlyReset(target: Target): void {
    target.totals.earlyResets++
    this.#outlier.earlyReset(target)
  }

  good(target: Target): void {
    this.#outlier.good(target)
  }

  moved(target: Target, up: number, down: number): void {
    this.stats.bytes(up, down)
    target.totals.bytesUp += up
    target.totals.bytesDown += down
  }

  /** Undefined: nothing limits it. */
  openFlows(
    { clientKey, tier }: Arrival,
    resume: { readonly up: () => void; readonly down: () => void },
  ): Flows | undefined {
    const { shaper } = this.#options
    const of = { client: clientKey, app: this.#settings.name, tier }
    const up = shaper.open({ ...of, direction: "up", resume: resume.up })
    const down = shaper.open({ ...of, direction: "down", resume: resume.down })
    return up === undefined && down === undefined ? undefined : { up, down }
  }

  look(now: number): void {
    for (const connection of this.#connections) connection.look(now)
    if (this.#queued === undefined) return
    // What other event loops have freed.
    if (this.#leaving.size > 0) this.#letGo()
    if (this.queue.length > 0) this.queue.serve()
  }

  /** Whether the files of another configuration can be used. Throws `usage`. */
  check(settings: AppSettings): void {
    const { clock, log } = this.#options.surroundings
    if (!isDeepStrictEqual(settings.access, this.#settings.access)) {
      new Access({ clock, log, settings: settings.access }).stop()
    }
    for (const { tls, address } of settings.targets) {
      if (tls === undefined) continue
      const host = address.kind === "tcp" ? address.host : undefined
      new TargetSecurity({ settings: tls, host, clock, log }).stop()
    }
  }

  /** Takes over another configuration, which was checked. */
  update(settings: AppSettings): void {
    if (!isDeepStrictEqual(settings.access, this.#settings.access)) this.#access.update(settings.access)
    const before = this.#settings
    this.#settings = settings
    const { added, removed, kept } = this.pool.update(settings)
    if (before.limits.newPerSecond !== settings.limits.newPerSecond) this.#setRate(settings)
    for (const target of added) this.#add(target)
    for (const target of kept) this.upstream(target).update(settings)
    for (const target of removed) this.#remove(target)
    this.#changed()
  }

  /** Lists, and what targets' TLS needs. Returns what is wrong with lists. */
  reloadFiles(): readonly string[] {
    for (const upstream of this.#upstreams.values()) upstream.reloadFiles()
    return this.#access.reload()
  }

  /** An operator's word, or a change of a target's settings. */
  retarget(): void {
    for (const target of this.pool.targets) this.upstream(target).update(this.#settings)
    this.#changed()
  }

  /** Another event loop says it. */
  hear(word: Extract<Word, { readonly app: string }>): void {
    if (word.kind === "freed") {
      if (this.queue.length > 0) this.queue.serve()
      return
    }
    const target = this.pool.targets.find(({ name }) => name === word.target)
    if (target === undefined) return
    if (word.kind === "target") this.#hearOf(target, word)
    else {
      const hasChanged =
        word.kind === "ejected" ? this.#outlier.follow(target, word.ejection) : this.#outlier.forgive(target)
      if (hasChanged) this.#changed()
    }
  }

  /** What is known of a target, for other event loops. */
  wordOf({ name, orders, healthy, healthReason }: Target, waker: Upstream["waker"]): TargetWord {
    const wake = waker && { state: waker.state, watched: waker.watched }
    return { kind: "target", app: this.#settings.name, target: name, orders, healthy, healthReason, wake }
  }

  /** All that another event loop has to know when it begins. */
  words(): Word[] {
    const now = this.clock.now()
    const { name: app } = this.#settings
    return this.pool.targets.flatMap((target): Word[] => {
      const word = this.wordOf(target, this.upstream(target).waker)
      const ms = target.ejectedUntil - now
      if (ms <= 0) return [word]
      return [word, { kind: "ejected", app, target: target.name, ejection: { ms, inARow: 1 } }]
    })
  }

  /** Nobody new comes any more. */
  cool(): void {
    for (const upstream of this.#upstreams.values()) upstream.cool()
  }

  /** Cuts what runs, and ends what was started. */
  async stop(ending: Ending): Promise<void> {
    this.queue.clear()
    for (const connection of this.#connections) connection.end(ending)
    this.#outlier.stop()
    this.breaker.stop()
    this.#access.stop()
    for (const timer of this.#drains) timer.cancel()
    await Promise.all([...[...this.#upstreams.values()].map((upstream) => upstream.stop()), ...this.#ending])
  }

  #setRate({ name, limits: { newPerSecond } }: AppSettings): void {
    const { team } = this.#options.surroundings
    this.#rate =
      newPerSecond === undefined ? undefined : (team?.rate(name, newPerSecond) ?? ownRate(this.clock, newPerSecond))
  }

  #add(target: Target): void {
    const options = { target, app: this.#settings, surroundings: this.#options.surroundings }
    const { team } = this.#options.surroundings
    target.seats = team?.seats("target", this.#settings.name, target.name)
    const upstream = new Upstream({
      ...options,
      onChange: () => {
        if (team?.isKeeper === true) team.tell(this.wordOf(target, upstream.waker))
        this.#healthChanged(target)
      },
      onWarmed: (ms) => this.#reached(target, ms),
      onWarmFailed: () => this.connectFailed(target),
    })
    this.#upstreams.set(target, upstream)
  }

  #reached(target: Target, ms: number): void {
    target.latency.add(ms)
    target.distanceMs = target.distanceMs === undefined ? ms : Math.min(ms, target.distanceMs * 1.05)
    this.#outlier.connected(target)
  }

  #remove(target: Target): void {
    this.breaker.forget(target)
    this.#leaving.add(target)
    const { onRemoved, removedDrainMs } = this.#settings
    if (onRemoved === "cut") this.#cutAll(target, "target-removed")
    else if (onRemoved === "drain") this.#cutLater(target, removedDrainMs)
    this.#letGo()
  }

  /** Targets that are gone and have no connection any more need nothing any more. */
  #letGo(): void {
    for (const target of this.#leaving) {
      if (this.#isUsed(target)) continue
      this.#leaving.delete(target)
      const upstream = this.#upstreams.get(target)
      this.#upstreams.delete(target)
      if (upstream === undefined) continue
      const ending = upstream.stop().finally(() => this.#ending.delete(ending))
      this.#ending.add(ending)
    }
  }

  #cutLater(target: Target, ms: number): void {
    const timer = this.clock.after(ms, () => {
      this.#drains.delete(timer)
      this.#cutAll(target, "target-removed")
    })
    this.#drains.add(timer)
  }

  /** The keeper ends what it has started, so it waits for all loops. */
  #isUsed(target: Target): boolean {
    const isKeeper = this.#options.surroundings.team?.isKeeper === true
    return (isKeeper ? target.users : target.active + target.pending) > 0
  }

  /** A place is free: whoever waits longest should have it, also in another event loop; by lot, as nobody knows who it is. */
  #serve(): void {
    const own = this.queue.length
    const all = this.#queued?.taken ?? own
    const { random, team } = this.#options.surroundings
    if (all > own && random.fraction() * all >= own) team?.tell({ kind: "freed", app: this.#settings.name })
    else if (own > 0) this.queue.serve()
  }

  #hearOf(target: Target, { orders, healthy, healthReason }: TargetWord): void {
    const wasHealthy = target.healthy
    target.orders = orders
    target.healthy = healthy
    target.healthReason = healthReason
    if (healthy && !wasHealthy) target.usableSince = this.clock.now()
    this.#healthChanged(target)
  }

  #cutAll(target: Target, ending: Ending): void {
    for (const connection of this.#connections) if (connection.target === target) connection.end(ending)
  }

  #healthChanged(target: Target): void {
    // First, so that whoever gets a place by what is cut is not sent there.
    this.pool.changed()
    if (!target.healthy && this.#settings.onDown === "cut") this.#cutAll(target, "target-down")
    this.#changed()
  }

  #changed(): void {
    this.pool.changed()
    for (const upstream of this.#upstreams.values()) upstream.refresh()
    if (this.queue.length > 0) this.queue.serve()
    this.#options.onUsable(this)
  }
}

/** Of one event loop. */
function ownRate(clock: Clock, perSecond: number): Rate {
  const bucket = new Bucket({ clock, perSecond, size: Math.max(1, perSecond) })
  return { take: () => bucket.take(1), giveBack: () => bucket.spend(-1) }
}
