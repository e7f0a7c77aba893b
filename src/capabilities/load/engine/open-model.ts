/**
 * The open model: messages start when the plan says. One that finds no free connection waits, and its wait counts; beyond
 * the limit it is dropped, and counted as such. Nothing makes the plan slower.
 */

import type { LoadError } from "../client/client.ts"
import type { Recorder } from "../record/recorder.ts"
import type { Connections, ModelEvents } from "./connections.ts"
import { NumberRing } from "./ring.ts"
import type { Slot } from "./slot.ts"

export interface OpenModelOptions {
  /** The most connections to this target. */
  readonly connections: number
  readonly whenBusy: "queue" | "drop"
  readonly queueLimit: number
  readonly recorder: Recorder
  readonly nowMs: () => number
  /** Whether a message of this planned instant is counted. */
  readonly counts: (plannedMs: number) => boolean
}

/** For one target. */
export class OpenModel implements ModelEvents {
  readonly #options: OpenModelOptions
  readonly #free: Slot[] = []
  readonly #queue: NumberRing
  #connections: Connections | undefined

  constructor(options: OpenModelOptions) {
    this.#options = options
    // A message for which a connection is being opened waits for that connection in any case.
    const { connections, whenBusy, queueLimit } = options
    this.#queue = new NumberRing(connections + (whenBusy === "queue" ? queueLimit : 0))
  }

  use(connections: Connections): void {
    this.#connections = connections
  }

  get queued(): number {
    return this.#queue.length
  }

  /** A planned instant has come. */
  fire(plannedMs: number, nowMs: number): void {
    const { recorder, whenBusy, connections: most, counts } = this.#options
    const connections = this.#connections as Connections
    const slot = this.#take()
    if (slot !== undefined) {
      connections.send(slot, plannedMs, nowMs)
      return
    }
    if (connections.size < most) connections.open()
    const room = whenBusy === "queue" || this.#queue.length < connections.opening
    if (!room || !this.#queue.push(plannedMs)) recorder.dropped(counts(plannedMs) ? 1 : 0)
  }

  /** The run is over: what still waits was never sent. */
  giveUp(): void {
    let count = 0
    const { recorder, counts } = this.#options
    for (let at = this.#queue.shift(); at !== undefined; at = this.#queue.shift()) if (counts(at)) count++
    recorder.neverSent(count)
  }

  free(slot: Slot): void {
    const plannedMs = this.#queue.shift()
    if (plannedMs === undefined) this.#free.push(slot)
    else (this.#connections as Connections).send(slot, plannedMs, this.#options.nowMs())
  }

  ended(_slot: Slot): void {}

  gone(slot: Slot, error: LoadError | undefined): void {
    const connections = this.#connections as Connections
    // The message that the connection was opened for fails with it: else a target that refuses would fail nothing.
    const { recorder, counts } = this.#options
    const plannedMs = error === undefined ? undefined : this.#queue.shift()
    if (error !== undefined && plannedMs !== undefined && counts(plannedMs)) recorder.broke(slot.target, error)
    if (this.#queue.length > connections.opening && connections.size < this.#options.connections) connections.open()
  }

  /** The one that was used last: the fewest stay warm. */
  #take(): Slot | undefined {
    for (let slot = this.#free.pop(); slot !== undefined; slot = this.#free.pop()) {
      if (slot.state === "free") return slot
    }
    return undefined
  }
}
