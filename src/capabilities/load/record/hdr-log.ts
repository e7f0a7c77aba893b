/**
 * The run as an HdrHistogram log (format 1.3, V2 histograms), which the tools around HdrHistogram read: a line for each
 * interval and each of the tags wait, service and latency. Times are seconds since the run's start, the maximum is in ms,
 * histograms are in µs.
 */

import type { Histogram } from "hdr-histogram-js"
import { encodeHistogram } from "./histogram-codec.ts"
import { addHistogram, newRunHistogram } from "./histogram.ts"
import type { Interval, TargetInterval } from "./interval.ts"

export interface HdrLogOptions {
  /** Milliseconds since 1970-01-01 UTC. */
  readonly startedAtMs: number
  readonly warmUpMs: number
  readonly model: "open" | "closed"
}

/** Several generators write their own lines for the same second; readers add them up. */
export class HdrLog {
  readonly #write: (text: string) => void
  readonly #options: HdrLogOptions
  readonly #sum: Histogram = newRunHistogram()

  /** Writes the head at once. */
  constructor(options: HdrLogOptions, write: (text: string) => void) {
    this.#options = options
    this.#write = write
    const seconds = (options.startedAtMs / 1000).toFixed(3)
    const date = new Date(options.startedAtMs).toISOString()
    write(
      "#[Histogram log format version 1.3]\n" +
        `#[StartTime: ${seconds} (seconds since epoch), ${date}]\n` +
        `#[BaseTime: ${seconds} (seconds since epoch)]\n` +
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"\n',
    )
  }

  add(interval: Interval): void {
    if (interval.fromMs < this.#options.warmUpMs) return
    if (this.#options.model === "open") this.#line("wait", interval, (target) => target.wait)
    this.#line("service", interval, (target) => target.service)
    this.#line("latency", interval, (target) => target.total)
  }

  #line(tag: string, interval: Interval, choose: (target: TargetInterval) => Histogram): void {
    const [only, ...others] = interval.targets
    let histogram = this.#sum
    if (only !== undefined && others.length === 0) histogram = choose(only)
    else {
      histogram.reset()
      for (const target of interval.targets) addHistogram(histogram, choose(target))
    }
    const from = (interval.fromMs / 1000).toFixed(3)
    const length = ((interval.toMs - interval.fromMs) / 1000).toFixed(3)
    const max = (histogram.maxValue / 1000).toFixed(3)
    this.#write(`Tag=${tag},${from},${length},${max},${encodeHistogram(histogram)}\n`)
  }
}
