/**
 * Messages that were taken under a lease and wait to be acknowledged. An id is told to the receiver alone: it is random, so
 * that nobody acknowledges what somebody else works on. Whoever may receive from the channel may acknowledge, from any open
 * file: the shell that took a message has closed its file long before the work is done.
 */

import { base64url, randomBytes } from "../../../base/bytes.ts"
import type { Clock, Timer } from "../../../base/clock.ts"
import { NinepError } from "../../../ninep/errno.ts"
import type { Delivery } from "../core/parties.ts"

interface Taken {
  readonly delivery: Delivery
  readonly lease: Timer | undefined
  /** The ids of the open file that it was taken from. */
  readonly ids: Set<string>
}

/** One for each channel. */
export class Acks {
  readonly #clock: Clock
  readonly #taken: Map<string, Taken> = new Map()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get length(): number {
    return this.#taken.size
  }

  /**
   * The id under which the message is acknowledged; it is in `ids` for as long as it can be. `leaseMs` 0: for as long as it
   * is not dropped.
   */
  add(delivery: Delivery, leaseMs: number, ids: Set<string>): string {
    const id = `${delivery.id}-${base64url(randomBytes(9))}`
    const lease =
      leaseMs === 0
        ? undefined
        : this.#clock.after(leaseMs, () => {
            this.drop(id)
            // The channel keeps leases itself where its grade is `done`; what comes second is ignored.
            delivery.giveBack("kept it longer than the lease")
          })
    this.#taken.set(id, { delivery, lease, ids })
    ids.add(id)
    return id
  }

  /** The receiver is gone: its reader gives the message back. */
  drop(id: string): void {
    const taken = this.#taken.get(id)
    taken?.lease?.cancel()
    taken?.ids.delete(id)
    this.#taken.delete(id)
  }

  /**
   * `ID ok` or `ID fail [reason]`, in lines; all or nothing. Throws `EINVAL` for a line that says neither and `ENOENT` for
   * an id that is unknown, acknowledged already, or whose lease is over.
   */
  obey(text: string): void {
    const lines = text.split("\n").filter((line) => line.trim() !== "")
    const verdicts = lines.map((line) => this.#verdict(line))
    if (new Set(verdicts.map(({ id }) => id)).size < verdicts.length) {
      throw new NinepError("EINVAL", "An id is there twice; write each once")
    }
    for (const { id, taken, reason } of verdicts) {
      this.drop(id)
      if (reason === undefined) taken.delivery.done()
      else taken.delivery.giveBack(reason)
    }
  }

  #verdict(line: string): { id: string; taken: Taken; reason: string | undefined } {
    const [, id, word, reason = ""] = /^(\S+)\s+(ok|fail)(?:\s+(.*))?$/s.exec(line.trim()) ?? []
    if (id === undefined || (word === "ok" && reason !== "")) {
      throw new NinepError("EINVAL", `${JSON.stringify(line.slice(0, 80))}: write "ID ok" or "ID fail REASON"`)
    }
    const taken = this.#taken.get(id)
    if (taken === undefined) {
      throw new NinepError("ENOENT", `Nothing is taken under ${id.slice(0, 80)}: it is done, or its lease was over`)
    }
    return { id, taken, reason: word === "ok" ? undefined : `failed: ${reason === "" ? "no reason given" : reason}` }
  }
}
