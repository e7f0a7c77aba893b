/** How answers end and what they are, as people write it: `newline`, `length:4`; `echo`, `size:512`, `/^ok/i`, `status:200,204`. */

import { readBytes, wholeFrom, wrong } from "../../../config/quantity.ts"
import type { Expectation, Framing } from "./scenario.ts"

/** Throws `usage`. */
export function readExpectation(text: string): Expectation {
  const [, pattern, flags = ""] = /^\/(.+)\/([a-z]*)$/s.exec(text) ?? []
  if (pattern !== undefined) return { kind: "match", pattern, flags: checkPattern(text, pattern, flags) }
  const [kind, rest] = cut(text)
  switch (kind) {
    case "echo":
    case "any":
      if (rest === undefined) return { kind }
      break
    case "size":
      if (rest !== undefined) return { kind, bytes: readBytes(rest) }
      break
    case "status":
      return { kind, codes: rest === undefined ? [] : rest.split(",").map((code) => wholeFrom(100, 599)(code.trim())) }
  }
  throw wrong(text, "is nothing that can be expected", "write echo, any, size:512, /pattern/i or status:200,204")
}

/** Throws `usage`. */
export function readFraming(text: string): Framing {
  const [kind, rest] = cut(text)
  if ((kind === "none" || kind === "newline") && rest === undefined) return { kind }
  if (kind === "length" && /^[124]$/.test(rest ?? "")) return { kind, bytes: Number(rest) as 1 | 2 | 4 }
  if (kind === "fixed" && rest !== undefined) return { kind, bytes: readBytes(rest) }
  throw wrong(text, "is no framing", "write none, newline, length:1, length:2, length:4 or fixed:512")
}

function cut(text: string): [kind: string, rest: string | undefined] {
  const colon = text.indexOf(":")
  return colon < 0 ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)]
}

function checkPattern(text: string, pattern: string, flags: string): string {
  if (!/^[imsu]*$/.test(flags)) throw wrong(text, `has the flags ${flags}`, "use only i, m, s and u")
  try {
    new RegExp(pattern, flags)
    return flags
  } catch (error) {
    throw wrong(text, `is no regular expression: ${(error as Error).message}`, "mend the pattern")
  }
}
