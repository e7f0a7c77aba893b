/** What the relay is getting from holders: each chunk once, however many wait for it, from the one that is through first. */

import type { Clock } from "../../../base/clock.ts"
import type { Order } from "./giver-window.ts"
import type { Member } from "./member.ts"
import type { SwarmPort } from "./swarm-port.ts"

export interface FetchesOptions {
  readonly clock: Clock
  /** Chunks in all. */
  readonly count: number
  readonly port: SwarmPort
  readonly lengthOf: (chunk: number) => number
  readonly members: ReadonlyMap<string, Member>
  /** A copy more is under way, or one less. */
  readonly changed: (chunk: number, by: 1 | -1) => void
}

interface Fetch {
  readonly chunk: number
  /** Undefined while nobody can be asked. */
  holder: Member | undefined
  since: number
  order?: Order
  readonly waiting: Set<Member>
  readonly refusedBy: Set<string>
}

export class Fetches {
  readonly #options: FetchesOptions
  readonly #all: Map<number, Fetch> = new Map()
  /** Without a holder. */
  readonly #orphans: Set<Fetch> = new Set()
  #bytes = 0
  /** Who could give anything in this round. */
  #able: Member[] | undefined
  /** What they have between them, 32 chunks at a time, as far as somebody has looked. */
  readonly #givable: Uint32Array
  readonly #givableBytes: Uint8Array
  /** The look in which each word was filled. */
  readonly #looked: Uint32Array
  #look = 1

  constructor(options: FetchesOptions) {
    this.#options = options
    this.#givable = new Uint32Array((options.count + 31) >>> 5)
    this.#givableBytes = new Uint8Array(this.#givable.buffer)
    this.#looked = new Uint32Array(this.#givable.length)
  }

  newRound(): void {
    this.#able = undefined
    this.#look++
  }

  get size(): number {
    return this.#all.size
  }

  has(chunk: number): boolean {
    return this.#all.has(chunk)
  }

