/**
 * Messages from a JSON Lines file: `{"text": "get {{counter}}", "weight": 3, "expect": "/^ok/"}` or only `"text"` on each
 * line.
 */

import { isJsonObject } from "../../../base/json.ts"
import type { Json } from "../../../base/json.ts"
import { RdvError } from "../../../base/error.ts"
import { nearest } from "../../../base/nearest.ts"
import { Problems } from "../../../config/problems.ts"
import { wrong } from "../../../config/quantity.ts"
import { readTextFile } from "../../../config/text-file.ts"
import { compileTemplate } from "../message/template.ts"
import { readExpectation } from "./answer-text.ts"
import type { MessageEntry } from "./scenario.ts"

const mostBytes = 16 * 1024 * 1024
const mostEntries = 10_000

export const entryKeys: readonly ["text", "weight", "expect"] = ["text", "weight", "expect"]

/** Throws `usage` with the lines that are wrong. */
export function readSequence(path: string): readonly MessageEntry[] {
  const problems = new Problems()
  const entries: MessageEntry[] = []
  for (const [index, line] of readTextFile(path, mostBytes).split(/\r?\n/).entries()) {
    if (line.trim() === "") continue
    try {
      entries.push(readEntry(line))
    } catch (error) {
      if (!(error instanceof RdvError)) throw error
      problems.add({ file: path, line: index + 1, column: 1 }, error.message, error.mend)
    }
    if (entries.length > mostEntries) {
      throw new RdvError("usage", `${path} has more than ${mostEntries} messages`, { mend: "use fewer" })
    }
  }
  problems.check()
  return checkSequence(entries, path)
}

/** What holds for all of them together. Throws `usage`. */
export function checkSequence(entries: readonly MessageEntry[], where: string): readonly MessageEntry[] {
  if (entries.some(({ weight }) => weight > 0)) return entries
  const what = entries.length === 0 ? "has no message in it" : "has no message with a weight above 0"
  throw new RdvError("usage", `${where} ${what}`, { mend: "add one" })
}

function readEntry(line: string): MessageEntry {
  let json: Json
  try {
    json = JSON.parse(line) as Json
  } catch {
    throw wrong(line, "is not JSON", 'write {"text": "hello"} on one line')
  }
  if (typeof json === "string") return { weight: 1, text: readTemplate(json) }
  if (!isJsonObject(json)) throw wrong(line, "is neither an object nor a text", 'write {"text": "hello"}')
  const strange = Object.keys(json).find((key) => !entryKeys.includes(key as "text"))
  if (strange !== undefined) {
    const near = nearest(strange, entryKeys)
    throw wrong(
      strange,
      "is not a key that is known here",
      near === undefined ? `use ${entryKeys.join(", ")}` : `did you mean "${near}"?`,
    )
  }
  const { text, weight = 1, expect } = json
  if (typeof text !== "string") throw new RdvError("usage", 'there is no "text"', { mend: 'add "text": "hello"' })
  if (typeof weight !== "number" || weight < 0)
    throw wrong(JSON.stringify(weight), "is not a weight", "write a number from 0")
  if (expect === undefined) return { weight, text: readTemplate(text) }
  if (typeof expect !== "string") throw wrong(JSON.stringify(expect), "is not a text", 'write "expect": "/^ok/"')
  return { weight, text: readTemplate(text), expect: readExpectation(expect) }
}

/** A text whose places can be filled in. Throws `usage`. */
export function readTemplate(text: string): string {
  compileTemplate(text)
  return text
}
