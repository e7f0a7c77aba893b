/**
 * What a command says: its answer on standard output (text for people, JSON for programs), everything else on standard
 * error. Colours only where a terminal shows them.
 */

import { styleText } from "node:util"
import type { JsonObject } from "../base/json.ts"
import type { Environment } from "./command.ts"

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan"

export interface Sink {
  write(text: string): unknown
  readonly isTTY?: boolean
  readonly columns?: number
}

export interface OutputOptions {
  readonly stdout: Sink
  readonly stderr: Sink
  readonly json: boolean
  readonly env: Environment
}

export class Output {
  readonly json: boolean
  /** Standard output is a terminal, and people read it. */
  readonly interactive: boolean
  readonly #stdout: Sink
  readonly #stderr: Sink
  readonly #env: Environment

  constructor({ stdout, stderr, json, env }: OutputOptions) {
    this.json = json
    this.interactive = stdout.isTTY === true && !json && env["TERM"] !== "dumb"
    this.#stdout = stdout
    this.#stderr = stderr
    this.#env = env
  }

  /** Characters in a line. */
  get columns(): number {
    // Some terminals say 0.
    return this.#stdout.columns || 80
  }

  /** A line for people; nothing with `--json`. */
  line(text = ""): void {
    if (!this.json) this.#stdout.write(`${text}\n`)
  }

  /** One JSON line; nothing without `--json`. */
  record(value: JsonObject): void {
    if (this.json) this.#stdout.write(`${JSON.stringify(value)}\n`)
  }

  /** Something that people should know and programs need not. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`)
  }

  warn(text: string): void {
    this.#stderr.write(`${this.#paintOn(this.#stderr, "yellow", "rdv: warning:")} ${text}\n`)
  }

  /** One line; names in it may come from strangers. */
  fail(text: string): void {
    this.#stderr.write(`${this.#paintOn(this.#stderr, "red", "rdv:")} ${printable(text.replace(/\s*\n\s*/g, " "))}\n`)
  }

  /** For `line`. */
  paint(style: Style, text: string): string {
    return this.#paintOn(this.#stdout, style, text)
  }

  /** For `note`. */
  paintNote(style: Style, text: string): string {
    return this.#paintOn(this.#stderr, style, text)
  }

  #paintOn(sink: Sink, style: Style, text: string): string {
    const { NO_COLOR: noColour, TERM: term } = this.#env
    const plain = sink.isTTY !== true || (noColour !== undefined && noColour !== "") || term === "dumb"
    return plain ? text : styleText(style, text, { validateStream: false })
  }
}

/** Rows as columns of equal width; the last one is not padded. Cells are plain text. */
export function table(rows: readonly (readonly string[])[], gap = 2): string[] {
  const widths: number[] = []
  for (const row of rows) row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)))
  return rows.map((row) =>
    row.map((cell, at) => (at === row.length - 1 ? cell : cell.padEnd((widths[at] as number) + gap))).join(""),
  )
}

/** A text as lines that are not longer, broken between words. */
export function wrapped(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(" ")) {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

/** Control characters would let a stranger's text command the terminal. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?")
}