  /** Under way, bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /** Asked for each chunk for each member: so the members are gone through once for 32 chunks. */
  canBegin(chunk: number): boolean {
    const at = chunk >>> 5
    if (this.#looked[at] !== this.#look) {
      this.#looked[at] = this.#look
      const length = this.#options.lengthOf(chunk)
      let givable = 0
      for (const { hasRelayPath, load, have } of this.#givers())
        if (hasRelayPath && load.hasRoom(length)) givable |= have.word(at)
      this.#givable[at] = givable
    }
    return (((this.#givableBytes[chunk >> 3] as number) >> (chunk & 7)) & 1) === 1
  }

  /** False when nobody can be asked now. */
  begin(chunk: number): boolean {
    const length = this.#options.lengthOf(chunk)
    const holder = this.#holder(chunk, length, undefined)
    if (holder === undefined) return false
    const now = this.#options.clock.now()
    const fetch: Fetch = { chunk, holder, since: now, waiting: new Set(), refusedBy: new Set() }
    this.#all.set(chunk, fetch)
    this.#bytes += length
    this.#options.changed(chunk, 1)
    this.#ask(fetch, holder)
    return true
  }

  wait(chunk: number, member: Member): void {
    this.#all.get(chunk)?.waiting.add(member)
  }

  /** A member waits no longer; the last one ends the fetch. */
  unwait(chunk: number, member: Member): void {
    const fetch = this.#all.get(chunk)
    if (fetch === undefined || !fetch.waiting.delete(member) || fetch.waiting.size > 0) return
    if (fetch.holder !== undefined) {
      fetch.holder.load.end(this.#options.lengthOf(chunk), false)
      this.#options.port.unfetch(fetch.holder.name, chunk)
    }
    this.#end(fetch)
  }

  /** Those who wait for it. */
  arrived(chunk: number, from: string): Member[] {
    const fetch = this.#all.get(chunk)
    if (fetch === undefined) return []
    if (fetch.holder !== undefined) {
      fetch.holder.load.end(this.#options.lengthOf(chunk), fetch.holder.name === from, fetch.order)
      if (fetch.holder.name === from) fetch.holder.silences = 0
    }
    this.#end(fetch)
    return [...fetch.waiting]
  }

  refused(chunk: number, holder: string): void {
    const fetch = this.#all.get(chunk)
    if (fetch?.holder?.name !== holder) return
    fetch.refusedBy.add(holder)
    this.#orphan(fetch, fetch.holder)
  }

  /** Nothing comes from this member any more. */
  lose(member: Member): void {
    for (const fetch of this.#all.values()) if (fetch.holder === member) this.#orphan(fetch, member)
  }

  /** Asks others for what nobody is getting, and for what takes far too long. Answers with chunks that nobody has any more. */
  repair(): { readonly chunk: number; readonly waiting: readonly Member[] }[] {
    if (this.#all.size === 0) return []
    this.#able = undefined
    const lost: { chunk: number; waiting: Member[] }[] = []
    const now = this.#options.clock.now()
    for (const fetch of this.#all.values()) {
      if (fetch.holder === undefined || now - fetch.since < slowMs) continue
      const length = this.#options.lengthOf(fetch.chunk)
      if (now - fetch.since < slowMs + 4 * Math.min(fetch.holder.load.delayMs, 60_000)) continue
      if (this.#holder(fetch.chunk, length, fetch) === undefined) continue
      fetch.refusedBy.add(fetch.holder.name)
      fetch.holder.wasSilent(now)
      this.#options.port.unfetch(fetch.holder.name, fetch.chunk)
      this.#orphan(fetch, fetch.holder)
    }
    for (const fetch of this.#orphans) {
      const holder = this.#holder(fetch.chunk, this.#options.lengthOf(fetch.chunk), fetch)
      if (holder !== undefined) this.#ask(fetch, holder)
      else if (!this.#isHeld(fetch.chunk)) {
        this.#end(fetch)
        lost.push({ chunk: fetch.chunk, waiting: [...fetch.waiting] })
      } else if (now - fetch.since > forgetRefusalsMs) {
        fetch.refusedBy.clear()
        fetch.since = now
      }
    }
    return lost
  }

  #isHeld(chunk: number): boolean {
    for (const member of this.#options.members.values())
      if (member.hasRelayPath && !member.load.isShut && member.have.has(chunk)) return true
    return false
  }

  #ask(fetch: Fetch, holder: Member): void {
    this.#orphans.delete(fetch)
    fetch.holder = holder
    fetch.since = this.#options.clock.now()
    const length = this.#options.lengthOf(fetch.chunk)
    fetch.order = holder.load.begin(length)
    // What only this one has cannot be begun any more.
    if (!holder.load.hasRoom(length)) this.#look++
    this.#options.port.fetch(holder.name, fetch.chunk)
  }

  #orphan(fetch: Fetch, holder: Member): void {
    holder.load.end(this.#options.lengthOf(fetch.chunk), false)
    fetch.holder = undefined
    fetch.since = this.#options.clock.now()
    this.#orphans.add(fetch)
  }

  #end(fetch: Fetch): void {
    this.#all.delete(fetch.chunk)
    this.#orphans.delete(fetch)
    this.#bytes -= this.#options.lengthOf(fetch.chunk)
    this.#options.changed(fetch.chunk, -1)
  }

  #givers(): readonly Member[] {
    this.#able ??= [...this.#options.members.values()].filter((member) => member.hasRelayPath && member.load.hasRoom(1))
    return this.#able
  }

  #holder(chunk: number, length: number, fetch: Fetch | undefined): Member | undefined {
    const now = this.#options.clock.now()
    let best: Member | undefined
    for (const member of this.#givers()) {
      if (!member.hasRelayPath || !member.have.has(chunk) || !member.load.hasRoom(length)) continue
      if (member === fetch?.holder || fetch?.refusedBy.has(member.name) === true) continue
      if (best === undefined || isSooner(member, best, now)) best = member
    }
    return best
  }
}

/** Who was silent lately is asked when there is nobody else; who had everything from the start, when others have much to do. */
function isSooner(one: Member, other: Member, now: number): boolean {
  const isSilent = one.silentUntil > now
  if (isSilent !== other.silentUntil > now) return !isSilent
  return delayOf(one) < delayOf(other)
}

function delayOf({ load, isOrigin }: Member): number {
  return load.delayMs + (isOrigin || load.served === 0 ? spareMs : 0)
}

/** So much sooner somebody has to be through who had everything from the start, or has given nothing yet, ms. */
const spareMs = 250

/** A fetch that takes longer, beside what its holder has to do, is asked for elsewhere, ms. */
const slowMs = 3_000
const forgetRefusalsMs = 1_000
