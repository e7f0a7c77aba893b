/**
 * Bandwidth: of a connection, of a client, of an app, and of all together. Whoever reads from a socket tells how many
 * bytes it has got, and stops reading when it is told so; the bytes it has go on at once, so that nothing is held here.
 * Connections that are not limited have no flow and cost nothing.
 *
 *     const flow = shaper.open({ client, app, tier, direction: "up", resume: () => socket.resume() })
 *     if (flow !== undefined && !flow.spend(bytes)) socket.pause()
 *
 * A cap that several clients share is shared fairly: as much for each client, however many connections it has, by the
 * weight of its tier; what some do not want is shared by the others. A flow passes its limits one after the other,
 * connection, client, app, all; it waits at the first that is exhausted.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import type { AppSettings, Settings, TierSettings } from "../config/settings.ts"
import { Chain, Link } from "../limit/chain.ts"
import type { Demand, Part } from "./cap-parts.ts"
import { Heap } from "./heap.ts"
import { Valve } from "./valve.ts"
import type { Claim, Claimant } from "./valve.ts"

/** What of the settings counts here. */
export interface ShaperSettings extends Pick<Settings, "bandwidth" | "tiers"> {
  readonly apps: readonly Pick<AppSettings, "name" | "bandwidth">[]
}

export interface ShaperOptions {
  readonly clock: Clock
  readonly settings: ShaperSettings
  /** What this event loop has of each cap until `divide` says otherwise, 0 to 1. Default: all. */
  readonly share?: number
}

/** From client to target is `up`. */
export type Direction = "up" | "down"

export interface FlowOptions {
  /** `clientKey`. */
  readonly client: string
  /** Name of its app. */
  readonly app: string
  /** Name of its tier. */
  readonly tier: string | undefined
  readonly direction: Direction
  /** It may read again. Never called while `spend` runs. */
  readonly resume: () => void
}

/** One direction of one connection. */
export interface Flow {
  /**
   * So many bytes were read. False: read no more until `resume`. What was read all the same (it was under way) is told as
   * well. With 0 bytes it asks whether reading may begin.
   */
  spend(bytes: number): boolean
  /** How many bytes should be read at once: less at low rates, so that others get their turn in time. Advice only. */
  readonly piece: number
  readonly isWaiting: boolean
  /** Its connection is over. `resume` is not called any more. */
  close(): void
}

export class Shaper {
  readonly #clock: Clock
  /** The valves that somebody waits for, by when. */
  readonly #due = new Heap<Valve>((a, b) => a.dueAt < b.dueAt)
  #timer: Timer | undefined
  #timerAt = Infinity
  readonly #flows = new Set<ShapedFlow>()
  #all: Caps = noCaps
  #apps = new Map<string, Scope>()
  #tiers = new Map<string, Scope>()
  /** Clients' valves that nobody uses and that are not full: a client that came back would be richer than it was. */
  readonly #emptied = new Chain<ClientValve>()
  /** Of a cap, what this event loop has at first. */
  readonly #firstShare: number
  /** By name of a cap or of a client's rate; where there is none, a cap has the first share, and a client all. */
  readonly #shares = new Map<string, Part>()
  #demandsAt: number

  constructor({ clock, settings, share = 1 }: ShaperOptions) {
    this.#clock = clock
    this.#firstShare = share
    this.#demandsAt = clock.now()
    this.update(settings)
  }

