/** Holds the manual of errors against the table of codes, both ways. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { errorCodes } from "../../src/base/error.ts"
import { errorReasons } from "../../src/relay/ingress/pages.ts"
import { readSource } from "./source-files.ts"

test("docs/reference/errors.md tells each code with its number, its text and whether to retry, and no other", () => {
  const sections = readSource("docs/reference/errors.md").split(/^## /m).slice(1)
  const told = sections.map((section) => {
    const [, code = "?", number, retry, text] =
      /^`(\w+)`\n\nNumber (\d+) · retry: (yes|no) · "([^"\n]*)"\n/.exec(section) ?? []
    return [code, { number: Number(number), retry: retry === "yes", text }]
  })
  assert.deepEqual(Object.fromEntries(told), { ...errorCodes })
  for (const section of sections) assert.match(section, /^\*\*What helps:\*\* \S/m, section.split("\n")[0])
})

test("docs/protocol.md has the same numbers", () => {
  const rows = readSource("docs/protocol.md").matchAll(/^\| (\d+) \| `([a-z_]+)` \|/gm)
  const told = [...rows].map(([, number, code]) => [code, Number(number)])
  const wanted = Object.entries(errorCodes).map(([code, { number }]) => [code, number])
  assert.deepEqual(Object.fromEntries(told), Object.fromEntries(wanted))
})

test("docs/reference/http.md tells each answer of the relay with its status, and no other", () => {
  const rows = readSource("docs/reference/http.md").matchAll(/^\| (\d{3}) \| `([a-z_]+)` \|/gm)
  const told = [...rows].map(([, status, reason]) => [reason, Number(status)])
  const wanted = Object.entries(errorReasons).map(([reason, { status }]) => [reason, status])
  assert.deepEqual(Object.fromEntries(told), Object.fromEntries(wanted))
})
