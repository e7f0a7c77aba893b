/**
 * Connections to one local service. An idle one is used again, the latest first, so that the others can go; a service
 * that is asked for more than `most` at once gets the rest one after the other.
 */

import type { Clock, Timer } from "../../base/clock.ts"
import { RdvError } from "../../base/error.ts"
import { connectLocal } from "./connect.ts"
import type { ConnectOptions } from "./connect.ts"
import { LocalConnection } from "./local-connection.ts"
import type { Endpoint } from "./target.ts"

export interface ConnectionPoolOptions {
  readonly clock: Clock
  readonly endpoint: Endpoint
  readonly connect: ConnectOptions
}

/** Who wants a connection. */
export interface ConnectionUser {
  /** A request that may be sent twice gets any idle connection; another one only a connection that was used just now. */
  readonly repeatable: boolean
  connected(connection: LocalConnection): void
  failed(error: RdvError): void
}

/** Below the number of files that a process may have open, with room for the rest. */
const most = 512
/** Node's servers close idle connections after 5 s, most others later: leave before they do, ms. */
const idleMs = 4_000
/** A connection that was used so short a time ago is as good as a new one, ms. */
const freshMs = 500

export class ConnectionPool {
  readonly #options: ConnectionPoolOptions
  /** The latest used last. */
  #idle: { readonly connection: LocalConnection; readonly since: number }[] = []
  /** In the order in which they came. */
  readonly #waiting: Set<ConnectionUser> = new Set()
  #open = 0
  #sweep: Timer | undefined
  #closed = false
  readonly #connecting: Set<() => void> = new Set()

  constructor(options: ConnectionPoolOptions) {
    this.#options = options
  }

  get open(): number {
    return this.#open
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** Calls the user back at once or later. Whoever leaves before calls `withdraw`. */
  acquire(user: ConnectionUser): void {
    const connection = this.#takeIdle(user.repeatable)
    if (connection !== undefined) user.connected(connection)
    else if (this.#open < most) this.connectFor(user)
    else {
      this.#waiting.add(user)
      // Those at rest were too old for it: one of them makes room for a new one.
      this.#idle.shift()?.connection.destroy()
    }
  }

  /** The user does not want a connection any more. */
  withdraw(user: ConnectionUser): void {
    this.#waiting.delete(user)
  }

  /** A new connection for this user, whatever is idle: after an idle one turned out to be dead. */
  connectFor(user: ConnectionUser): void {
    if (this.#closed) {
      user.failed(new RdvError("closed", "the agent is shutting down"))
      return
    }
    this.#open++
    const giveUp = connectLocal(
      this.#options.endpoint,
      this.#options.connect,
      ({ socket, reader }) => {
        this.#connecting.delete(giveUp)
        user.connected(new LocalConnection(socket, reader, this))
      },
      (error) => {
        this.#connecting.delete(giveUp)
        this.#gone()
        user.failed(error)
      },
    )
    this.#connecting.add(giveUp)
  }

  /** The connection is at rest and can serve again. */
  release(connection: LocalConnection): void {
    const next = this.#nextWaiting()
    if (next !== undefined) next.connected(connection)
    else if (this.#closed) connection.destroy()
    else {
      this.#idle.push({ connection, since: this.#options.clock.now() })
      this.#sweep ??= this.#options.clock.after(idleMs, this.#sweepIdle)
    }
  }

  /** The connection is closed; whoever used it knows. */
  closed(connection: LocalConnection): void {
    const at = this.#idle.findIndex((entry) => entry.connection === connection)
    if (at >= 0) this.#idle.splice(at, 1)
    this.#gone()
  }

  close(): void {
    this.#closed = true
    this.#sweep?.cancel()
    for (const giveUp of this.#connecting) giveUp()
    for (const { connection } of this.#idle.splice(0)) connection.destroy()
  }

  #gone(): void {
    this.#open--
    const next = this.#closed ? undefined : this.#nextWaiting()
    if (next !== undefined) this.connectFor(next)
  }

  #nextWaiting(): ConnectionUser | undefined {
    const next = this.#waiting.values().next().value
    if (next !== undefined) this.#waiting.delete(next)
    return next
  }

  #takeIdle(repeatable: boolean): LocalConnection | undefined {
    let latest = this.#idle[this.#idle.length - 1]
    while (latest?.connection.alive === false) {
      this.#idle.pop()
      latest = this.#idle[this.#idle.length - 1]
    }
    if (latest === undefined) return undefined
    if (!repeatable && this.#options.clock.now() - latest.since > freshMs) return undefined
    this.#idle.pop()
    return latest.connection
  }

  readonly #sweepIdle = (): void => {
    this.#sweep = undefined
    const before = this.#options.clock.now() - idleMs
    const old = this.#idle.filter(({ since }) => since <= before)
    this.#idle = this.#idle.filter(({ since }) => since > before)
    for (const { connection } of old) connection.destroy()
    if (this.#idle.length > 0) this.#sweep = this.#options.clock.after(idleMs / 2, this.#sweepIdle)
  }
}
