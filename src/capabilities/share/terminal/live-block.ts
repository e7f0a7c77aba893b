/**
 * Lines at the foot of a terminal that are drawn again in place, with messages above them. Where no terminal is, a single
 * line every ten seconds takes their place, and messages are lines as they are.
 */

import { stripVTControlCharacters } from "node:util"
import type { Clock, Timer } from "../../../base/clock.ts"
import { columnsOf } from "../../../base/columns.ts"

export interface LiveSink {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
  readonly rows?: number
}

export interface LiveBlockOptions {
  readonly sink: LiveSink
  readonly clock: Clock
  /** Draws in place. */
  readonly interactive: boolean
  /** What is true now, in lines of at most `columns`. */
  readonly frame: (columns: number) => readonly string[]
  /** The same in one line, for where nothing is drawn in place; undefined: nothing to say. */
  readonly line?: () => string | undefined
}

const frameMs = 200
const lineMs = 10_000

export class LiveBlock {
  readonly #options: LiveBlockOptions
  #timer: Timer | undefined
  #stopped = true
  /** Columns of each line on the screen: a terminal that got narrower has wrapped them. */
  #drawn: number[] = []

  constructor(options: LiveBlockOptions) {
    this.#options = options
  }

  start(): void {
    if (!this.#stopped) return
    this.#stopped = false
    if (this.#options.interactive) this.#turn()
    else this.#later(lineMs)
  }

  /** A line of its own above the block. The text may be coloured; what strangers wrote is made printable by the caller. */
  note(text: string): void {
    const { sink, interactive } = this.#options
    sink.write(interactive ? `${this.#wipe()}${text}\n` : `${text}\n`)
    if (interactive && !this.#stopped) this.#draw()
  }

  /** Takes the block off the screen, or leaves its last state there. May be called twice. */
  stop({ leave = false }: { readonly leave?: boolean } = {}): void {
    if (this.#stopped) return
    this.#timer?.cancel()
    this.#stopped = true
    const { sink, interactive } = this.#options
    if (!interactive) return
    if (leave) this.#draw()
    else sink.write(this.#wipe())
    this.#drawn = []
  }

  #later(delayMs: number): void {
    this.#timer = this.#options.clock.after(delayMs, () => this.#turn())
  }

  #turn(): void {
    if (this.#stopped) return
    const { interactive, line, sink } = this.#options
    if (interactive) this.#draw()
    else {
      const text = line?.()
      if (text !== undefined) sink.write(`${text}\n`)
    }
    this.#later(interactive ? frameMs : lineMs)
  }

  #draw(): void {
    const { sink, frame } = this.#options
    // The last column stays free: a character there makes some terminals wrap.
    const all = frame(Math.max(1, this.#columns() - 1))
    // A block that is higher than the screen could not be taken back.
    const rows = Math.max(1, (sink.rows || 24) - 1)
    const lines = all.length > rows ? [...all.slice(0, rows - 1), `… ${all.length - rows + 1} more lines`] : all
    const home = this.#home()
    this.#drawn = lines.map((line) => columnsOf(stripVTControlCharacters(line)))
    // Overwritten, not erased first, which would flicker.
    sink.write(`${home}${lines.map((line) => `${line}\u001b[K\n`).join("")}\u001b[J`)
  }

  #home(): string {
    const rows = this.#drawn.reduce((sum, width) => sum + Math.max(1, Math.ceil(width / this.#columns())), 0)
    return rows === 0 ? "" : `\r\u001b[${rows}A`
  }

  #wipe(): string {
    const home = this.#home()
    this.#drawn = []
    return home === "" ? "" : `${home}\u001b[J`
  }

  #columns(): number {
    return Math.max(1, this.#options.sink.columns || 80)
  }
}
