/**
 * Visitors of names whose servers take each other's place: a tab that is reloaded is gone for a moment, and a new server
 * comes with a higher epoch. Requests are not sent into a session without a link there, which nobody may ever come back
 * to: they wait here until the name has a server that is there, or are told that it is asleep.
 */

import type { Clock } from "../base/clock.ts"
import type { Store } from "../store/store.ts"
import type { Registry, Route } from "./registry.ts"

export interface WaitingRoomOptions {
  readonly clock: Clock
  readonly registry: Registry
  readonly store: Store
  /** Longest wait, ms. */
  readonly asleepMs: number
}

export class WaitingRoom {
  readonly #options: WaitingRoomOptions
  readonly #waiting: Map<string, Set<() => void>> = new Map()
  /** When names lost their server, oldest first; what is longer ago than `asleepMs` is forgotten. */
  readonly #left: Map<string, number> = new Map()

  constructor(options: WaitingRoomOptions) {
    this.#options = options
  }

  /**
   * How long a request for this name may wait for a server, ms; 0 says that the server has been away for longer. Undefined:
   * it is no name of this kind. Throws what the store throws.
   */
  patienceMs(name: string): number | undefined {
    const { clock, registry, store, asleepMs } = this.#options
    if (registry.findHttp(name)?.epoch !== undefined) return asleepMs
    const leftAt = this.#left.get(name)
    if (leftAt !== undefined) return Math.max(0, leftAt + asleepMs - clock.now())
    return typeof store.claim("http", name)?.epoch === "number" ? 0 : undefined
  }

  /** Calls back whenever the name may have a server again, until the function it returns is called. */
  wait(name: string, wake: () => void): () => void {
    const waiting = this.#waiting.get(name) ?? new Set()
    this.#waiting.set(name, waiting.add(wake))
    return () => {
      waiting.delete(wake)
      if (waiting.size === 0 && this.#waiting.get(name) === waiting) this.#waiting.delete(name)
    }
  }

  /** The name has a server now. */
  came(name: string): void {
    this.#left.delete(name)
    for (const wake of Array.from(this.#waiting.get(name) ?? [])) wake()
  }

  /** The name has none any more. */
  left(name: string): void {
    const now = this.#options.clock.now()
    this.#left.delete(name)
    this.#left.set(name, now)
    for (const [each, at] of this.#left) {
      if (at + this.#options.asleepMs > now) return
      this.#left.delete(each)
    }
  }
}

/** Its server takes no request now, and another one may come in its place. */
export function isAway({ epoch, session }: Route): boolean {
  return epoch !== undefined && (session.state !== "live" || session.draining)
}
