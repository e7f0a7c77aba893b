/**
 * Connections that wait for a place: each client's own in their order, and the clients in turn, so that one that opens
 * many delays only itself. When the queue is full, a newcomer takes the place of the last one of whoever has the most,
 * if that has at least two more than the newcomer's client.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import type { LimitSettings } from "../config/settings.ts"
import { Chain, Link } from "./chain.ts"
import type { Seats } from "./seats.ts"

export interface WaitQueueOptions {
  readonly clock: Clock
  /** The present ones; asked each time. */
  readonly limits: () => Pick<LimitSettings, "queue" | "queueMs">
  /** Those who wait in several event loops; default: the limit is for this queue alone. */
  readonly seats?: Seats | undefined
}

export interface WaitQueueEntry {
  /** `clientKey`. */
  readonly client: string
  /** Its turn: true when it has taken a place, false when there is none for it (it stays where it was). */
  readonly turn: () => boolean
  /** It has waited in vain; it is no longer in the queue. */
  readonly lost: (reason: "queue-full" | "queue-timeout") => void
}

/** One that waits. */
export interface Waiting {
  /** Clock time. */
  readonly since: number
  /** It no longer wants to; does nothing when it does not wait any more. */
  cancel(): void
}

export class WaitQueue {
  readonly #options: WaitQueueOptions
  /** Clients of which someone waits; the first one is next. */
  readonly #turns = new Chain<Line>()
  readonly #lines = new Map<string, Line>()
  /** Lines by how many wait in them; index 0 is not used. */
  readonly #byLength: Chain<Line>[] = []
  /** All, the oldest first: their deadlines come in this order. */
  readonly #arrivals = new Chain<Waiter>()
  #timer: Timer | undefined
  #isServing = false

  constructor(options: WaitQueueOptions) {
    this.#options = options
  }

  get length(): number {
    return this.#arrivals.length
  }

  /** Undefined: there is no room. */
  enter(entry: WaitQueueEntry): Waiting | undefined {
    const { queue } = this.#options.limits()
    if (queue <= 0) return undefined
    if (!this.#takeSeat(queue) && !(this.#makeRoom(entry.client) && this.#takeSeat(queue))) return undefined
    const waiter = new Waiter(entry, this.#options.clock.now(), (one) => this.#drop(one))
    this.#arrivals.append(waiter.arrival)
    const line = this.#lineOf(entry.client)
    line.waiters.append(waiter.place)
    this.#sort(line)
    if (this.#timer === undefined) this.#watch()
    return waiter
  }

  /** A place may be free: gives turns until somebody finds none. */
  serve(): void {
    if (this.#isServing) return
    this.#isServing = true
    try {
      for (let line = this.#turns.first; line !== undefined; line = this.#turns.first) {
        const waiter = line.waiters.first as Waiter
        if (waiter.entry.turn()) this.#drop(waiter)
        else if (waiter.place.isLinked) return
        // Its client's next one waits for a whole round.
        if (line.turn.isLinked) this.#turns.append(line.turn)
      }
    } finally {
      this.#isServing = false
    }
  }

  /** Nobody gets a turn any more; all are gone without a word. */
  clear(): void {
    for (let one = this.#arrivals.first; one !== undefined; one = this.#arrivals.first) this.#drop(one)
  }

  #takeSeat(queue: number): boolean {
    const { seats } = this.#options
    return seats === undefined ? this.#arrivals.length < queue : seats.take(queue)
  }

  #makeRoom(client: string): boolean {
    let most = this.#byLength.length - 1
    while (most > 0 && (this.#byLength[most] as Chain<Line>).length === 0) most--
    this.#byLength.length = most + 1
    const own = this.#lines.get(client)?.waiters.length ?? 0
    const longest = this.#byLength[most]?.first
    if (longest === undefined || most < own + 2) return false
    this.#lose(longest.waiters.last as Waiter, "queue-full")
    return true
  }

  #lineOf(client: string): Line {
    let line = this.#lines.get(client)
    if (line === undefined) {
      line = new Line(client)
      this.#lines.set(client, line)
      this.#turns.append(line.turn)
    }
    return line
  }

  /** Its length has changed. */
  #sort(line: Line): void {
    const { length } = line.waiters
    while (this.#byLength.length <= length) this.#byLength.push(new Chain())
    this.#byLength[length]?.append(line.rank)
  }

  #drop(waiter: Waiter): void {
    if (!waiter.arrival.isLinked) return
    this.#arrivals.remove(waiter.arrival)
    this.#options.seats?.give()
    const line = this.#lines.get(waiter.entry.client) as Line
    line.waiters.remove(waiter.place)
    if (line.waiters.length > 0) this.#sort(line)
    else {
      this.#lines.delete(line.client)
      this.#turns.remove(line.turn)
      line.rank.chain?.remove(line.rank)
    }
    if (this.#arrivals.length > 0) return
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #lose(waiter: Waiter, reason: "queue-full" | "queue-timeout"): void {
    this.#drop(waiter)
    waiter.entry.lost(reason)
  }

  /** Waits for the oldest one's deadline; one that came later has a later one. */
  #watch(): void {
    this.#timer = undefined
    const now = this.#options.clock.now()
    const { queueMs } = this.#options.limits()
    for (let oldest = this.#arrivals.first; oldest !== undefined; oldest = this.#arrivals.first) {
      const leftMs = oldest.since + queueMs - now
      if (leftMs > 0) {
        // A reload may shorten it: nobody waits for more than a second on the old word.
        this.#timer ??= this.#options.clock.after(Math.min(leftMs, 1000), () => this.#watch())
        return
      }
      this.#lose(oldest, "queue-timeout")
    }
  }
}

/** Those of one client. */
class Line {
  readonly client: string
  readonly waiters = new Chain<Waiter>()
  readonly turn: Link<Line> = new Link<Line>(this)
  readonly rank: Link<Line> = new Link<Line>(this)

  constructor(client: string) {
    this.client = client
  }
}

class Waiter implements Waiting {
  readonly entry: WaitQueueEntry
  readonly since: number
  readonly arrival: Link<Waiter> = new Link<Waiter>(this)
  readonly place: Link<Waiter> = new Link<Waiter>(this)
  readonly #drop: (one: Waiter) => void

  constructor(entry: WaitQueueEntry, since: number, drop: (one: Waiter) => void) {
    this.entry = entry
    this.since = since
    this.#drop = drop
  }

  cancel(): void {
    this.#drop(this)
  }
}
