/**
 * Links whose first byte tells who is there: a session begins with a HELLO, and a capability may have bytes of its own, for
 * connections that need no session.
 */

import type { Clock } from "../base/clock.ts"
import { concat } from "../base/bytes.ts"
import { RdvError } from "../base/error.ts"
import type { Link } from "../mux/link.ts"
import { PrefixedLink } from "../transport/prefixed-link.ts"
import { makeRoom } from "./crowd.ts"
import type { RelayLimits } from "./limits.ts"

/** `head` is what was read, the first byte included. The link is paused: attach, then resume. */
export type LinkGuest = (link: Link, head: Uint8Array) => void

/** Letters begin HTTP, and below them stand frames and TLS. */
const lowestByte = 0x80

export class Newcomers {
  readonly #clock: Clock
  readonly #limits: RelayLimits
  readonly #guests: Map<number, LinkGuest> = new Map()
  /** Said nothing yet, oldest first. */
  readonly #silent: Set<Link> = new Set()

  constructor(clock: Clock, limits: RelayLimits) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Links that have not sent a byte. */
  get pending(): number {
    return this.#silent.size
  }

  /** Throws `usage` when the byte is taken or could begin something else. */
  add(firstByte: number, take: LinkGuest): void {
    if (firstByte < lowestByte || firstByte > 255 || this.#guests.has(firstByte)) {
      throw new RdvError("usage", `The first byte ${firstByte} is not free`)
    }
    this.#guests.set(firstByte, take)
  }

  /** Whose connections begin with this byte. */
  guest(firstByte: number | undefined): LinkGuest | undefined {
    return firstByte === undefined ? undefined : this.#guests.get(firstByte)
  }

  /** Calls `session` with the link unless it is a guest's. */
  greet(link: Link, session: (link: Link) => void): void {
    if (this.#guests.size === 0) {
      session(link)
      return
    }
    makeRoom(this.#silent, this.#limits.silent, (oldest) =>
      oldest.abort(new RdvError("limit", "Too many silent connections")),
    )
    this.#silent.add(link)
    const timer = this.#clock.after(this.#limits.headMs, () =>
      link.abort(new RdvError("timeout", `${link.peer} said nothing`)),
    )
    const known = () => {
      timer.cancel()
      this.#silent.delete(link)
    }
    /** Read in the same turn as the first byte, before somebody else has attached. */
    let more: ((bytes: Uint8Array) => void) | undefined
    link.attach({
      data: (bytes) => {
        if (more !== undefined) {
          more(bytes)
          return false
        }
        known()
        const head = new Uint8Array(bytes)
        const take = this.guest(head[0])
        if (take === undefined) {
          const whole = new PrefixedLink(link, head)
          more = (next) => whole.append(next)
          session(whole)
          return false
        }
        let all: Uint8Array = head
        more = (next) => (all = concat([all, next]))
        link.pause()
        // Also the rest of this turn is behind the first byte.
        queueMicrotask(() => take(link, all))
        return false
      },
      drain: () => undefined,
      closed: known,
    })
  }

  /** Ends those that have not said anything yet. */
  cut(): void {
    for (const link of this.#silent) link.abort(new RdvError("draining", "The relay stops"))
  }
}
