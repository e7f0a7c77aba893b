/**
 * The connections to one target: opens them, sends on them, counts what comes of it, and gives up answers that take too
 * long. When to open and when to send is the model's matter.
 */

import type { Client, ClientEvents, ClientFactory, LoadError } from "../client/client.ts"
import type { MessageSource } from "../message/message.ts"
import type { Recorder } from "../record/recorder.ts"
import type { Ending, Pace } from "../scenario/scenario.ts"
import { Slot } from "./slot.ts"

export interface ConnectionsOptions {
  readonly target: number
  readonly factory: ClientFactory
  readonly source: MessageSource
  readonly pace: Pace
  readonly ending: Ending
  readonly recorder: Recorder
  readonly nowMs: () => number
  /** Whether a message of this planned instant is counted: those of the warm-up are not, whenever their answers come. */
  readonly counts: (plannedMs: number) => boolean
  readonly model: ModelEvents
}

/** What the model decides upon. */
export interface ModelEvents {
  /** The connection can send. */
  free(slot: Slot): void
  /** The message is over: answered, or broken with its connection. */
  ended(slot: Slot): void
  /** The connection is gone. `error` when it never was ready to send, and why. */
  gone(slot: Slot, error: LoadError | undefined): void
}

export class Connections implements ClientEvents {
  readonly #options: ConnectionsOptions
  /** Index → connection; holes are used again. */
  readonly #slots: (Slot | undefined)[] = []
  readonly #holes: number[] = []
  #size = 0
  #opening = 0
  #busy = 0
  #over = false
  #lastSentMs = 0

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  /** Not closed yet. */
  get size(): number {
    return this.#size
  }

  get opening(): number {
    return this.#opening
  }

  /** When the last message was sent, ms since the start. */
  get lastSentMs(): number {
    return this.#lastSentMs
  }

  get busy(): number {
    return this.#busy
  }

  open(): void {
    const client = this.#options.factory.create(this)
    const index = this.#holes.pop() ?? this.#slots.length
    client.slot = index
    this.#slots[index] = new Slot(client, this.#options.target, this.#options.nowMs())
    this.#size++
    this.#opening++
    client.connect()
  }

  /** Only a free connection. */
  send(slot: Slot, plannedMs: number, nowMs: number): void {
    const message = this.#options.source.next()
    slot.state = "busy"
    slot.plannedMs = plannedMs
    slot.sentMs = nowMs
    this.#lastSentMs = nowMs
    slot.messages++
    this.#busy++
    slot.sentBytes = message.bytes.length
    if (this.#options.counts(plannedMs)) this.#options.recorder.sent(slot.target)
    slot.client.send(message)
  }

  /** In good order, after the last pause; what is under way is given up. */
  retire(slot: Slot): void {
    if (slot.state === "closing" || slot.state === "closed") return
    slot.state = "closing"
    const { pauseAfterMs } = this.#options.pace
    clearTimeout(slot.timer)
    if (pauseAfterMs === 0 || this.#over) slot.client.close()
    else slot.timer = setTimeout(() => slot.client.close(), pauseAfterMs)
  }

  /** Gives up what has waited too long for an answer. */
  expire(nowMs: number): void {
    const { ending, recorder, target, model, counts } = this.#options
    if (this.#busy === 0) return
    const before = nowMs - ending.timeoutMs
    const late: LoadError = { kind: "timeout", detail: `No complete answer within ${ending.timeoutMs} ms` }
    for (const slot of this.#slots) {
      if (slot?.state !== "busy" || slot.sentMs > before) continue
      if (counts(slot.plannedMs)) {
        recorder.timedOut(target, late)
        recorder.bytes(target, 0, slot.sentBytes)
      }
      this.#rest(slot, "closing")
      // A late answer would be taken for that of the next message.
      slot.client.cut()
      model.ended(slot)
    }
  }

  /** The run is over: what is under way is counted as cut. */
  cut(): void {
    this.#over = true
    for (const slot of this.#slots) {
      if (slot === undefined) continue
      clearTimeout(slot.timer)
      if (slot.state === "busy") {
        const { recorder, counts } = this.#options
        if (counts(slot.plannedMs)) {
          recorder.cut(slot.target)
          recorder.bytes(slot.target, 0, slot.sentBytes)
        }
        this.#rest(slot, "closing")
        slot.client.cut()
      } else if (slot.state === "opening") slot.client.cut()
      else slot.client.close()
    }
  }

  // What the clients tell.

  opened(client: Client): void {
    const slot = this.#slots[client.slot] as Slot
    const nowMs = this.#options.nowMs()
    this.#opening--
    slot.openedMs = nowMs
    this.#options.recorder.connected(slot.target, nowMs - slot.connectMs)
    this.#freeAfter(slot, this.#options.pace.pauseBeforeMs)
  }

  answered(client: Client, bytes: number, wrong: LoadError | undefined): void {
    const { recorder, pace, model, counts } = this.#options
    const slot = this.#slots[client.slot] as Slot
    if (slot.state !== "busy") return
    const nowMs = this.#options.nowMs()
    if (!counts(slot.plannedMs)) {
      // Of the warm-up.
    } else if (wrong === undefined) {
      recorder.answered(slot.target, slot.plannedMs, slot.sentMs, nowMs, bytes, slot.sentBytes)
    } else recorder.wrong(slot.target, wrong, bytes, slot.sentBytes)
    const old = pace.lifetimeMs !== undefined && nowMs - slot.openedMs >= pace.lifetimeMs
    this.#rest(slot, "resting")
    model.ended(slot)
    if (!pace.keepAlive || old || !client.usable) this.retire(slot)
    else this.#freeAfter(slot, this.#restMs(slot, nowMs))
  }

  closed(client: Client, error: LoadError | undefined): void {
    const slot = this.#slots[client.slot] as Slot
    const { recorder, model, counts } = this.#options
    const was = slot.state
    this.#slots[client.slot] = undefined
    this.#holes.push(client.slot)
    this.#size--
    clearTimeout(slot.timer)
    slot.state = "closed"
    if (was === "opening") this.#opening--
    if (was === "busy") {
      this.#busy--
      if (counts(slot.plannedMs)) recorder.broke(slot.target, error ?? endedEarly, 0, slot.sentBytes)
      model.ended(slot)
    } else if (error !== undefined && was !== "opening" && was !== "closing" && !this.#over)
      recorder.notConnected(slot.target, error)
    if (!this.#over) model.gone(slot, was === "opening" ? (error ?? unexplained) : undefined)
  }

  #rest(slot: Slot, state: "resting" | "closing"): void {
    slot.state = state
    this.#busy--
  }

  /** How long the connection rests after an answer, ms. */
  #restMs(slot: Slot, nowMs: number): number {
    const { thinkMs, burst } = this.#options.pace
    if (burst === undefined || slot.messages % burst.messages !== 0) return thinkMs
    const sinceMs = nowMs - slot.openedMs
    return Math.max(thinkMs, (Math.floor(sinceMs / burst.everyMs) + 1) * burst.everyMs - sinceMs)
  }

  #freeAfter(slot: Slot, ms: number): void {
    if (ms > 0) {
      slot.state = "resting"
      slot.timer = setTimeout(() => this.#freeAfter(slot, 0), ms)
    } else if (!this.#over) {
      slot.state = "free"
      this.#options.model.free(slot)
    }
  }
}

const endedEarly: LoadError = { kind: "closed early", detail: "The connection ended before the answer" }
const unexplained: LoadError = { kind: "other", detail: "The connection ended before it was ready" }
