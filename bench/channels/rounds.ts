/** The figures of all rounds, with what each of them is of another system's in the same round. */

import { Figures } from "../table.ts"

export class Rounds {
  readonly figures: Figures = new Figures()
  readonly #rounds: Map<string, number> = new Map()
  #last = 0

  add(round: number, system: string, work: string, figures: { readonly [figure: string]: number }): void {
    this.#last = Math.max(this.#last, round)
    for (const [figure, value] of Object.entries(figures)) {
      if (!Number.isFinite(value)) continue
      this.figures.add(system, `${work} ${figure}`, value)
      this.#rounds.set(`${round} | ${system} | ${work} ${figure}`, value)
    }
  }

  median(system: string, figure: string): number | undefined {
    return this.figures.median(system, figure)
  }

  spread(system: string, figure: string): string {
    return this.figures.spread(system, figure)
  }

  /** The median over the rounds in which both were measured. */
  ratio(system: string, reference: string, figure: string): number | undefined {
    const ratios: number[] = []
    for (let round = 1; round <= this.#last; round++) {
      const own = this.#rounds.get(`${round} | ${system} | ${figure}`)
      const other = this.#rounds.get(`${round} | ${reference} | ${figure}`)
      if (own !== undefined && other !== undefined) ratios.push(own / other)
    }
    return ratios.toSorted((a, b) => a - b)[Math.floor((ratios.length - 1) / 2)]
  }

  toJSON(): object {
    return this.figures.toJSON()
  }
}
