/** One message of a write request, until its sender is told. */

import type { Timer } from "../../../base/clock.ts"
import type { RdvError } from "../../../base/error.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { Sending } from "../core/parties.ts"
import type { Writer } from "../core/writer.ts"
import { errnoOf } from "./errno-of.ts"
import type { Patience } from "./role-name.ts"

export interface SendWays extends Patience {
  readonly clock: { after(delayMs: number, callback: () => void): Timer }
  /** The space's, for bytes that are no message yet. `reserve` throws `limit`. */
  readonly memory: { reserve(bytes: number): void; free(bytes: number): void }
}

export class FileSending implements Sending {
  readonly bytes: Uint8Array
  readonly #writer: Writer
  readonly #told: (error: NinepError | undefined) => void
  #state: "waiting" | "matched" | "over" = "waiting"
  /** Its time is over: it is told so unless its receiver proves it. */
  #late: NinepError | undefined
  #deadline: Timer | undefined

  /** `told` is called once, with what became of the message. */
  constructor(writer: Writer, bytes: Uint8Array, told: (error: NinepError | undefined) => void) {
    this.#writer = writer
    this.bytes = bytes
    this.#told = told
  }

  /** May call `told` before it returns. While a receiver has it, the deadline waits for the proof. */
  send({ clock, deadlineMs, isTry }: SendWays): void {
    const { channel } = this.#writer
    this.#writer.send(this)
    if (isTry) {
      // Not EAGAIN: Linux 6.12 repeats a write that fails so until it does not.
      this.#giveUp(new NinepError("EBUSY", `Nobody receives from ${channel.path}`))
      return
    }
    if (this.#isOver) return
    const ms = deadlineMs ?? channel.settings.timeoutMs
    if (ms > 0) this.#deadline = clock.after(ms, () => this.#expire())
  }

  matched(): void {
    if (this.#state === "waiting") this.#state = "matched"
  }

  returned(): void {
    if (this.#state === "matched") this.#state = "waiting"
    if (this.#late !== undefined) this.#giveUp(this.#late)
  }

  settled(error: RdvError | undefined): void {
    this.#deadline?.cancel()
    if (this.#state === "over") return
    this.#state = "over"
    this.#told(error === undefined ? undefined : errnoOf(error))
  }

  /** True: nobody had it, and it is gone. Nothing is told. */
  withdraw(): boolean {
    if (this.#state !== "waiting" || !this.#writer.withdraw(this)) return false
    this.#deadline?.cancel()
    this.#state = "over"
    return true
  }

  /** A receiver has it, and the sender may not wait for the proof: the channel answers for it alone. Nothing is told. */
  entrust(): void {
    if (this.#state === "over") return
    this.#state = "over"
    this.#deadline?.cancel()
    this.#writer.entrust(this)
  }

  #expire(): void {
    const { channel } = this.#writer
    channel.countExpired()
    this.#giveUp(new NinepError("ETIMEDOUT", `Nobody received from ${channel.path} in time`))
  }

  get #isOver(): boolean {
    return this.#state === "over"
  }

  #giveUp(error: NinepError): void {
    if (this.#isOver) return
    this.#late = error
    if (this.withdraw()) this.#told(error)
  }
}
