/**
 * Ratios that survive a machine whose speed changes by the minute: reference, candidate, reference, candidate, … and each
 * candidate's figure is divided by the mean of the two references around it. A pair whose references differ by a fifth or
 * more in the main figure counts only where there are fewer than three better ones.
 */

import { Figures } from "../table.ts"

/** The figures of one measurement; `main` decides whether the machine stood still. */
export interface Taken {
  readonly main: string
  readonly figures: { readonly [figure: string]: number }
}

interface Pair {
  readonly ratio: number
  readonly isStable: boolean
}

export class Chain {
  readonly figures: Figures = new Figures()
  readonly #pairs: Map<string, Pair[]> = new Map()

  /** One round of one measurement over all candidates; a figure is called `WORK FIGURE`. */
  async round(
    work: string,
    reference: string,
    candidates: readonly string[],
    take: (system: string) => Promise<Taken | undefined>,
  ): Promise<void> {
    let before = await this.#take(work, reference, take)
    for (const candidate of candidates) {
      const own = await this.#take(work, candidate, take)
      const after = await this.#take(work, reference, take)
      if (own !== undefined && before !== undefined && after !== undefined)
        this.#pair(work, candidate, own, [before, after])
      before = after
    }
  }

  /** To the reference; undefined when it was not measured. */
  ratio(system: string, figure: string): number | undefined {
    const ratios = this.#counted(system, figure)
      .map(({ ratio }) => ratio)
      .toSorted((a, b) => a - b)
    return ratios[Math.floor((ratios.length - 1) / 2)]
  }

  /** How many pairs there are, and how many of them had a machine that stood still. */
  pairs(): { readonly all: number; readonly stable: number } {
    const all = [...this.#pairs.values()].flat()
    return { all: all.length, stable: all.filter(({ isStable }) => isStable).length }
  }

  toJSON(): object {
    return { figures: this.figures, pairs: Object.fromEntries(this.#pairs) }
  }

  async #take(
    work: string,
    system: string,
    take: (system: string) => Promise<Taken | undefined>,
  ): Promise<Taken | undefined> {
    const taken = await take(system)
    for (const [figure, value] of Object.entries(taken?.figures ?? {}))
      this.figures.add(system, `${work} ${figure}`, value)
    return taken
  }

  #pair(work: string, candidate: string, own: Taken, around: readonly [Taken, Taken]): void {
    const [before = NaN, after = NaN] = around.map(({ figures, main }) => figures[main])
    const isStable = Math.abs(before - after) / Math.min(before, after) < mostDifference
    for (const [figure, value] of Object.entries(own.figures)) {
      const [a = NaN, b = NaN] = around.map(({ figures }) => figures[figure])
      const ratio = value / ((a + b) / 2)
      if (!Number.isFinite(ratio)) continue
      const key = `${candidate} | ${work} ${figure}`
      const pairs = this.#pairs.get(key)
      if (pairs === undefined) this.#pairs.set(key, [{ ratio, isStable }])
      else pairs.push({ ratio, isStable })
    }
  }

  #counted(system: string, figure: string): readonly Pair[] {
    const pairs = this.#pairs.get(`${system} | ${figure}`) ?? []
    const stable = pairs.filter(({ isStable }) => isStable)
    return stable.length >= enough ? stable : pairs
  }
}

const mostDifference = 0.2
const enough = 3
