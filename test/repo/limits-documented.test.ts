/** Holds the manual of limits against the limits, names and values, both ways. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { defaultSpaceLimits } from "../../src/capabilities/channels/core/space.ts"
import { defaultShareLimits } from "../../src/capabilities/share/relay/share-limits.ts"
import { defaultTabLimits } from "../../src/capabilities/tab/relay/tab-limits.ts"
import * as session from "../../src/mux/limits.ts"
import { defaultRelayLimits } from "../../src/relay/limits.ts"
import { storeLimits } from "../../src/store/store.ts"
import * as wire from "../../src/wire/limits.ts"
import { readSource } from "./source-files.ts"

test("docs/reference/limits.md tells each limit with its value, and no other", () => {
  const { defaultLimits, ...fixed } = session
  const capabilities = { ...defaultSpaceLimits, ...defaultShareLimits, ...defaultTabLimits }
  const limits = { ...defaultLimits, ...fixed, ...wire, ...defaultRelayLimits, ...storeLimits, ...capabilities }
  const wanted = Object.entries(limits).map(([name, value]) => [name, shown(name, value)])
  const rows = readSource("docs/reference/limits.md").matchAll(/^\| `(\w+)` \| ([^|]+) \| \S/gm)
  const told = [...rows].map(([, name, value]) => [name, value])
  assert.equal(new Set(told.map(([name]) => name)).size, told.length, "a limit is told twice")
  assert.deepEqual(Object.fromEntries(told), Object.fromEntries(wanted))
})

/** `128 KiB`, `10 s`, `10,000`. */
function shown(name: string, value: number): string {
  if (name.endsWith("Ms")) return value >= 1_000 ? `${value / 1_000} s` : `${value} ms`
  if (!/Bytes$|Payload$/.test(name)) return value.toLocaleString("en-US")
  const [unit, size] = (
    [
      ["GiB", 2 ** 30],
      ["MiB", 2 ** 20],
      ["KiB", 2 ** 10],
    ] as const
  ).find(([, size]) => value >= size) ?? ["B", 1]
  return `${value / size} ${unit}`
}
