/** A member as the scheduler sees it: what it has, what is under way to it, and what it gives to others. */

import { Bitmap } from "../content/bitmap.ts"
import type { Order } from "./giver-window.ts"
import type { Load } from "./load.ts"

/** A chunk on its way to a member. */
export interface Attempt {
  readonly chunk: number
  /** `relay`, or the member that gives it. */
  readonly from: string
  /** `wait`: the relay is getting it; `push`: the relay sends it; `take`: directly. */
  way: "wait" | "push" | "take"
  /** ms. */
  since: number
  /** What the giver had to do when it began. */
  order?: Order | undefined
}

export class Member {
  readonly name: string
  readonly have: Bitmap
  readonly load: Load
  /** Direct paths. */
  readonly paths: Set<Member> = new Set()
  readonly attempts: Map<number, Attempt> = new Map()
  /** Second attempts, for chunks whose first one takes long. */
  readonly seconds: Map<number, Attempt> = new Map()
  /** From whom a chunk did not come, or came wrong. */
  readonly avoid: Map<number, Set<string>> = new Map()
  /** What it has, and what is on its way to it. */
  readonly #spokenFor: Bitmap
  /** It had everything when it came. */
  readonly isOrigin: boolean
  hasRelayPath = false
  /** Bytes that may be under way to it. */
  window = 0
  /** Bytes that are. */
  underWay = 0
  /** Where it stands in the relay's order. */
  place = 0
  /** Where a search among what it lacks goes on, and one among what it has (`choice.ts`). */
  lackPlace = 0
  givePlace = 0
  /** The last search found nothing. */
  lacksNothing = false
  givesNothing = false
  /** It hears the sender's multicast: nothing else goes to it meanwhile. */
  isCast = false
  /** The last time that something came or was assigned, ms. */
  movedAt: number
  /** Between two chunks, smoothed, ms. */
  gapMs: number | undefined
  duplicates = 0
  /** Fetches in a row that it did not answer, and until when others are asked first, ms. */
  silences = 0
  silentUntil = 0

  constructor(name: string, have: Bitmap, load: Load, now: number) {
    this.name = name
    this.have = have
    this.#spokenFor = Bitmap.from(have.bytes(), have.length)
    this.isOrigin = have.isFull
    this.load = load
    this.movedAt = now
  }

  /** Chunks that it has or is about to have. */
  get served(): number {
    return this.have.count + this.attempts.size
  }

  wants(chunk: number): boolean {
    return !this.#spokenFor.has(chunk)
  }

  /** Of 32 chunks those that it wants, one bit each as in `Bitmap.word`; those behind the last one are set as well. */
  wantedWord(at: number): number {
    return ~this.#spokenFor.word(at)
  }

  /** `have` or `attempts` has changed for this chunk. */
  noted(chunk: number): void {
    if (this.have.has(chunk) || this.attempts.has(chunk)) this.#spokenFor.add(chunk)
    else this.#spokenFor.remove(chunk)
  }

  hasRoom(bytes: number): boolean {
    if (this.have.isFull || this.window === 0) return false
    return this.underWay === 0 || this.underWay + bytes <= this.window
  }

  /** Nothing is on its way to it, and has not been for a while. */
  isStarving(now: number): boolean {
    return this.attempts.size === 0 && now - this.movedAt > starvingMs
  }

  /** It was asked for a chunk and said nothing. */
  wasSilent(now: number): void {
    this.silences++
    this.silentUntil = now + Math.min(mostSilentMs, firstSilentMs * 2 ** this.silences)
  }

  avoids(chunk: number, from: string): boolean {
    return this.avoid.get(chunk)?.has(from) === true
  }

  shun(chunk: number, from: string): void {
    const shunned = this.avoid.get(chunk)
    if (shunned === undefined) this.avoid.set(chunk, new Set([from]))
    else shunned.add(from)
  }
}

/** A member that gets nothing for so long may have it from whoever has it. */
const starvingMs = 500
const firstSilentMs = 2_500
const mostSilentMs = 60_000
