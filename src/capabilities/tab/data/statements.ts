/** Statements and their values as applications give them, before SQLite sees them. */

import { RdvError } from "../../../base/error.ts"
import type { SqlValue } from "../app/sql.ts"

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

/** Behind white space and comments. */
const firstWord = /^(?:\s|--[^\n]*(?:\n|$)|\/\*[\s\S]*?\*\/)*([a-z]+)/i
