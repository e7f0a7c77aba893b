/**
 * Watches a run: is asked about once a second, says when a threshold or a condition ends it, and at the end which
 * thresholds were held. Every full window is judged once, however seldom it is asked.
 */

import type { Measured } from "../record/measured.ts"
import type { ThresholdOutcome } from "../record/result.ts"
import { holds, measure, shown } from "./measure.ts"
import type { Threshold } from "./threshold.ts"

/** What of the collector is looked at. */
export interface Evidence {
  readonly seconds: number
  total(target?: number): Measured
  window(length: number, end: number, target?: number): Measured | undefined
}

export interface JudgeOptions {
  readonly thresholds: readonly Threshold[]
  readonly stopWhen: readonly Threshold[]
  /** Of the targets, in the scenario's order. */
  readonly labels: readonly string[]
}

export class Judge {
  /** What the collector has to keep, ms. */
  readonly windowMs: number
  readonly #thresholds: readonly Watch[]
  readonly #stopWhen: readonly Watch[]

  constructor({ thresholds, stopWhen, labels }: JudgeOptions) {
    this.#thresholds = thresholds.map((threshold) => new Watch(threshold, labels))
    this.#stopWhen = stopWhen.map((condition) => new Watch(condition, labels))
    const windows = [...thresholds, ...stopWhen].map(({ windowSeconds }) => (windowSeconds ?? 0) * 1000)
    this.windowMs = Math.max(0, ...windows)
  }

  /** Why the run has to end now, as `Result.ended` says it: "threshold", or the condition that is met. */
  observe(evidence: Evidence): string | undefined {
    for (const watch of [...this.#thresholds, ...this.#stopWhen]) watch.look(evidence)
    if (this.#thresholds.some((watch) => watch.threshold.abort && watch.violated)) return "threshold"
    return this.#stopWhen.find((watch) => watch.met)?.threshold.text
  }

  /** After the last interval. */
  outcomes(evidence: Evidence): ThresholdOutcome[] {
    return this.#thresholds.map((watch) => watch.outcome(evidence))
  }
}

class Watch {
  readonly threshold: Threshold
  /** Held in at least one look, not held in at least one. */
  met = false
  violated = false
  readonly #target: number | undefined
  /** The second up to which windows were judged. */
  #judged: number
  #worst: { readonly value: number | undefined; readonly text: string } | undefined

  constructor(threshold: Threshold, labels: readonly string[]) {
    this.threshold = threshold
    const { target, afterMs, windowSeconds = 0 } = threshold
    const at = target === undefined ? undefined : labels.indexOf(target)
    if (at !== undefined && at < 0) throw new RangeError(`There is no target ${JSON.stringify(target)}`)
    this.#target = at
    this.#judged = Math.ceil(afterMs / 1000) + windowSeconds - 1
  }

  look(evidence: Evidence): void {
    if (this.threshold.windowSeconds === undefined) this.#lookAtAll(evidence)
    else this.#lookAtWindows(evidence, this.threshold.windowSeconds)
  }

  outcome(evidence: Evidence): ThresholdOutcome {
    const { threshold } = this
    const { text, windowSeconds } = threshold
    this.look(evidence)
    if (this.#worst !== undefined) return { text, held: !this.violated, measured: this.#worst.text }
    const measured = evidence.total(this.#target)
    const value = measure(threshold, measured)
    const note = windowSeconds === undefined ? "" : " (the whole run: it was shorter than one window)"
    return { text, held: holds(threshold, value), measured: `${shown(threshold, measured, value)}${note}` }
  }

  #lookAtAll(evidence: Evidence): void {
    const { threshold } = this
    if (evidence.seconds < 1 || evidence.seconds * 1000 < threshold.afterMs) return
    const measured = evidence.total(this.#target)
    const value = measure(threshold, measured)
    // Before the first answer there is nothing to say yet.
    if (value === undefined) return
    if (holds(threshold, value)) this.met = true
    else if (threshold.abort && !this.violated) {
      this.violated = true
      // The run ends for this; what is measured while it drains does not unsay it.
      this.#worst = { value, text: `${shown(threshold, measured, value)} (at ${evidence.seconds} s)` }
    }
  }

  #lookAtWindows(evidence: Evidence, length: number): void {
    const { threshold } = this
    while (this.#judged < evidence.seconds) {
      const end = ++this.#judged
      const measured = evidence.window(length, end, this.#target)
      if (measured === undefined) continue
      const value = measure(threshold, measured)
      if (holds(threshold, value)) this.met = true
      else this.violated = true
      if (this.#worst === undefined || this.#isWorse(value, this.#worst.value)) {
        const text = `${shown(threshold, measured, value)} (worst window: ${end - length} s to ${end} s)`
        this.#worst = { value, text }
      }
    }
  }

  #isWorse(value: number | undefined, than: number | undefined): boolean {
    if (than === undefined || value === undefined) return value === undefined && than !== undefined
    return this.threshold.comparison.startsWith("<") ? value > than : value < than
  }
}
