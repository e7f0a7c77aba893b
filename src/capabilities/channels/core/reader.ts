/** One who receives from a channel: an open file or a stream. What it holds without proof goes back when it leaves. */

import { RdvError } from "../../../base/error.ts"
import type { Channel } from "./channel.ts"
import { Waiter } from "./message.ts"
import type { Holder, Parcel } from "./message.ts"
import type { Receiving } from "./parties.ts"

export class Reader implements Holder {
  readonly channel: Channel
  readonly #waiting: Map<Receiving, Waiter> = new Map()
  readonly #held: Set<Parcel> = new Set()
  #state: "here" | "retiring" | "gone" = "here"

  /** Made by `Channel.reader`. */
  constructor(channel: Channel) {
    this.channel = channel
  }

  /** Deliveries without proof. */
  get underWay(): number {
    return this.#held.size
  }

  /** Waits for a message. Several may wait; they get messages in order. */
  receive(receiving: Receiving): void {
    if (this.#state !== "here") {
      receiving.failed(new RdvError("closed", "This reader has left the channel"))
      return
    }
    const waiter = new Waiter(receiving, this, this.channel.now())
    this.#waiting.set(receiving, waiter)
    this.channel.receive(waiter)
  }

  /** True when it still waited: it hears nothing any more. */
  withdraw(receiving: Receiving): boolean {
    const waiter = this.#waiting.get(receiving)
    if (waiter?.line === undefined) return false
    waiter.line.remove(waiter)
    this.#waiting.delete(receiving)
    return true
  }

  /** What it waits for is withdrawn in silence, what it holds without proof goes back. `reason` as in "has left". */
  leave(reason = "has left"): void {
    if (this.#state === "gone") return
    this.#state = "gone"
    this.#stopWaiting()
    // First out of the readers: what it gives back must not come to it again.
    this.channel.left(this)
    for (const parcel of this.#held) parcel.vanish(reason)
    this.channel.gone(this)
  }

  /** Leaves when what it holds is proven or given back. */
  retire(): void {
    if (this.#state !== "here") return
    this.#state = "retiring"
    this.#stopWaiting()
    if (this.#held.size === 0) this.leave()
  }

  /** It was too slow for a multicast channel: what it waits for fails, now and from now on. */
  cutOff(): void {
    this.channel.countCut()
    const waiting = [...this.#waiting.keys()]
    this.#stopWaiting()
    for (const receiving of waiting) receiving.failed(new RdvError("limit", "This reader was cut off: too slow"))
  }

  hold(parcel: Parcel): void {
    this.#held.add(parcel)
  }

  release(parcel: Parcel): void {
    this.#held.delete(parcel)
    if (this.#state === "retiring" && this.#held.size === 0) queueMicrotask(() => this.leave())
  }

  unwait(receiving: Receiving): void {
    this.#waiting.delete(receiving)
  }

  #stopWaiting(): void {
    for (const waiter of this.#waiting.values()) waiter.line?.remove(waiter)
    this.#waiting.clear()
  }
}
