/**
 * One target of one app while we run: what is known of it and what goes on there. Several parts write here, each its own
 * fields: operators and the file, health checks, the outlier guard, wake, the dialler. Policies and metrics read.
 */

import type { Clock } from "../../../base/clock.ts"
import { hostPortText } from "../../../config/host-port.ts"
import type { TargetAddress, TargetSettings } from "../config/settings.ts"
import type { Seats } from "../limit/seats.ts"
import { PeakEwma } from "./peak-ewma.ts"

/** What an operator said. `drain`: nothing new; `disable`: nothing new, and no checks. */
export type Orders = "serve" | "drain" | "disable"

/** Why nothing new goes there, in the order in which it is told. */
export type Obstacle = "disabled" | "draining" | "removed" | "down" | "ejected" | "open" | "weightless" | "full"

export class Target {
  /** Unique in its app: `10.0.0.1:80`, `rdv:web`. */
  readonly name: string
  /** A reload may change all but the address. */
  settings: TargetSettings
  orders: Orders
  /** It is no longer in the file; only what runs is left. */
  removed = false
  /** What the checks say; true as long as there is no word. */
  healthy = true
  /** Why, for people: `HTTP 503`, `connection refused`. */
  healthReason = ""
  /** Clock time of the end of its ejection; 0 while it is not ejected. */
  ejectedUntil = 0
  /** The breaker is open. */
  open = false
  /** Clock time since which it may be used, for slow start; 0 for "long ago". */
  usableSince = 0
  /** Connections that are joined to a client. */
  active = 0
  /** Dials under way. */
  pending = 0
  /** Both, in all event loops; undefined where there is only this one. */
  seats: Seats | undefined
  /** Connect latency, and how it has grown with load. */
  readonly latency: PeakEwma
  /** The shortest connect that was seen lately, ms: how far away it is. */
  distanceMs: number | undefined
  /** What has been, for metrics. */
  readonly totals: TargetTotals = {
    connections: 0,
    connectFailures: 0,
    earlyResets: 0,
    retries: 0,
    ejections: 0,
    checks: 0,
    checkFailures: 0,
    bytesUp: 0,
    bytesDown: 0,
    wakes: 0,
  }

  constructor(settings: TargetSettings, clock: Clock) {
    this.name = addressText(settings.address)
    this.settings = settings
    this.orders = settings.disabled ? "disable" : "serve"
    this.latency = new PeakEwma(clock)
  }

  /** What keeps new connections away, without regard to panic; undefined when nothing does. */
  obstacle(now: number): Obstacle | undefined {
    if (this.removed) return "removed"
    if (this.orders === "disable") return "disabled"
    if (this.orders === "drain") return "draining"
    if (!this.healthy) return "down"
    if (this.ejectedUntil > now) return "ejected"
    if (this.open) return "open"
    if (this.settings.weight === 0) return "weightless"
    if (this.isFull) return "full"
    return undefined
  }

  get isFull(): boolean {
    const { maxConnections } = this.settings
    return maxConnections !== undefined && this.users >= maxConnections
  }

  /** Connections and dials, of all event loops. */
  get users(): number {
    return this.seats === undefined ? this.active + this.pending : this.seats.taken
  }

  /** A dial is under way from now on. False: another event loop has just taken the last place. */
  begin(): boolean {
    if (this.seats !== undefined && !this.seats.take(this.settings.maxConnections)) return false
    this.pending++
    return true
  }

  /** The dial came to nothing. */
  giveUp(): void {
    this.pending--
    this.seats?.give()
  }

  /** A connection is over. */
  leave(): void {
    this.active--
    this.seats?.give()
  }
}

export interface TargetTotals {
  connections: number
  connectFailures: number
  earlyResets: number
  /** Dials that came here because another target had failed. */
  retries: number
  ejections: number
  checks: number
  checkFailures: number
  bytesUp: number
  bytesDown: number
  wakes: number
}

/** `10.0.0.1:80`, `[::1]:80`, `unix:/run/app.sock`, `rdv:web`. */
export function addressText(address: TargetAddress): string {
  switch (address.kind) {
    case "tcp":
      return hostPortText(address)
    case "unix":
      return `unix:${address.path}`
    case "rdv":
      return `rdv:${address.name}`
  }
}
