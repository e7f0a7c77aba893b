/**
 * Which chunk next: the rarest that fits. Only the first in the order of rarity are looked at, since there may be a quarter
 * of a million. When none of them fits, the others are gone through from where the last search stopped, 32 at a time where
 * there is nothing to be had: so nobody waits for ever behind thousands that are rarer and of no use to it.
 */

import type { Member } from "./member.ts"
import type { Rarity } from "./rarity.ts"

export class Choice {
  readonly #rarity: Rarity
  readonly #count: number

  constructor(rarity: Rarity, count: number) {
    this.#rarity = rarity
    this.#count = count
  }

  /** Something that `member` lacks. `most`: chunks that are looked at in each of the two ways. */
  forTaker(member: Member, fits: (chunk: number) => boolean, most: number = mostLooks): number | undefined {
    const looks = Math.min(most, member.lacksNothing ? leanLooks : mostLooks)
    const chunk = this.#rarity.find(fits, Math.min(looks, fewLooks))
    member.lacksNothing = chunk === undefined
    if (chunk !== undefined || this.#count <= looks) return chunk
    const { have } = member
    const found = this.#wander(member.lackPlace, (at) => ~have.word(at), fits, looks)
    member.lackPlace = found.place
    member.lacksNothing = found.chunk === undefined
    return found.chunk
  }

  /** Something that `giver` has and one of the `takers` lacks. */
  forGiver(giver: Member, takers: readonly Member[], fits: (chunk: number) => boolean): number | undefined {
    const looks = giver.givesNothing ? leanLooks : fewLooks
    const chunk = this.#rarity.find(fits, looks)
    giver.givesNothing = chunk === undefined
    if (chunk !== undefined || this.#count <= looks) return chunk
    const mayFit = (at: number) => {
      const has = giver.have.word(at)
      if (has === 0) return 0
      let lacked = 0
      for (const { have } of takers) lacked |= ~have.word(at)
      return has & lacked
    }
    const found = this.#wander(giver.givePlace, mayFit, fits, mostLooks)
    giver.givePlace = found.place
    giver.givesNothing = found.chunk === undefined
    return found.chunk
  }

  /** The rarest of the next few that fit; `mayFit` says of 32 at once whether one of them could. */
  #wander(
    from: number,
    mayFit: (word: number) => number,
    fits: (chunk: number) => boolean,
    looks: number,
  ): { readonly chunk: number | undefined; readonly place: number } {
    const words = Math.ceil(this.#count / 32)
    let best: number | undefined
    let place: number | undefined
    let found = 0
    let left = looks
    let word = from < words ? from : 0
    for (let step = Math.min(words, mostWords); step > 0; step--, word = word + 1 === words ? 0 : word + 1) {
      if (mayFit(word) === 0) continue
      const end = Math.min(this.#count, (word + 1) * 32)
      for (let chunk = word * 32; chunk < end; chunk++) {
        left--
        if (!fits(chunk)) continue
        place ??= word
        found++
        if (best === undefined || this.#rarity.count(chunk) < this.#rarity.count(best)) best = chunk
      }
      if (found >= mostFound || left <= 0) break
    }
    // Where something was found there may be more.
    return { chunk: best, place: place ?? (word + 1) % words }
  }
}

const mostLooks = 4_096
/** In the order of rarity. */
const fewLooks = 1_024
/** For whom nothing was found the last time: it is looked for again and again. */
const leanLooks = 128
/** Of 32 chunks each. */
const mostWords = 2_048
const mostFound = 16
