/**
 * Who has the connection, and when its work is on disk. Units are done in the order in which they were asked for; those
 * of one turn of the event loop, with what comes right behind them and while the disk wrote, make a batch: one transaction, one flush. Whoever
 * is in it hears of it after the commit. A unit that fails takes back itself alone; where SQLite takes back more than that
 * (it may when the storage is full), the others are done again, each by itself.
 *
 * States: idle; a batch is open within a turn; held (a unit awaits with the batch open, everybody else waits).
 */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { Fifo } from "../../../base/fifo.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { SqliteEngine } from "./engine.ts"
import { resultCode, sqlError } from "./sql-error.ts"

export interface GroupCommitOptions {
  readonly clock: Clock
  readonly defer: (callback: () => void) => void
}

/** What is to be done on the connection. */
export interface Work {
  readonly kind: /** It changes nothing: at once when nothing is before it, else with what is. */
    | "read"
    /** A statement, which SQLite does as a whole or not at all. */
    | "write"
    /** Several; what fails takes back all of them. */
    | "several"
    /** The same, in a batch that begins with it. */
    | "alone"
    /** Without a transaction. */
    | "bare"
  /** What it weighs while it waits. */
  readonly bytes: number
  /** The answer, or a promise of it: the connection waits for that one. */
  run(): unknown
  /** Before the commit, with the answer at hand. What it throws takes the unit back. */
  settled?(): void
  /** What to tell for something that was thrown. */
  explain(thrown: unknown): unknown
  /** It came to an end from outside: what `run` gave away is of no use any more. */
  end?(error: RdvError): void
  /** When somebody last used what `run` gave away; without it, it is never used. */
  usedAt?(): number
}

/** How long a unit may hold the connection: without using it, and at all. */
export const lentMs: number = 5000
const mostLentMs = 60_000

interface Unit {
  readonly work: Work
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
  value: unknown
  /** What shared its batch has failed in a way that hit all of them. */
  isByItself: boolean
  /** It has awaited: nobody can do that again. */
  wasHeld: boolean
}

export class GroupCommit {
  readonly #engine: SqliteEngine
  readonly #clock: Clock
  readonly #defer: (callback: () => void) => void
  readonly #waiting = new Fifo<Unit>()
  #waitingBytes = 0
  /** Of the open batch. */
  #done: Unit[] = []
  #isOpen = false
  #isHeld = false
  #isScheduled = false
  readonly #figures = { commits: 0, units: 0, largest: 0, ms: 0, slowestMs: 0 }

  constructor(engine: SqliteEngine, { clock, defer }: GroupCommitOptions) {
    this.#engine = engine
    this.#clock = clock
    this.#defer = defer
  }

