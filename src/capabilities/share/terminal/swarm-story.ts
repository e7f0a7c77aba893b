/** What a sender wants to know of its swarm: whether it may leave, whether everybody is through, whether its task is done. */

import type { SwarmPicture } from "../protocol/control.ts"
import { fewestCopies } from "./swarm-lines.ts"

/** When the sender leaves by itself. */
export type SeedUntil =
  /** Each part is elsewhere, and `waitFor` receivers have everything. */
  | { readonly kind: "complete" }
  /** Each part is so many times elsewhere. */
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
  /** It is not so any more: somebody left with the only copy. */
  unsafe(): void
  /** Everybody who is here has everything. Again when somebody new came and is through. */
  allDone(receivers: number): void
  /** What `seedUntil` says has come true. Once. */
  enough(): void
}

export class SwarmStory {
  readonly #options: SwarmStoryOptions
  readonly #events: SwarmStoryEvents
  #version = 0
  #finished = 0
  #isSafe = false
  /** Receivers that were told as all. */
  #allOf = 0
  #isEnough = false

  constructor(options: SwarmStoryOptions, events: SwarmStoryEvents) {
    this.#options = options
    this.#events = events
  }

  /** Receivers that have everything of the present version. */
  get finished(): number {
    return this.#finished
  }

  /** Somebody is through; a picture follows. */
  done(): void {
    this.#finished++
  }

  look(picture: SwarmPicture): void {
    if (picture.version !== this.#version) {
      this.#version = picture.version
      this.#isSafe = false
      this.#allOf = 0
      this.#finished = 0
    }
    const { seedUntil } = this.#options
    const copies = this.#copiesElsewhere(picture)
    const isSafe = copies > 0
    if (isSafe !== this.#isSafe) {
      this.#isSafe = isSafe
      if (isSafe) this.#events.safe(copies)
      else this.#events.unsafe()
    }
    const all = this.#everybody(picture)
    if (all > this.#allOf) this.#events.allDone(all)
    this.#allOf = all
    if (this.#isEnough) return
    const least = seedUntil.kind === "complete" ? 1 : seedUntil.kind === "copies" ? seedUntil.copies : Infinity
    this.#isEnough = copies >= least && this.#finished >= this.#options.waitFor
    if (this.#isEnough) this.#events.enough()
  }

  #copiesElsewhere(picture: SwarmPicture): number {
    const own = picture.members.some(
      ({ role, state, have }) => role === "sender" && state !== "away" && have >= picture.chunks,
    )
    return Math.max(0, fewestCopies(picture) - (own ? 1 : 0))
  }

  /** How many receivers there are when all of them are through; else 0. */
  #everybody({ members, more }: SwarmPicture): number {
    const receivers = members.filter(({ role }) => role === "receiver")
    const done = receivers.filter(({ state }) => state === "done").length
    this.#finished = Math.max(this.#finished, done)
    if (receivers.some(({ state }) => state === "working" || state === "waiting")) return 0
    // A picture shows 200; of the others only their ends are known.
    if (more > 0 && this.#finished < done + more) return 0
    const all = done + more
    return all >= Math.max(1, this.#options.waitFor) ? all : 0
  }
}
