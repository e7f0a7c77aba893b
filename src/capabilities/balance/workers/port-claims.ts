/**
 * Makes sure that a port is ours before several loops share it or hand it over: with a shared port the system lets another
 * balancer of the same user take half of the connections without a word. So the main thread opens each new port once for itself alone, as
 * it is refused when anybody else has it, and lets the loops have it then.
 */

import type { Clock } from "../../../base/clock.ts"
import type { Log } from "../../../base/log.ts"
import type { ListenerSettings } from "../config/settings.ts"
import { Door } from "../engine/door.ts"
import type { ListenerSnapshot } from "../observe/snapshot.ts"

export interface PortClaimsOptions {
  readonly clock: Clock
  readonly log: Log
  /** A port is ours that was not at the first attempt. */
  readonly onLate: () => void
}

export class PortClaims {
  readonly #options: PortClaimsOptions
  readonly #ours: Set<string> = new Set()
  readonly #doors: Map<string, Door> = new Map()

  constructor(options: PortClaimsOptions) {
    this.#options = options
  }

  /** Addresses that the loops may open. */
  get ours(): ReadonlySet<string> {
    return this.#ours
  }

  /** Those that somebody else has. */
  get waiting(): ListenerSnapshot[] {
    return [...this.#doors.values()].map(({ state }) => state)
  }

  /** Claims these and no others. Resolves when each new one was tried. Never rejects. */
  async follow(ports: ReadonlyMap<string, ListenerSettings>): Promise<void> {
    for (const address of this.#ours) if (!ports.has(address)) this.#ours.delete(address)
    for (const [address, door] of this.#doors) {
      if (ports.has(address)) continue
      this.#doors.delete(address)
      door.close()
    }
    const tried: Promise<boolean>[] = []
    for (const [address, listener] of ports) {
      if (!this.#ours.has(address) && !this.#doors.has(address)) tried.push(this.#claim(address, listener).up)
    }
    await Promise.all(tried)
  }

  stop(): void {
    for (const door of this.#doors.values()) door.close()
  }

  #claim(address: string, listener: ListenerSettings): Door {
    const { clock, log, onLate } = this.#options
    let isLate = false
    const door: Door = new Door({
      host: listener.host,
      port: listener.port,
      clock,
      log,
      noDelay: false,
      shared: false,
      onSocket: (socket) => void socket.destroy(),
      onOpen: () => {
        door.close()
        this.#doors.delete(address)
        this.#ours.add(address)
        if (isLate) onLate()
      },
    })
    this.#doors.set(address, door)
    door.open(listener)
    void door.up.then(() => (isLate = true))
    return door
  }
}
