/**
 * What SQLite refuses, in our words. Both engines throw errors with SQLite's result code (https://sqlite.org/rescode.html),
 * which tells what happened; the message is SQLite's own, since it names the table, the column or the place in the text.
 */

import { RdvError } from "../../../base/error.ts"
import type { ErrorCode } from "../../../base/error.ts"

/** The result code, extended or not, of an error that an engine threw. Undefined: it is no error of SQLite's. */
export function resultCode(thrown: unknown): number | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined
  // Node's name, and that of the WebAssembly build.
  const { errcode, resultCode: code } = thrown as { errcode?: unknown; resultCode?: unknown }
  if (typeof errcode === "number") return errcode
  return typeof code === "number" ? code : undefined
}

/** `text` is the statement, for the message. An `RdvError` passes unchanged. */
export function sqlError(thrown: unknown, text?: string): RdvError {
  if (thrown instanceof RdvError) return thrown
  const message = wordsOf(thrown)
  const at = text === undefined ? "" : `, in: ${shortened(text)}`
  const code = resultCode(thrown)
  if (code === undefined) return notOfSqlite(thrown, message, at)
  const [kind, say] = kinds[code & 0xff] ?? ["internal", (words) => `SQLite failed: ${words} (code ${code})`]
  return new RdvError(kind, say(message, at), { cause: thrown })
}

/** Integers that a number cannot hold, and values that SQLite has no type for. */
function notOfSqlite(thrown: unknown, message: string, at: string): RdvError {
  const { code } = (typeof thrown === "object" && thrown !== null ? thrown : {}) as { code?: unknown }
  if (code === "ERR_OUT_OF_RANGE") return integerTooLarge(thrown, at)
  if (message.includes("contains no statements")) return new RdvError("usage", "The statement is empty")
  if (code === "ERR_INVALID_STATE") return new RdvError("closed", "The database is closed", { cause: thrown })
  if (code === "ERR_INVALID_ARG_TYPE") return new RdvError("usage", `${message}${at}`, { cause: thrown })
  return new RdvError("internal", message, { cause: thrown })
}

/** A column held an integer beyond 2^53. */
export function integerTooLarge(cause?: unknown, at = ""): RdvError {
  return new RdvError("limit", `The database holds an integer beyond 2^53, which no number can hold${at}`, {
    cause,
    mend: "keep such integers as text",
  })
}

/** Storage that is full, by whatever showed it. */
export function storageFull(cause: unknown): RdvError {
  return new RdvError("limit", fullText, { cause, mend: "delete something, or give it more room" })
}

/** Whether it is what `storageFull` or SQLite's own code for it became. */
export function isStorageFull(error: unknown): boolean {
  return error instanceof RdvError && error.code === "limit" && error.message === fullText
}

const fullText = "The storage is full"

const usage = ["usage", (words: string, at: string) => `SQLite: ${words}${at}`] as const
const full = ["limit", () => fullText] as const
const claimed = ["claimed", () => "The database is in use by another process"] as const
const corrupt = ["corrupt", (words: string) => `The database is damaged: ${words}`] as const

const kinds: { readonly [code: number]: readonly [ErrorCode, (words: string, at: string) => string] } = {
  1: usage,
  4: ["cancelled", () => "The statement was interrupted"],
  5: claimed,
  6: claimed,
  7: ["limit", () => "There is no memory for this statement"],
  8: ["forbidden", (words) => `The database cannot be written: ${words}`],
  10: ["internal", (words) => `The disk failed: ${words}`],
  11: corrupt,
  13: full,
  14: ["unreachable", (words) => `The database cannot be opened: ${words}`],
  18: ["too_large", (words, at) => `SQLite: ${words}${at}`],
  19: ["exists", (words) => words],
  20: usage,
  21: usage,
  23: usage,
  25: usage,
  26: corrupt,
}

/** The WebAssembly build puts names of codes before SQLite's words. */
function wordsOf(thrown: unknown): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return message.replace(/^SQLITE_[A-Z_]+: (sqlite3 result code \d+: )?/, "")
}

function shortened(text: string): string {
  const line = text.trim().replaceAll(/\s+/g, " ")
  return line.length > 120 ? `${line.slice(0, 119)}…` : line
}
