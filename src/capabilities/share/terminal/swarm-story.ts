/** What a sender wants to know of its swarm: whether it may leave, whether everybody is through, whether its task is done. */

import type { MemberPicture, SwarmPicture } from "../protocol/control.ts"
import { fewestCopies } from "./swarm-lines.ts"

/** When the sender leaves by itself. */
export type SeedUntil =
  /** Each part is elsewhere, or everybody who came has all of them. */
  | { readonly kind: "complete" }
  /** Each part is so many times elsewhere, or so many who came have all of them and nobody needs any. */
  | { readonly kind: "copies"; readonly copies: number }
  | { readonly kind: "forever" }

export interface SwarmStoryOptions {
  readonly seedUntil: SeedUntil
  /** Nothing is complete before so many receivers are. */
  readonly waitFor: number
}

export interface SwarmStoryEvents {
  /** Every part is elsewhere so many times at least: the others can go on without this sender. Again when it was not so between. */
  safe(copies: number): void
  /** It is not so any more, and somebody needs it: who had the only copy left. */
  unsafe(): void
  /** Everybody who came has everything, or is gone. Again when somebody new came and is through. */
  allDone(receivers: number): void
  /** What `seedUntil` says has come true. Once. */
  enough(): void
}

export class SwarmStory {
  readonly #options: SwarmStoryOptions
  readonly #events: SwarmStoryEvents
  #version = 0
  /** Of the present version: those of whom it was said, and most that a picture showed. */
  #said = 0
  #shown = 0
  #isSafe = false
  /** Somebody is through since all were told to be. */
  #isNews = false
  #isEnough = false

  constructor(options: SwarmStoryOptions, events: SwarmStoryEvents) {
    this.#options = options
    this.#events = events
  }

  /** Receivers that have everything of the present version. */
  get finished(): number {
    return Math.max(this.#said, this.#shown)
  }

  /** Somebody is through; a picture follows. */
  done(): void {
    this.#said++
    this.#isNews = true
  }

  look(picture: SwarmPicture): void {
    if (picture.version !== this.#version) {
      if (this.#version !== 0) this.#forget()
      this.#version = picture.version
    }
    const { seedUntil } = this.#options
    const copies = this.#copiesElsewhere(picture)
    const isSafe = copies > 0
    if (isSafe !== this.#isSafe) {
      this.#isSafe = isSafe
      if (isSafe) this.#events.safe(copies)
      else if (picture.members.some(needs)) this.#events.unsafe()
    }
    const isEverybody = this.#isEverybody(picture)
    if (isEverybody && this.#isNews) {
      this.#isNews = false
      this.#events.allDone(this.finished)
    }
    if (this.#isEnough) return
    // Who is through and left has a copy, although nobody gets it from there.
    const enough = seedUntil.kind === "complete" ? 1 : seedUntil.kind === "copies" ? seedUntil.copies : Infinity
    const isDone = copies >= enough || (isEverybody && this.finished >= enough)
    this.#isEnough = isDone && this.finished >= this.#options.waitFor
    if (this.#isEnough) this.#events.enough()
  }

  #forget(): void {
    this.#isSafe = false
    this.#said = 0
    this.#shown = 0
    this.#isNews = false
  }

  #copiesElsewhere(picture: SwarmPicture): number {
    const own = picture.members.some(
      ({ role, state, have }) => role === "sender" && state !== "away" && have >= picture.chunks,
    )
    return Math.max(0, fewestCopies(picture) - (own ? 1 : 0))
  }

  /** Who is through may have left, and is in no picture any more. */
  #isEverybody({ members, more }: SwarmPicture): boolean {
    const receivers = members.filter(({ role }) => role === "receiver")
    const done = receivers.filter(({ state }) => state === "done").length
    if (done > this.#shown) {
      this.#shown = done
      this.#isNews ||= done > this.#said
    }
    if (receivers.some(needs)) return false
    // A picture shows 200; of the others only their ends are known.
    if (more > 0 && this.finished < done + more) return false
    return this.finished >= Math.max(1, this.#options.waitFor)
  }
}

/** A receiver that is here and has not everything yet. */
function needs({ role, state }: MemberPicture): boolean {
  return role === "receiver" && (state === "working" || state === "waiting")
}
