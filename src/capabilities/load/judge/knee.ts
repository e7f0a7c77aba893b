/**
 * The search for the highest rate that holds the thresholds, as a machine without clock or network: it says which rate to
 * run next, is told whether it held, and ends after a bounded number of runs. Doubling until it fails, then halving the
 * bracket, then confirmation: the rate found has to hold in two of three further runs, and the one above it, which
 * failed once, has to fail in two of three, or the search goes on above.
 */

export interface KneeOptions {
  /** Messages per second. */
  readonly start: number
  /** Nothing above is tried; default 10,000,000. */
  readonly highest?: number
  /** Below it the search gives up; default 1. */
  readonly lowest?: number
  /** How far the answer may be from the first rate that fails, as a share; default 0.05, at least 0.005. */
  readonly tolerance?: number
  /** Default 60. */
  readonly mostRuns?: number
}

export interface KneeRun {
  readonly rate: number
  readonly held: boolean
}

export interface KneeResult {
  /** The highest rate that held; undefined: not even the lowest did. */
  readonly rate: number | undefined
  /** It also held in the majority of its confirmation runs. */
  readonly confirmed: boolean
  /** The lowest rate above it that failed; undefined: none did. */
  readonly failedAt: number | undefined
  readonly runs: readonly KneeRun[]
  /** "found", "highest": the highest rate allowed held; "lowest": nothing held; "runs": too many runs were needed. */
  readonly ended: "found" | "highest" | "lowest" | "runs"
}

export type KneeStep =
  | { readonly done: false; readonly rate: number }
  | { readonly done: true; readonly result: KneeResult }

/** Of three runs. */
const majority = 2

export class KneeSearch {
  readonly #start: number
  readonly #highest: number
  readonly #lowest: number
  readonly #tolerance: number
  readonly #mostRuns: number
  readonly #runs: KneeRun[] = []
  /** Held once. */
  #low: number | undefined
  /** Failed once. */
  #high: number | undefined
  /** What confirmation runs of `#low` and of `#high` said; a vote of three each. */
  #lowVotes: Votes = { held: 0, failed: 0 }
  #highVotes: Votes = { held: 0, failed: 0 }
  /** Each rate found that is not confirmed makes the next step down twice as long. */
  #stepsDown = 0
  #asked: number | undefined

  constructor(options: KneeOptions) {
    this.#lowest = options.lowest ?? 1
    this.#highest = Math.max(this.#lowest, options.highest ?? 10_000_000)
    this.#start = Math.min(this.#highest, Math.max(this.#lowest, options.start))
    this.#tolerance = Math.max(0.005, options.tolerance ?? 0.05)
    this.#mostRuns = options.mostRuns ?? 60
  }

  /** The same until `report` was called. */
  next(): KneeStep {
    if (this.#asked !== undefined) return { done: false, rate: this.#asked }
    if (this.#low === undefined && this.#high !== undefined && this.#high <= this.#lowest) return this.#end("lowest")
    const rate = this.#searched() ?? this.#voted()
    if (rate === undefined) return this.#end(this.#high === undefined ? "highest" : "found")
    if (this.#runs.length >= this.#mostRuns) return this.#end("runs")
    this.#asked = rate
    return { done: false, rate }
  }

  report(rate: number, held: boolean): void {
    if (rate !== this.#asked) throw new RangeError(`${rate}/s was not asked for`)
    this.#asked = undefined
    this.#runs.push({ rate, held })
    if (rate === this.#low) this.#voteLow(held)
    else if (rate === this.#high) this.#voteHigh(held)
    else if (held) this.#takeLow(rate)
    else this.#takeHigh(rate)
  }

  /** The next rate to try for the first time; undefined when the bracket is narrow enough. */
  #searched(): number | undefined {
    if (this.#low === undefined) {
      if (this.#high === undefined) return this.#start
      return Math.max(this.#lowest, rounded(this.#high / 2))
    }
    if (this.#high === undefined) {
      return this.#low >= this.#highest ? undefined : Math.min(this.#highest, rounded(this.#low * 2))
    }
    if (this.#high <= this.#low * (1 + this.#tolerance)) return undefined
    // After a step down the bracket stays as wide as it is: what is inside it held once and failed later.
    if (this.#stepsDown > 0) return undefined
    const middle = rounded((this.#low + this.#high) / 2)
    return middle > this.#low && middle < this.#high ? middle : undefined
  }

  /** The end of the bracket that is still to be confirmed. */
  #voted(): number | undefined {
    if (this.#lowVotes.held < majority) return this.#low
    if (this.#high !== undefined && this.#highVotes.failed < majority) return this.#high
    return undefined
  }

  #takeLow(rate: number): void {
    this.#low = rate
    this.#lowVotes = { held: 0, failed: 0 }
  }

  #takeHigh(rate: number): void {
    this.#high = rate
    this.#highVotes = { held: 0, failed: 1 }
  }

  #voteLow(held: boolean): void {
    if (held) this.#lowVotes.held++
    else this.#lowVotes.failed++
    if (this.#lowVotes.failed < majority) return
    const failed = this.#low ?? this.#lowest
    this.#high = failed
    this.#highVotes = { ...this.#lowVotes }
    const lower = rounded(failed / (1 + this.#tolerance * 2 ** this.#stepsDown++))
    if (failed <= this.#lowest) this.#low = undefined
    else this.#takeLow(Math.max(this.#lowest, Math.min(lower, failed * 0.999)))
  }

  #voteHigh(held: boolean): void {
    if (held) this.#highVotes.held++
    else this.#highVotes.failed++
    if (this.#highVotes.held < majority) return
    // The failure was a mishap: on from here.
    this.#low = this.#high
    this.#lowVotes = { ...this.#highVotes }
    this.#high = undefined
    this.#stepsDown = 0
  }

  #end(ended: KneeResult["ended"]): KneeStep {
    const confirmed = this.#low !== undefined && this.#lowVotes.held >= majority
    // A rate that was only stepped down to and never held is no answer.
    const heldOnce = this.#runs.some(({ rate, held }) => held && rate === this.#low)
    const rate = heldOnce ? this.#low : undefined
    return { done: true, result: { rate, confirmed, failedAt: this.#high, runs: [...this.#runs], ended } }
  }
}

interface Votes {
  held: number
  failed: number
}

/** Four digits: more would only pretend. */
function rounded(rate: number): number {
  return Number(rate.toPrecision(4))
}
