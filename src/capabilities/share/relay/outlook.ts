/** What members and watchers of a swarm are told about it: once a second, and only when something has changed. */

import { RdvError } from "../../../base/error.ts"
import type { Bitmap } from "../content/bitmap.ts"
import type { Edition } from "./edition.ts"
import type { Member } from "./member.ts"
import { missingRanges } from "./missing-ranges.ts"
import type { Outbox } from "./outbox.ts"
import { tellNeeds } from "./needs.ts"
import { pictureOf } from "./picture.ts"

export interface OutlookOptions {
  readonly swarm: string
  readonly mostWatchers: number
  readonly members: ReadonlyMap<string, Member>
  /** Bytes of chunks that came to the relay and left it. */
  readonly traffic: () => { readonly inBytes: number; readonly outBytes: number }
}

export class Outlook {
  /** Chunks that nobody who is here has. */
  nowhere = 0
  readonly watchers: Set<Outbox> = new Set()
  readonly #options: OutlookOptions
  #hasChanged = false

  constructor(options: OutlookOptions) {
    this.#options = options
  }

  /** Somebody came or went, or has more than before. */
  changed(): void {
    this.#hasChanged = true
  }

  /** Throws `limit`. */
  watch(outbox: Outbox, edition: Edition | undefined): void {
    const { mostWatchers, swarm } = this.#options
    if (this.watchers.size >= mostWatchers) {
      throw new RdvError("limit", `The share ${swarm} is watched by ${mostWatchers} already`)
    }
    this.watchers.add(outbox)
    if (edition !== undefined) outbox.picture(this.#picture(edition))
  }

  tick(edition: Edition): void {
    this.#tellNowhere(edition)
    tellNeeds(this.#options.members.values(), edition)
    if (!this.#hasChanged && this.#isStill()) return
    this.#hasChanged = false
    const readers = [...this.watchers]
    for (const { role, outbox } of this.#options.members.values()) {
      if (role === "sender" && outbox !== undefined) readers.push(outbox)
    }
    if (readers.length === 0) return
    const picture = this.#picture(edition)
    for (const reader of readers) reader.picture(picture)
  }

  /** Nobody has these chunks, so every receiver lacks them; each is told once. */
  #tellNowhere(edition: Edition): void {
    const lost = this.#unreachable()
    const { ranges, more, count } = missingRanges(edition.table.count, (chunk) => edition.isNowhere(chunk, lost))
    this.nowhere = count
    const key = count === 0 ? "" : JSON.stringify([ranges, more])
    for (const member of this.#options.members.values()) {
      if (member.role !== "receiver" || member.have === undefined || member.nowhere === key) continue
      member.nowhere = key
      this.#hasChanged = true
      member.outbox?.say({ do: "nowhere", version: edition.version, ranges, more })
    }
  }

  /** What those have who give nothing: a machine that was switched off has a session until its grace time is over. */
  #unreachable(): Bitmap[] {
    const lost: Bitmap[] = []
    for (const { have, lane, paths } of this.#options.members.values()) {
      if (have !== undefined && lane === undefined && paths.size === 0) lost.push(have)
    }
    return lost
  }

  /** The rates of those who are here have come to rest, too. */
  #isStill(): boolean {
    for (const { seen, isHere } of this.#options.members.values()) {
      if (isHere && seen.inRate + seen.outRate > 0) return false
    }
    return true
  }

  #picture(edition: Edition): ReturnType<typeof pictureOf> {
    const { swarm, members, traffic } = this.#options
    return pictureOf({ swarm, edition, members: members.values(), ...traffic(), nowhere: this.nowhere })
  }
}
