/** How many values a statement takes: SQLite leaves those out that are missing, and writes NULL where nobody meant it. */

import { RdvError } from "../../../base/error.ts"

/** Strings, names in quotes and comments are one word each. */
const words =
  /'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|\?(\d*)|[:@$][A-Za-z_]\w*|\w+/g

/** Throws `usage` for values with names. */
export function countPlaceholders(text: string): number {
  if (!/[?:@$]/.test(text)) return 0
  let count = 0
  for (const [word, digits] of text.matchAll(words)) {
    if (digits !== undefined) count = digits === "" ? count + 1 : Math.max(count, Number(digits))
    else if (/^[:@$]/.test(word)) throw new RdvError("usage", `The statement has ${word}: values are marked by ?`)
  }
  return count
}

/** Throws `usage` when there are more or fewer values than the statement takes. */
export function checkCount(expected: number, given: number): void {
  if (expected === given) return
  const what = expected === 1 ? "1 value" : `${expected} values`
  throw new RdvError("usage", `The statement takes ${what}, not ${given}`)
}

/** What is behind a statement: throws `usage` when it is another one. `length` is that of the first, with its end. */
export function checkSingle(text: string, length: number): void {
  if (text.length <= length) return
  const rest = text.slice(length).replaceAll(/--[^\n]*|\/\*[\s\S]*?\*\/|[\s;]/g, "")
  if (rest === "") return
  throw new RdvError("usage", several, { mend: "use sql.script, or a transaction" })
}

/** Whether `checkSingle` threw it: nothing of the text was run. */
export function isSeveral(thrown: unknown): boolean {
  // An application's copy of this file knows another class of that name.
  return thrown instanceof Error && thrown.message === several
}

const several = "There is more than one statement"
