/**
 * Puts the progress on the screen: four times a second in place on a terminal, every ten seconds and at each new phase as
 * a line elsewhere. It reads the figures only when it draws, so a run pays for four small strings a second.
 */

import { stripVTControlCharacters } from "node:util"
import type { Clock, Timer } from "../../../base/clock.ts"
import { columnsOf, printable } from "../../../base/columns.ts"
import type { Paint } from "../../../base/columns.ts"
import { progressFrame, progressLine } from "./progress.ts"
import type { ProgressFigures } from "./progress.ts"

export interface ProgressSink {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface ProgressOptions {
  readonly sink: ProgressSink
  readonly clock: Clock
  /** Called when something is drawn; returns what is true now. */
  readonly read: () => ProgressFigures
  readonly paint?: Paint
  /** Draws in place; by default when the sink is a terminal. */
  readonly interactive?: boolean
}

const frameMs = 250
const lineMs = 10_000

export class ProgressDrawer {
  readonly #options: ProgressOptions
  readonly #interactive: boolean
  #timer: Timer | undefined
  #stopped = true
  /** Columns of each line on the screen: a terminal that got narrower has wrapped them. */
  #drawn: number[] = []
  #phase: string | undefined
  #lineAt = 0

  constructor(options: ProgressOptions) {
    this.#options = options
    this.#interactive = options.interactive ?? options.sink.isTTY === true
  }

  start(): void {
    this.#stopped = false
    this.#lineAt = this.#options.clock.now()
    this.#turn()
  }

  /** A line of its own above the block. */
  note(text: string): void {
    const line = `${printable(text)}\n`
    if (!this.#interactive) {
      this.#options.sink.write(line)
      return
    }
    this.#options.sink.write(this.#wipe() + line)
    if (!this.#stopped) this.#draw()
  }

  /** Takes the block off the screen. May be called twice. */
  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
    this.#timer = undefined
    const wipe = this.#wipe()
    if (wipe !== "") this.#options.sink.write(wipe)
  }

  #turn(): void {
    if (this.#stopped) return
    if (this.#interactive) this.#draw()
    else this.#log()
    this.#timer = this.#options.clock.after(frameMs, () => this.#turn())
  }

  #draw(): void {
    const { sink, read, paint } = this.#options
    // The last column stays free: a character there makes some terminals wrap.
    const columns = Math.max(1, this.#columns() - 1)
    const lines = progressFrame(read(), columns, paint)
    const home = this.#home()
    this.#drawn = lines.map((line) => columnsOf(stripVTControlCharacters(line)))
    // Lines are overwritten and only their rest is erased: erasing everything first would flicker.
    sink.write(`${home}${lines.map((line) => `${line}\u001b[K\n`).join("")}\u001b[J`)
  }

  #log(): void {
    const { sink, clock, read } = this.#options
    const figures = read()
    const due = clock.now() - this.#lineAt >= lineMs
    if (!due && figures.phase === this.#phase) return
    this.#phase = figures.phase
    if (due) this.#lineAt = clock.now()
    sink.write(`${progressLine(figures)}\n`)
  }

  /** To where the block begins. */
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
