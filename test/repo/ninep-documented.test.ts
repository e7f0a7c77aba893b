/** Holds the manual of 9P against the code: messages, limits and errors, both ways. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { errnos } from "../../src/ninep/errno.ts"
import { layouts } from "../../src/ninep/layout.ts"
import { defaultNinepLimits } from "../../src/ninep/limits.ts"
import { messageType, type Dialect, type MessageName } from "../../src/ninep/message.ts"
import { readSource } from "./source-files.ts"

const manual = readSource("docs/reference/ninep.md")

test("docs/reference/ninep.md tells each request with its number and dialects, and no other", () => {
  const has = (dialect: Dialect, name: MessageName) => (layouts[dialect][name] === undefined ? "–" : "yes")
  const wanted = (Object.keys(messageType) as MessageName[])
    .filter((name) => name.startsWith("T"))
    .map((name) => [name, String(messageType[name]), has("9P2000", name), has("9P2000.u", name), has("9P2000.L", name)])
  const rows = manual.matchAll(/^\| `(T\w+)` \| (\d+) \| (yes|–) \| (yes|–) \| (yes|–) \|/gm)
  assert.deepEqual(
    [...rows].map((row) => row.slice(1)),
    wanted,
  )
})

test("docs/reference/ninep.md tells each limit with its value, and no other", () => {
  const limits = manual.slice(manual.indexOf("## Limits"), manual.indexOf("## Errors"))
  const told = [...limits.matchAll(/^\| `(\w+)` \| ([\d,]+) \| \S/gm)].map(([, name, value]) => [name, value])
  const wanted = Object.entries(defaultNinepLimits).map(([name, value]) => [name, value.toLocaleString("en-US")])
  assert.deepEqual(told, wanted)
})

test("docs/reference/ninep.md tells each error with its number and text, and no other", () => {
  const told = [...manual.matchAll(/^\| `(E[A-Z]+)` \| (\d+) \| ([^|]+) \|/gm)].map((row) => row.slice(1))
  const wanted = Object.entries(errnos).map(([name, { number, text }]) => [name, String(number), text])
  assert.deepEqual(told, wanted)
})
