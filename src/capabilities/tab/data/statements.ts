/** Statements and their values as applications give them, before SQLite sees them. */

import { RdvError } from "../../../base/error.ts"
import type { SqlValue } from "../app/sql.ts"
import type { ExactValue } from "./engine.ts"

export type StatementKind =
  /** It cannot change anything. */
  | "read"
  /** It changes rows, so that SQLite counts them. */
  | "rows"
  | "other"

/** By its first word. What may do both counts as a change. */
export function kindOf(text: string): StatementKind {
  const word = firstWord.exec(text)?.[1]?.toLowerCase() ?? ""
  if (word === "select" || word === "values" || word === "explain") return "read"
  return word === "insert" || word === "update" || word === "delete" || word === "replace" || word === "with"
    ? "rows"
    : "other"
}

/** Throws `usage` for what is none. Returns what they weigh, bytes. */
export function checkValues(text: string, values: readonly SqlValue[]): number {
  if (typeof text !== "string") throw new RdvError("usage", "A statement is a string")
  let bytes = text.length
  for (let at = 0; at < values.length; at++) {
    const value = values[at] as unknown
    if (typeof value === "string") bytes += value.length * 2
    else if (value instanceof Uint8Array) bytes += value.length
    else if (value !== null && typeof value !== "number") {
      const what = value === undefined ? "undefined" : value instanceof Date ? "a Date" : `of type ${typeof value}`
      throw new RdvError("usage", `Value ${at + 1} of a statement is ${what}`, {
        mend: "values are null, numbers, strings and Uint8Arrays",
      })
    }
  }
  return bytes
}

/** The same for values of drivers, which send none that are wrong. */
export function exactWeight(text: string, values: readonly ExactValue[]): number {
  let bytes = text.length
  for (const value of values) {
    bytes += typeof value === "string" ? value.length * 2 : value instanceof Uint8Array ? value.length : 8
  }
  return bytes
}

/** What an exact answer may take, bytes. */
const exactBytes = 64 * 1024 * 1024

/** Counts the rows of an exact answer. Throws `limit` when they are too many for memory. */
export class ExactCount {
  #bytes = 0

  add(row: readonly ExactValue[]): void {
    this.#bytes += exactWeight("", row)
    if (this.#bytes <= exactBytes) return
    throw new RdvError("limit", `The answer has more than ${exactBytes / 1024 / 1024} MiB of rows`, {
      mend: "ask for fewer at a time, with LIMIT",
    })
  }
}

/** Behind white space and comments. */
const firstWord = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*([a-z]+)/i
