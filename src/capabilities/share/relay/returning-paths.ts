/**
 * A path that comes back after a cut may be sooner than the session: then what the member has said of chunks that came is
 * still on its way, and they would be sent twice. So a path is used when its member was heard over the session again.
 */

import type { Clock, Timer } from "../../../base/clock.ts"
import type { Member } from "./member.ts"

export class ReturningPaths {
  readonly #clock: Clock
  readonly #waiting: Map<Member, { readonly timer: Timer; readonly use: () => void }> = new Map()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `use` is called once, unless another path of the member is waited for by then. */
  wait(member: Member, use: () => void): void {
    this.forget(member)
    const timer = this.#clock.after(mostWaitMs, () => this.heard(member))
    this.#waiting.set(member, { timer, use })
  }

  /** Everything that it said before was heard before this. */
  heard(member: Member): void {
    const waiting = this.#waiting.get(member)
    if (waiting === undefined) return
    this.forget(member)
    waiting.use()
  }

  forget(member: Member): void {
    this.#waiting.get(member)?.timer.cancel()
    this.#waiting.delete(member)
  }
}

/** A member that says nothing has perhaps nothing to say. */
const mostWaitMs = 500
