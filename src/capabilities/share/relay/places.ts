/**
 * Who may take part in a swarm: as many as there is room for, nobody new once it is closed, nobody who lied. Who was
 * through before the relay was started anew still counts.
 */

import type { Clock } from "../../../base/clock.ts"
import { RdvError } from "../../../base/error.ts"
import { Bans } from "./bans.ts"
import type { Member } from "./member.ts"
import type { Publication } from "./publications.ts"
import type { ShareLimits } from "./share-limits.ts"

export interface PlacesOptions {
  readonly clock: Clock
  readonly limits: ShareLimits
  /** By what others call them; those who come back to a closed swarm until `returnUntil`, ms, were here before. */
  readonly members: ReadonlyMap<string, Member>
  readonly returnUntil: number
  readonly publication: () => Publication
  /** Receivers that were through in an earlier life of the relay. */
  readonly finished: Iterable<string>
}

export class Places {
  readonly #options: PlacesOptions
  readonly #bans: Bans
  readonly #finished: Set<string>

  constructor(options: PlacesOptions) {
    this.#options = options
    this.#bans = new Bans(options.clock)
    this.#finished = new Set(options.finished)
  }

  ban({ id, isGuest, address }: Member): void {
    this.#bans.ban(id, isGuest ? address : undefined)
  }

  /** False chunks of this one, before it is put out. */
  liesOf({ isGuest, address }: Member): number {
    return isGuest && this.#bans.isSuspect(address) ? 1 : this.#options.limits.lies
  }

  finish(id: string): void {
    this.#finished.add(id)
  }

  /** `guest`: where somebody comes from who shows no token. Throws `limit`, `removed`, `forbidden`. */
  check(role: "sender" | "receiver", id: string, guest: string | undefined): void {
    const { limits, members, clock, returnUntil, publication } = this.#options
    this.#bans.check(id)
    const known = members.get(id)
    if (known === undefined && guest !== undefined) this.#bans.checkNew(guest)
    if (known !== undefined && !known.looks && (known.isHere || known.doneVersion > 0)) return
    const { swarm, isClosed, maxPeers, once } = publication()
    let here = 0
    for (const { isHere } of members.values()) if (isHere) here++
    if (here >= limits.membersPerSwarm && known?.isHere !== true) {
      throw new RdvError("limit", `The share ${swarm} has ${limits.membersPerSwarm} members, and takes no more now`)
    }
    if (role === "sender") return
    // Who had begun and was lost on the way comes back.
    const isNew = known === undefined || known.looks
    if (isClosed && isNew && clock.now() > returnUntil) {
      const why = once ? "it was for one receiver, who has it" : "its sender has ended it"
      throw new RdvError("removed", `The share ${swarm} takes nobody new: ${why}`)
    }
    if (maxPeers === null || this.#finished.has(id)) return
    let receivers = this.#finished.size
    for (const member of members.values()) {
      if (member.role !== "receiver" || member.looks || this.#finished.has(member.id)) continue
      if (member.isHere || member.doneVersion > 0) receivers++
    }
    if (receivers < maxPeers) return
    const many = maxPeers === 1 ? "1 receiver" : `${maxPeers} receivers`
    throw new RdvError("limit", `The share ${swarm} is for ${many}, and has them`)
  }

  /** Nobody new comes in, and everybody who came has everything. */
  get isOver(): boolean {
    const { members, clock, returnUntil, publication } = this.#options
    const { isClosed, once, table } = publication()
    const now = clock.now()
    if (!isClosed || now <= returnUntil) return false
    for (const { role, looks, doneVersion, awayAt = now } of members.values()) {
      if (role !== "receiver" || looks || doneVersion === table.version) continue
      // Who was lost on the way may come back until it is forgotten; for one receiver nobody waits so long.
      if (!once || now - awayAt < mostCutMs) return false
    }
    return true
  }

  /** Who is to be forgotten, since too many have come and gone: the oldest, and before others those who took nothing. */
  surplus(): Member | undefined {
    const { members, limits } = this.#options
    if (members.size <= limits.membersPerSwarm * 2) return undefined
    let oldest: Member | undefined
    for (const member of members.values()) {
      if (member.awayAt === undefined) continue
      if (oldest === undefined || rank(member) < rank(oldest)) oldest = member
    }
    return oldest
  }
}

function rank({ doneVersion, awayAt = 0 }: Member): number {
  return doneVersion > 0 ? awayAt : awayAt - 1e12
}

/** A receiver whose session was cut is back within this, ms. */
const mostCutMs = 15_000
