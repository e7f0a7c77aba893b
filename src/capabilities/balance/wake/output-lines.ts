/**
 * What a woken program prints, line by line into our log. Its output is always taken, or it would stand still at a full
 * pipe; what comes faster than a log can bear is counted instead of told.
 */

import { Bucket } from "../../../base/bucket.ts"
import type { Clock } from "../../../base/clock.ts"
import type { Log } from "../../../base/log.ts"
import { utf8Decode } from "../../../base/text.ts"

/** Longer lines are cut to this many bytes. */
const lineBytes = 2_000
const linesPerSecond = 50
const burst = 500
const newline = 10

export class OutputLines {
  readonly #log: Log
  readonly #bucket: Bucket
  readonly #streams: { readonly [name in Source]: Line } = { stdout: newLine(), stderr: newLine() }
  #last = ""
  #lastError = ""
  #dropped = 0

  constructor(log: Log, clock: Clock) {
    this.#log = log
    this.#bucket = new Bucket({ clock, perSecond: linesPerSecond, size: burst })
  }

  /** The last line that says something, of standard error when there is one: the best guess at what went wrong. */
  get last(): string {
    return this.#lastError || this.#last
  }

  push(source: Source, chunk: Uint8Array): void {
    const line = this.#streams[source]
    let from = 0
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      take(line, chunk, from, at)
      this.#tell(source, line)
      from = at + 1
    }
    take(line, chunk, from, chunk.length)
  }

  /** Nothing more will come: a last line without an end, and what was left out. */
  end(): void {
    for (const source of ["stdout", "stderr"] as const) this.#tell(source, this.#streams[source])
    this.#tellDropped()
  }

  #tell(source: Source, line: Line): void {
    const text = utf8Decode(line.bytes, 0, line.length).trimEnd()
    line.length = 0
    if (text === "") return
    if (source === "stderr") this.#lastError = text
    else this.#last = text
    if (!this.#bucket.take(1)) {
      this.#dropped++
      return
    }
    this.#tellDropped()
    this.#log.info("wake.output", { source, line: text })
  }

  #tellDropped(): void {
    if (this.#dropped === 0) return
    this.#log.warn("wake.output_dropped", { lines: this.#dropped })
    this.#dropped = 0
  }
}

type Source = "stdout" | "stderr"

interface Line {
  readonly bytes: Uint8Array
  length: number
}

function newLine(): Line {
  return { bytes: new Uint8Array(lineBytes), length: 0 }
}

function take(line: Line, chunk: Uint8Array, from: number, to: number): void {
  const taken = Math.min(to - from, lineBytes - line.length)
  line.bytes.set(chunk.subarray(from, from + taken), line.length)
  line.length += taken
}
