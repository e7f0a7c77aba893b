/** The memory that all event loops share, and the counts in it. */

import { RdvError } from "../../../base/error.ts"
import type { Settings } from "../config/settings.ts"
import type { SeatKind } from "../engine/team.ts"
import { ClientCells } from "../limit/client-cells.ts"
import type { Seats } from "../limit/seats.ts"
import { Tally } from "../limit/tally.ts"
import type { TallyOptions } from "../limit/tally.ts"
import { addressText } from "../target/target.ts"
import type { Counters } from "./messages.ts"

/** Pages of it that nobody has written to cost nothing. */
export interface SharedMemory {
  readonly tally: TallyOptions
  readonly cells: Int32Array<SharedArrayBuffer>
  readonly clients: SharedArrayBuffer
  /** How many blocks of ids were given out. */
  readonly ids: Int32Array<SharedArrayBuffer>
}

export function shareMemory(loops: number, settings: Settings): SharedMemory {
  const tally = { counters: Math.max(leastCounters, 2 * namesOf(settings).size), loops }
  return {
    tally,
    cells: Tally.shared(tally),
    clients: ClientCells.shared(loops),
    ids: new Int32Array(new SharedArrayBuffer(4)),
  }
}

/**
 * Which count has which place in the tally. A place is used again when nobody counts there any more, as late as possible:
 * loops may still look at it to find out that their last connection has gone.
 */
export class CounterPlan {
  readonly #tally: Tally
  readonly #most: number
  readonly #places: Map<string, number> = new Map()
  #next = 0
  /** The one that is free for the longest time first. */
  readonly #free: number[] = []

  constructor(tally: Tally, most: number) {
    this.#tally = tally
    this.#most = most
  }

  /**
   * Each count of these settings has its place, and those that hold until then keep theirs. Throws `limit`, and then
   * nothing has changed.
   */
  follow(settings: Settings, present: Settings): Counters {
    const names = namesOf(settings)
    const kept = namesOf(present)
    const unused = [...this.#places].filter(
      ([name, place]) => !names.has(name) && !kept.has(name) && this.#tally.count(place) === 0,
    )
    const missing = [...names].filter((name) => !this.#places.has(name))
    if (missing.length > this.#free.length + unused.length + this.#most - this.#next) {
      throw new RdvError("limit", `The event loops can share ${this.#most} counts, and this file needs more`, {
        mend: "restart the balancer with it",
      })
    }
    for (const [name, place] of unused) {
      this.#places.delete(name)
      this.#free.push(place)
    }
    for (const name of missing) {
      const place = this.#next < this.#most ? this.#next++ : (this.#free.shift() as number)
      this.#places.set(name, place)
    }
    return new Map(this.#places)
  }
}

export function counterName(kind: SeatKind, app = "", target = ""): string {
  return `${kind}\n${app}\n${target}`
}

export class SharedSeats implements Seats {
  readonly #tally: Tally
  readonly #place: number

  constructor(tally: Tally, place: number) {
    this.#tally = tally
    this.#place = place
  }

  take(limit: number | undefined): boolean {
    return this.#tally.take(this.#place, limit)
  }

  give(): void {
    this.#tally.give(this.#place)
  }

  get taken(): number {
    return this.#tally.count(this.#place)
  }
}

/** Numbers for connections, by the block: no two loops give out the same, not even one that was started again. */
export class Ids {
  readonly #blocks: Int32Array<SharedArrayBuffer>
  #next = 0
  #end = 0

  constructor(blocks: Int32Array<SharedArrayBuffer>) {
    this.#blocks = blocks
  }

  next(): number {
    if (this.#next === this.#end) {
      this.#next = Atomics.add(this.#blocks, 0, 1) * blockSize
      this.#end = this.#next + blockSize
    }
    return ++this.#next
  }
}

function namesOf({ apps }: Settings): ReadonlySet<string> {
  const names = new Set([counterName("all")])
  for (const { name, targets } of apps) {
    names.add(counterName("app", name)).add(counterName("queue", name))
    for (const { address } of targets) names.add(counterName("target", name, addressText(address)))
  }
  return names
}

const leastCounters = 65_536
const blockSize = 1_024
