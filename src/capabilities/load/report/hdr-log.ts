/**
 * `--hdr`: the latencies of each stretch in the log format of HdrHistogram (V2, version 1.3 of the log), which its tools
 * in all languages read. Values are µs; a stretch of one target bears the target's label as its tag.
 */

import { HistogramLogWriter } from "hdr-histogram-js"
import type { Histogram } from "hdr-histogram-js"

export class HdrLog {
  readonly #writer: HistogramLogWriter

  /**
   * @param write Gets whole lines with their ends.
   * @param startedAtMs When the measured part began, ms since 1970.
   */
  constructor(write: (text: string) => void, startedAtMs: number) {
    this.#writer = new HistogramLogWriter(write)
    this.#writer.outputComment("[Latency in microseconds, from the planned instant to the complete answer]")
    this.#writer.outputLogFormatVersion()
    this.#writer.outputStartTime(startedAtMs)
    this.#writer.outputLegend()
  }

  /** Times are ms since the start. A stretch without values is written too: the log has no holes. */
  add(fromMs: number, toMs: number, latency: Histogram, label: string = ""): void {
    // Commas, spaces and line ends would end the tag.
    latency.tag = label.replaceAll(/[\s,]+/g, "_")
    // The maximum is shown in ms, as the log's readers expect it; the histogram keeps its µs.
    this.#writer.outputIntervalHistogram(latency, fromMs / 1000, toMs / 1000, 1000)
  }
}