  /** Resolves after the commit. Rejects `limit` when too much waits. */
  ask(work: Work): Promise<unknown> {
    if (work.kind === "read" && !this.#isHeld && !this.#isOpen && this.#waiting.length === 0) {
      return new Promise((resolve) => resolve(explained(work)))
    }
    if (this.#waiting.length >= mostWaiting || this.#waitingBytes + work.bytes > mostWaitingBytes) {
      return Promise.reject(
        new RdvError("limit", `${this.#waiting.length} statements wait for the database: it takes no more now`),
      )
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ work, resolve, reject, value: undefined, isByItself: false, wasHeld: false })
      this.#waitingBytes += work.bytes
      this.#schedule()
    })
  }

  stats(): JsonObject {
    const { commits, units, largest, ms, slowestMs } = this.#figures
    return {
      waiting: this.#waiting.length,
      commits,
      units,
      largest_commit: largest,
      mean_commit_ms: commits === 0 ? 0 : Math.round((1000 * ms) / commits) / 1000,
      slowest_commit_ms: Math.round(slowestMs * 1000) / 1000,
    }
  }

  #schedule(): void {
    if (this.#isScheduled || this.#isHeld || this.#waiting.length === 0) return
    this.#isScheduled = true
    this.#gather(0, this.#clock.now())
  }

  /** Firefox hands over one message in a turn: the batch begins with the first turn that brings nothing more. */
  #gather(seen: number, since: number): void {
    this.#defer(() => {
      const { length } = this.#waiting
      if (length > seen && length < largestBatch && this.#clock.now() - since < gatherMs) {
        this.#gather(length, since)
        return
      }
      this.#isScheduled = false
      this.#turn()
    })
  }

  #turn(): void {
    if (this.#isHeld) return
    const end = this.#clock.now() + longestTurnMs
    for (let unit = this.#waiting.peek(); unit !== undefined; unit = this.#waiting.peek()) {
      if (this.#done.length >= largestBatch || this.#clock.now() > end) break
      if (this.#done.length > 0 && beginsBatch(unit)) this.#commit()
      this.#waiting.shift()
      this.#waitingBytes -= unit.work.bytes
      this.#do(unit)
      if (this.#isHeld) return
      if (unit.isByItself || unit.work.kind === "bare") this.#commit()
    }
    this.#commit()
    this.#schedule()
  }

  #do(unit: Unit): void {
    const { work } = unit
    try {
      if (!this.#isOpen && work.kind !== "read" && work.kind !== "bare") {
        this.#engine.exec("BEGIN IMMEDIATE")
        this.#isOpen = true
      }
      if (nests(unit)) this.#engine.exec("SAVEPOINT _rdv")
    } catch (error) {
      unit.reject(sqlError(error))
      if (this.#isOpen && !this.#engine.isInTransaction) this.#again()
      return
    }
    let value: unknown
    try {
      value = work.run()
    } catch (error) {
      this.#fail(unit, error)
      return
    }
    if (isPromise(value)) this.#hold(unit, value)
    else this.#finish(unit, value)
  }

  #finish(unit: Unit, value: unknown): void {
    try {
      unit.work.settled?.()
      if (nests(unit)) this.#engine.exec("RELEASE _rdv")
    } catch (error) {
      this.#fail(unit, error)
      return
    }
    unit.value = value
    this.#done.push(unit)
  }

  #fail(unit: Unit, thrown: unknown): void {
    unit.work.end?.(new RdvError("closed", "This transaction was taken back"))
    if (this.#isOpen) {
      try {
        if (nests(unit) && this.#engine.isInTransaction) this.#engine.exec("ROLLBACK TO _rdv; RELEASE _rdv")
      } catch {
        this.#rollback()
      }
      if (!this.#engine.isInTransaction) this.#again()
    }
    unit.reject(unit.work.explain(thrown))
  }

  /** The connection waits for one that awaits. */
  #hold(unit: Unit, promise: Promise<unknown>): void {
    this.#isHeld = true
    unit.wasHeld = true
    const since = this.#clock.now()
    let isOver = false
    const over = (settle: () => void) => {
      if (isOver) return
      isOver = true
      timer.cancel()
      settle()
      this.#isHeld = false
      this.#commit()
      this.#schedule()
    }
    const watch = () => {
      const until = Math.min((unit.work.usedAt?.() ?? since) + lentMs, since + mostLentMs)
      const leftMs = until - this.#clock.now()
      if (leftMs > 0) {
        timer = this.#clock.after(leftMs, watch)
        return
      }
      const error = new RdvError("timeout", `A transaction was not done within ${lentMs / 1000} s and was taken back`, {
        mend: "await nothing in it but what it needs, and inside it use the statements that it gives",
      })
      unit.work.end?.(error)
      over(() => this.#fail(unit, error))
    }
    let timer = this.#clock.after(lentMs, watch)
    promise.then(
      (value) => over(() => this.#finish(unit, value)),
      (error: unknown) => over(() => this.#fail(unit, error)),
    )
  }

  #commit(): void {
    if (this.#isOpen) {
      const started = this.#clock.now()
      try {
        this.#engine.exec("COMMIT")
      } catch (error) {
        this.#refuse(error)
        return
      }
      this.#isOpen = false
      this.#count(this.#clock.now() - started)
    }
    if (this.#done.length === 0) return
    const done = this.#done
    this.#done = []
    for (const { resolve, value } of done) resolve(value)
  }

  /** Nothing of the batch came to be. */
  #refuse(thrown: unknown): void {
    this.#rollback()
    // Constraints that wait for the commit: one of them is at fault, and each by itself it will show.
    if (((resultCode(thrown) ?? 0) & 0xff) === constraint && this.#done.length > 1) {
      this.#again()
      return
    }
    const done = this.#done
    this.#done = []
    this.#isOpen = false
    for (const { work, reject } of done) reject(work.explain(thrown))
  }

  #rollback(): void {
    try {
      if (this.#engine.isInTransaction) this.#engine.exec("ROLLBACK")
    } catch {
      // The connection is broken; what comes next will say so.
    }
  }

  /** SQLite has taken the batch back. What was done before is done again, in the same order, before anything else. */
  #again(): void {
    this.#isOpen = false
    const done = this.#done
    this.#done = []
    for (const unit of done.toReversed()) {
      if (unit.wasHeld) {
        unit.reject(new RdvError("limit", "What shared its commit failed, and took it back too"))
        continue
      }
      unit.isByItself = true
      this.#waiting.unshift(unit)
      this.#waitingBytes += unit.work.bytes
    }
  }

  #count(ms: number): void {
    const figures = this.#figures
    figures.commits++
    figures.units += this.#done.length
    figures.largest = Math.max(figures.largest, this.#done.length)
    figures.ms += ms
    figures.slowestMs = Math.max(figures.slowestMs, ms)
  }
}

function nests({ work }: Unit): boolean {
  return work.kind === "several" || work.kind === "alone"
}

function beginsBatch({ work, isByItself }: Unit): boolean {
  return isByItself || work.kind === "alone" || work.kind === "bare"
}

/** For what is done at once. */
function explained(work: Work): unknown {
  try {
    return work.run()
  } catch (error) {
    throw work.explain(error)
  }
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function"
}

/** SQLite's code. */
const constraint = 19
const mostWaiting = 10_000
const mostWaitingBytes = 64 * 1024 * 1024
const largestBatch = 1000
const longestTurnMs = 20
/** Less than a flush takes. */
const gatherMs = 2
