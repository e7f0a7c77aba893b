/**
 * The closed model: each connection sends, waits for the answer, and sends again. A target that is slow slows the load, so
 * that a stall is seen by as many messages as there are connections; the report says so.
 */

import type { LoadError } from "../client/client.ts"
import type { Recorder } from "../record/recorder.ts"
import type { Connections, ModelEvents } from "./connections.ts"
import type { Slot } from "./slot.ts"

export interface ClosedModelOptions {
  /** Messages of each connection; undefined: until the end. */
  readonly each: number | undefined
  readonly recorder: Recorder
  readonly nowMs: () => number
  /** Takes one of the messages that are left in the whole run; false when there are none. */
  readonly takeMessage: () => boolean
  /** Whether it would. */
  readonly anyLeft: () => boolean
  /** A message is over. */
  readonly answered: () => void
  /** Nothing is left to do for this target. */
  readonly finished: () => void
}

/** After a connection could not be made, before the next attempt, ms. */
const retryMs = 100

/** For one target. */
export class ClosedModel implements ModelEvents {
  readonly #options: ClosedModelOptions
  #connections: Connections | undefined
  /** How many there shall be now. */
  #wanted = 0
  /** Messages each of them still has to send; one entry for a connection that is to be opened again. */
  readonly #left: Map<Slot, number> = new Map()
  readonly #waiting: number[] = []
  #retries: Set<NodeJS.Timeout> = new Set()
  #stopped = false
  /** The whole run has no messages left. */
  #exhausted = false

  constructor(options: ClosedModelOptions) {
    this.#options = options
  }

  use(connections: Connections): void {
    this.#connections = connections
  }

  /** More are opened at once; fewer end after their answers. */
  want(count: number): void {
    if (this.#stopped) return
    // Those that are to end and have not yet may stay, unless each has its own messages to send.
    const more = count - (this.#options.each === undefined ? this.#alive : this.#wanted)
    if (count === this.#wanted) return
    this.#wanted = count
    for (let at = 0; at < more; at++) this.#open(this.#options.each ?? Infinity)
  }

  /** No further messages. */
  stop(): void {
    this.#stopped = true
    for (const timer of this.#retries) clearTimeout(timer)
    this.#retries.clear()
  }

  free(slot: Slot): void {
    const connections = this.#connections as Connections
    const left = this.#left.get(slot) ?? this.#waiting.shift() ?? 0
    if (this.#stopped || left <= 0 || this.#alive > this.#wanted || !this.#take()) {
      this.#left.delete(slot)
      connections.retire(slot)
      return
    }
    this.#left.set(slot, left - 1)
    const { recorder, nowMs } = this.#options
    const now = nowMs()
    recorder.planned(1)
    connections.send(slot, now, now)
  }

  ended(_slot: Slot): void {
    this.#options.answered()
  }

  gone(slot: Slot, error: LoadError | undefined): void {
    const { recorder } = this.#options
    let left = this.#left.get(slot)
    this.#left.delete(slot)
    if (error !== undefined) {
      left = this.#waiting.shift() ?? 0
      // Each attempt stands for a message that could not be sent.
      if (!this.#stopped && left > 0 && this.#take()) {
        recorder.planned(1)
        recorder.broke(slot.target, error)
        left--
      } else left = 0
    }
    const needed = this.#alive < this.#wanted && this.#options.anyLeft()
    if (left === undefined || left <= 0 || this.#stopped || !needed) this.#finish()
    else if (error === undefined) this.#open(left)
    else this.#openLater(left)
  }

  /** All connections that were wanted so far have sent what they had to. */
  get idle(): boolean {
    return this.#alive === 0
  }

  /** Connections that still have something to do. */
  get #alive(): number {
    return this.#left.size + this.#waiting.length + this.#retries.size
  }

  #open(left: number): void {
    this.#waiting.push(left)
    ;(this.#connections as Connections).open()
  }

  #openLater(left: number): void {
    const timer = setTimeout(() => {
      this.#retries.delete(timer)
      this.#open(left)
    }, retryMs)
    this.#retries.add(timer)
  }

  #take(): boolean {
    if (!this.#exhausted && this.#options.takeMessage()) return true
    this.#exhausted = true
    return false
  }

  #finish(): void {
    // A plan that wants no connection for a while is not over.
    const bounded = this.#exhausted || !this.#options.anyLeft() || this.#options.each !== undefined
    if (bounded && this.idle) this.#options.finished()
  }
}
