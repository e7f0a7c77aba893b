/**
 * What an event loop has in common with others that serve the same apps. A balancer without a team is alone, and nothing
 * of this costs it anything.
 */

import type { LimitSettings } from "../config/settings.ts"
import type { Ejection } from "../guard/outlier.ts"
import type { Clients } from "../limit/client-table.ts"
import type { Seats } from "../limit/seats.ts"
import type { Orders, Target } from "../target/target.ts"
import type { Wakes } from "../wake/waker.ts"

export interface Team {
  /**
   * This loop asks targets about their health, starts them and stops them, and tells the others. The others have it from
   * there.
   */
  readonly isKeeper: boolean
  /** What it has of bandwidth at first, 0 to 1. */
  readonly share: number
  /** A count of all loops together: of everything, of an app, of those that wait for it, of a target of it. */
  seats(kind: SeatKind, app?: string, target?: string): Seats
  clients(app: string, limits: () => LimitSettings): Clients
  /** New connections of an app. */
  rate(app: string, perSecond: number): Rate
  /** Of a connection; no other one in any loop has it. */
  nextId(): number
  /** Starts what another loop starts; asked for where this one is not the keeper. */
  wakes(app: string, target: Target): Wakes
  /** 48 bytes for TLS tickets at the listeners of an app, the same in all loops. */
  ticketKeys(app: string): Uint8Array
  tell(word: Word): void
}

/** With bursts of one second. */
export interface Rate {
  /** False: too many have come lately. */
  take(): boolean
  /** One that was taken is not needed. */
  giveBack(): void
}

export type SeatKind = "all" | "app" | "queue" | "target"

/** What one loop tells the others. */
export type Word =
  | TargetWord
  | { readonly kind: "ejected"; readonly app: string; readonly target: string; readonly ejection: Ejection }
  | { readonly kind: "returned"; readonly app: string; readonly target: string }
  /** There is a place, and some may wait for it elsewhere. */
  | { readonly kind: "freed"; readonly app: string }
  | { readonly kind: "tickets" }

/** What the keeper knows of a target. */
export interface TargetWord {
  readonly kind: "target"
  readonly app: string
  readonly target: string
  readonly orders: Orders
  readonly healthy: boolean
  readonly healthReason: string
  readonly wake: WakeWord | undefined
}

export interface WakeWord {
  readonly state: Wakes["state"]
  readonly watched: boolean
}
