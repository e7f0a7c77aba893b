/** What the event loop of a thread has in common with the others. */

import { hkdfSync } from "node:crypto"
import type { Team, Word } from "../engine/team.ts"
import { ClientCells } from "../limit/client-cells.ts"
import { Tally } from "../limit/tally.ts"
import type { Target } from "../target/target.ts"
import type { Wakes } from "../wake/waker.ts"
import type { Counters } from "./messages.ts"
import { counterName, Ids, SharedSeats } from "./shared-memory.ts"
import type { SharedMemory } from "./shared-memory.ts"

export interface LoopTeamOptions {
  readonly loop: number
  readonly memory: SharedMemory
  readonly counters: Counters
  readonly ticketSecret: Uint8Array
  readonly tell: (word: Word) => void
  /** Undefined: this loop is the keeper. */
  readonly wakes: ((app: string, target: Target) => Wakes) | undefined
}

export class LoopTeam implements Team {
  readonly isKeeper: boolean
  readonly share: number
  readonly seats: Team["seats"]
  readonly clients: Team["clients"]
  readonly rate: Team["rate"]
  readonly nextId: Team["nextId"]
  readonly wakes: Team["wakes"]
  readonly tell: Team["tell"]
  /** Of the settings that are being taken over. */
  counters: Counters
  ticketSecret: Uint8Array

  constructor({ loop, memory, counters, ticketSecret, tell, wakes }: LoopTeamOptions) {
    const tally = new Tally(memory.cells, memory.tally, loop)
    const cells = new ClientCells(memory.clients, memory.tally.loops, loop)
    const ids = new Ids(memory.ids)
    this.isKeeper = wakes === undefined
    this.share = 1 / Math.max(1, memory.tally.loops - 1)
    this.counters = counters
    this.ticketSecret = ticketSecret
    this.tell = tell
    this.nextId = () => ids.next()
    this.seats = (kind, app, target) => {
      const name = counterName(kind, app, target)
      const place = this.counters.get(name)
      if (place === undefined) throw new Error(`there is no count ${JSON.stringify(name)}`)
      return new SharedSeats(tally, place)
    }
    this.clients = (app, limits) => ({
      admit: (key) => {
        const { perClient, newPerClientPerSecond } = limits()
        return cells.admit(`${app}\n${key}`, { most: perClient, perSecond: newPerClientPerSecond }, sharedNow())
      },
      left: (key) => cells.left(`${app}\n${key}`),
      connections: (key) => cells.connections(`${app}\n${key}`),
    })
    this.rate = (app, perSecond) => ({
      take: () => cells.admit(app, { most: undefined, perSecond }, sharedNow()) === undefined,
      giveBack: () => cells.refund(app, perSecond),
    })
    this.wakes =
      wakes ??
      (() => {
        throw new Error("the keeper starts targets itself")
      })
  }

  ticketKeys(app: string): Uint8Array {
    return new Uint8Array(hkdfSync("sha256", this.ticketSecret, "", `tickets of ${app}`, 48))
  }
}

/** The same in all threads, unlike `performance.now()`, ms. */
function sharedNow(): number {
  const [seconds, nanoseconds] = process.hrtime()
  return seconds * 1_000 + nanoseconds / 1e6
}