  /** Clients whose rate is known, in both directions, though they may have no connection. For metrics. */
  get remembered(): number {
    let count = 0
    for (const scopes of [this.#apps, this.#tiers]) {
      for (const { clients } of scopes.values()) count += clients.up.size + clients.down.size
    }
    return count
  }

  /** Flows that wait. */
  get waiting(): number {
    let count = 0
    for (const flow of this.#flows) if (flow.isWaiting) count++
    return count
  }

  /**
   * Other limits from now on, also for the flows that are there. Connections that had none have to be opened again to get
   * one (`open` costs nothing where there is still no limit).
   */
  update(settings: ShaperSettings): void {
    const now = this.#clock.now()
    const cap = (old: Valve | undefined, full: number | undefined, name: string) => {
      if (full === undefined) return undefined
      const rate = full * (this.#shares.get(name)?.share ?? this.#firstShare)
      old?.setRate(rate, now)
      const valve = old ?? new Valve(rate, now)
      valve.full = full
      return valve
    }
    const { bandwidth } = settings
    this.#all = { up: cap(this.#all.up, bandwidth.up, "up all"), down: cap(this.#all.down, bandwidth.down, "down all") }
    const apps = new Map<string, Scope>()
    for (const app of settings.apps) {
      const old = this.#apps.get(app.name)
      const { connection, client } = app.bandwidth
      const caps = {
        up: cap(old?.caps.up, app.bandwidth.app.up, `up app ${app.name}`),
        down: cap(old?.caps.down, app.bandwidth.app.down, `down app ${app.name}`),
      }
      const name = `app ${app.name}`
      apps.set(app.name, { name, connection, client, caps, weight: 1, clients: old?.clients ?? noClients() })
    }
    this.#apps = apps
    const tiers = new Map<string, Scope>()
    for (const tier of settings.tiers) tiers.set(tier.name, tierScope(tier, this.#tiers.get(tier.name)))
    this.#tiers = tiers
    for (const flow of this.#flows) flow.claim(this.#claims(flow, flow.options, now), now)
    this.#watch(now)
  }

  /** Undefined: there is no limit for it. */
  open(options: FlowOptions): Flow | undefined {
    const flow = new ShapedFlow(this, options)
    const now = this.#clock.now()
    const claims = this.#claims(flow, options, now)
    if (claims.length === 0) return undefined
    flow.claim(claims, now)
    this.#flows.add(flow)
    return flow
  }

  /** What was used since the last call of what other event loops have a part in. */
  demands(): Demand[] {
    const now = this.#clock.now()
    const seconds = Math.max(0.001, (now - this.#demandsAt) / 1_000)
    this.#demandsAt = now
    const demands: Demand[] = []
    for (const [cap, valve] of this.#shared()) {
      const usage = valve.usage(mostMembers)
      if (usage === undefined) continue
      const { bytes, hungry, members } = usage
      demands.push({ cap, rate: valve.full, used: bytes / seconds, hungry, members })
    }
    return demands
  }

  /** This event loop's parts from now on; of what is not named it has as much as before. */
  divide(parts: readonly Part[]): void {
    const now = this.#clock.now()
    for (const part of parts) {
      if (part.share === 1 && isClientCap(part.cap)) this.#shares.delete(part.cap)
      else this.#shares.set(part.cap, part)
    }
    const named = new Map(parts.map((part) => [part.cap, part]))
    for (const [cap, valve] of this.#shared()) {
      const part = named.get(cap)
      if (part === undefined) continue
      valve.setRate(valve.full * part.share, now)
      valve.split(new Map(part.split))
      if (valve.isWaitedFor) this.wait(valve, now)
    }
  }

  /** Caps, and clients' rates as far as they are used. */
  *#shared(): Iterable<[string, Valve]> {
    if (this.#all.up !== undefined) yield ["up all", this.#all.up]
    if (this.#all.down !== undefined) yield ["down all", this.#all.down]
    for (const scopes of [this.#apps, this.#tiers]) {
      for (const { name, caps, clients } of scopes.values()) {
        for (const direction of ["up", "down"] as const) {
          const cap = caps[direction]
          if (cap !== undefined) yield [`${direction} ${name}`, cap]
          for (const [client, valve] of clients[direction]) {
            if (valve.claims > 0) yield [clientCap(direction, name, client), valve]
          }
        }
      }
    }
  }

  stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#timerAt = Infinity
    for (const flow of this.#flows) flow.close()
  }

  /** @internal Of its flows. */
  get now(): number {
    return this.#clock.now()
  }

  /** @internal Somebody waits there. */
  wait(valve: Valve, now: number): void {
    const dueAt = now + Math.max(tickMs, valve.waitMs(now))
    const isDue = valve.heapIndex >= 0
    if (isDue && dueAt >= valve.dueAt) return
    valve.dueAt = dueAt
    if (isDue) this.#due.move(valve)
    else this.#due.add(valve)
    if (dueAt < this.#timerAt) this.#watch(now)
  }

  /** @internal */
  release(flow: ShapedFlow, claims: readonly Claim[], now: number): void {
    for (const claim of claims) {
      const { valve } = claim
      valve.leave(claim, now)
      if (valve.isWaitedFor) this.wait(valve, now)
      if (valve.claims > 0) continue
      if (valve.heapIndex >= 0) this.#due.remove(valve)
      if (valve instanceof ClientValve) this.#emptied.append(valve.emptied)
    }
    if (flow.isClosed) this.#flows.delete(flow)
    this.#forget(now)
  }

  /** From the narrowest limit to the widest. */
  #claims(flow: ShapedFlow, { client, app, tier, direction }: FlowOptions, now: number): Claim[] {
    const claims: Claim[] = []
    const appScope = this.#apps.get(app)
    const tierScope = tier === undefined ? undefined : this.#tiers.get(tier)
    const weight = tierScope?.weight ?? 1
    const key = tierScope === undefined ? client : `${client} ${tier}`

    const rate = tierScope?.connection[direction] ?? appScope?.connection[direction]
    if (rate !== undefined) {
      flow.own ??= new Valve(rate, now)
      flow.own.setRate(rate, now)
      claims.push(flow.own.join(flow, undefined, 1))
    }
    // A tier's clients have its rate once, over all apps.
    const scope = tierScope?.client[direction] === undefined ? appScope : tierScope
    const clientRate = scope?.client[direction]
    if (scope !== undefined && clientRate !== undefined) {
      const valve = this.#clientValve(scope, direction, key, clientRate, now)
      claims.push(valve.join(flow, undefined, 1))
    }
    const cap = appScope?.caps[direction]
    if (cap !== undefined) claims.push(cap.join(flow, key, weight))
    const all = this.#all[direction]
    if (all !== undefined) claims.push(all.join(flow, key, weight))
    return claims
  }

  #clientValve(scope: Scope, direction: Direction, key: string, full: number, now: number): Valve {
    const valves = scope.clients[direction]
    const part = this.#shares.size === 0 ? undefined : this.#shares.get(clientCap(direction, scope.name, key))
    const rate = full * (part?.share ?? 1)
    let valve = valves.get(key)
    if (valve === undefined) {
      valve = new ClientValve(rate, now, valves, key)
      valves.set(key, valve)
    } else {
      this.#emptied.remove(valve.emptied)
      if (valve.rate !== rate) valve.setRate(rate, now)
    }
    valve.full = full
    return valve
  }

  /** Each that closes lets two others be forgotten, so that nothing has to be swept. */
  #forget(now: number): void {
    for (let looks = 0; looks < 2; looks++) {
      const oldest = this.#emptied.first
      if (oldest === undefined || (!oldest.isFull(now) && this.#emptied.length <= mostEmptied)) return
      this.#emptied.remove(oldest.emptied)
      oldest.siblings.delete(oldest.key)
    }
  }

  #watch(now: number): void {
    const dueAt = this.#due.first?.dueAt ?? Infinity
    if (dueAt === this.#timerAt) return
    this.#timer?.cancel()
    this.#timerAt = dueAt
    this.#timer = dueAt === Infinity ? undefined : this.#clock.after(dueAt - now, () => this.#pump())
  }

  #pump(): void {
    const now = this.#clock.now()
    // Whoever waits anew meanwhile needs no timer of its own: it is set below.
    this.#timerAt = -Infinity
    try {
      for (let valve = this.#due.first; valve !== undefined && valve.dueAt <= now; valve = this.#due.first) {
        this.#due.remove(valve)
        valve.pump(now)
        if (valve.isWaitedFor) this.wait(valve, now)
      }
    } finally {
      this.#watch(now)
    }
  }
}

class ShapedFlow implements Flow, Claimant {
  readonly options: FlowOptions
  /** The connection's own. */
  own: Valve | undefined
  readonly #shaper: Shaper
  #claims: readonly Claim[] = []
  /** Index of the claim that it waits for; -1 while it does not wait. */
  #stage = -1
  #isClosed = false

  constructor(shaper: Shaper, options: FlowOptions) {
    this.#shaper = shaper
    this.options = options
  }

  get isWaiting(): boolean {
    return this.#stage >= 0
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  get piece(): number {
    let least = Infinity
    for (const { valve } of this.#claims) least = Math.min(least, valve.piece)
    return least
  }

  spend(bytes: number): boolean {
    if (this.#isClosed) return true
    const { now } = this.#shaper
    for (const claim of this.#claims) {
      const { valve, paid } = claim
      valve.charge(claim, bytes, now)
      if (paid > bytes && valve.isWaitedFor) this.#shaper.wait(valve, now)
    }
    return this.#stage < 0 && this.#go(0, now)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#stage = -1
    const claims = this.#claims
    this.#claims = []
    this.#shaper.release(this, claims, this.#shaper.now)
  }

  /** Other limits: it gives up its place in the old ones, and waits for the new ones if it waited. */
  claim(claims: readonly Claim[], now: number): void {
    const old = this.#claims
    const waited = this.isWaiting
    this.#claims = claims
    this.#stage = -1
    this.#shaper.release(this, old, now)
    if (waited && this.#go(0, now)) this.options.resume()
  }

  passed(claim: Claim, now: number): void {
    const stage = this.#claims.indexOf(claim)
    if (stage === this.#stage && this.#go(stage + 1, now)) this.options.resume()
  }

  /** Through its limits from this one on, as far as it may. */
  #go(from: number, now: number): boolean {
    for (let at = from; at < this.#claims.length; at++) {
      const claim = this.#claims[at] as Claim
      if (claim.valve.pass(claim, now)) continue
      this.#stage = at
      this.#shaper.wait(claim.valve, now)
      return false
    }
    this.#stage = -1
    return true
  }
}

/** The rate of one client, as long as it has connections or has used it up. */
class ClientValve extends Valve {
  readonly siblings: Map<string, ClientValve>
  readonly key: string
  readonly emptied: Link<ClientValve> = new Link<ClientValve>(this)

  constructor(rate: number, now: number, siblings: Map<string, ClientValve>, key: string) {
    super(rate, now)
    this.siblings = siblings
    this.key = key
  }
}

interface Caps {
  readonly up: Valve | undefined
  readonly down: Valve | undefined
}

const noCaps: Caps = { up: undefined, down: undefined }

/** An app or a tier. */
interface Scope extends Pick<AppSettings["bandwidth"], "connection" | "client"> {
  /** `app web`, `tier gold`. */
  readonly name: string
  readonly caps: Caps
  readonly weight: number
  readonly clients: { readonly up: Map<string, ClientValve>; readonly down: Map<string, ClientValve> }
}

function tierScope({ name, bandwidth, weight }: TierSettings, old: Scope | undefined): Scope {
  const { connection, client } = bandwidth
  return { name: `tier ${name}`, connection, client, caps: noCaps, weight, clients: old?.clients ?? noClients() }
}

function noClients(): Scope["clients"] {
  return { up: new Map(), down: new Map() }
}

function clientCap(direction: Direction, scope: string, client: string): string {
  return `${clientMark}${direction} ${scope}\n${client}`
}

/** Whether a cap is the rate of one client, which is whole where no other event loop knows that client. */
export function isClientCap(cap: string): boolean {
  return cap.startsWith(clientMark)
}

const clientMark = "client "
/** Of a cap, in one report. */
const mostMembers = 1_024
/** Nobody is woken sooner, ms: timers are not finer, and what comes together is done together. */
const tickMs = 1
/** Clients' valves that are remembered without a connection. */
const mostEmptied = 16_384
