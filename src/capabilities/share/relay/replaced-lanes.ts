/**
 * A path that took another's place: what the older one was sending may arrive there yet, or is lost with it, and nobody would
 * send it again. The older one gets a moment to end; what was not heard of soon after is given up, and comes another way.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import type { Scheduler } from "../swarm/scheduler.ts"
import type { Lane } from "./lane.ts"

export class ReplacedLanes {
  readonly #clock: Clock
  readonly #scheduler: Scheduler
  readonly #timers: Set<Timer> = new Set()

  constructor(clock: Clock, scheduler: Scheduler) {
    this.#clock = clock
    this.#scheduler = scheduler
  }

  /** Before `newer` goes on with what waits at `older`, whose path is closed by that. */
  replace(member: string, older: Lane): void {
    const now = this.#clock.now()
    const sent = new Set(this.#scheduler.pushesTo(member, now).filter((chunk) => !older.has(chunk)))
    if (sent.size > 0) this.#look(older, now, () => this.#giveUp(member, sent, now))
  }

  close(): void {
    for (const timer of this.#timers) timer.cancel()
    this.#timers.clear()
  }

  #look(older: Lane, since: number, lost: () => void): void {
    this.#after(lookMs, () => {
      if (older.isClosed) this.#after(reportMs, lost)
      else {
        if (this.#clock.now() - since > mostEndMs) older.path.abort(new RdvError("replaced"))
        this.#look(older, since, lost)
      }
    })
  }

  #giveUp(member: string, sent: ReadonlySet<number>, before: number): void {
    for (const chunk of this.#scheduler.pushesTo(member, before)) {
      if (sent.has(chunk)) this.#scheduler.unpushed(member, chunk)
    }
  }

  #after(delayMs: number, callback: () => void): void {
    const timer = this.#clock.after(delayMs, () => {
      this.#timers.delete(timer)
      callback()
    })
    this.#timers.add(timer)
  }
}

const lookMs = 250
/** For what waits at the older path, ms. */
const mostEndMs = 3_000
/** Until what came over it is told, ms. */
const reportMs = 750
