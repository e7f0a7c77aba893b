/** One who sends into a channel: an open file or a stream. */

import { RdvError } from "../../../base/error.ts"
import type { Channel } from "./channel.ts"
import type { Message } from "./message.ts"
import type { Sending } from "./parties.ts"

export class Writer {
  readonly channel: Channel
  /** Not settled yet. */
  readonly #waiting: Map<Sending, Message> = new Map()
  #isHere = true

  /** Made by `Channel.writer`. */
  constructor(channel: Channel) {
    this.channel = channel
  }

  /** Offers a message; what becomes of it, the sending hears. May call back before it returns. */
  send(sending: Sending): void {
    if (!this.#isHere) {
      sending.settled(new RdvError("closed", "This writer has left the channel"))
      return
    }
    const message = this.channel.offer(sending)
    if (message === undefined || !message.isOwed) return
    if (!this.#isHere) {
      // It left within a callback of this very message.
      this.#abandon(message)
      return
    }
    this.#waiting.set(sending, message)
    message.onSettled = () => this.#waiting.delete(sending)
  }

  /** True when nobody had it: it is gone, and `settled` is not called. */
  withdraw(sending: Sending): boolean {
    const message = this.#waiting.get(sending)
    if (message === undefined || !this.channel.withdraw(message)) return false
    this.#waiting.delete(sending)
    return true
  }

  /**
   * The sender has been told that a receiver was found, and hears nothing more: the channel answers for the message alone.
   * For senders that may not wait for the proof.
   */
  entrust(sending: Sending): void {
    this.#waiting.get(sending)?.disown()
    this.#waiting.delete(sending)
  }

  /** What nobody has is withdrawn in silence; what a receiver has is its, and is dropped if it comes back. */
  leave(): void {
    if (!this.#isHere) return
    this.#isHere = false
    for (const message of this.#waiting.values()) {
      message.onSettled = undefined
      this.#abandon(message)
    }
    this.#waiting.clear()
    this.channel.writerLeft(this)
  }

  #abandon(message: Message): void {
    if (!this.channel.withdraw(message)) message.isAbandoned = true
  }
}
