/** Holds what the documents tell of channel files against the code: settings with their defaults, roles, counters. */

import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { test } from "node:test"
import { SeededRandom } from "../../src/base/random.ts"
import { settingKeys, showSettings } from "../../src/capabilities/channels/files/channel-ctl.ts"
import { showStats } from "../../src/capabilities/channels/files/channel-stat.ts"
import { roles } from "../../src/capabilities/channels/files/role-name.ts"
import { defaultChannelSettings } from "../../src/capabilities/channels/core/settings.ts"
import { Space } from "../../src/capabilities/channels/core/space.ts"
import { FakeClock } from "../kit/fake-clock.ts"
import { readSource, root } from "./source-files.ts"

const reference = readSource("docs/reference/channel-files.md")
const man = readSource("docs/man/rdv-channels.7").replaceAll("\\-", "-")

test("the reference tells each setting with its default, and no other", () => {
  const rows = [...sectionOf("Settings").matchAll(/^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \|/gm)]
  const told = rows.map(([, key, value]) => `${key} ${value}\n`).join("")
  assert.equal(told, showSettings(defaultChannelSettings))
})

test("the reference and the manual page tell each role file", () => {
  const told = [...sectionOf("Role files").matchAll(/^\| `([a-z]+)` \| /gm)].map(([, role]) => role)
  assert.deepEqual(told, [...roles])
  for (const role of roles) assert.match(man, new RegExp(`^\\.TP\\n\\.B ${role}$`, "m"), role)
})

test("the manual page tells each setting", () => {
  for (const key of settingKeys) assert.match(man, new RegExp(`^\\.TP\\n\\.B[IR] ${key} `, "m"), key)
})

test("the reference tells each counter of stat", () => {
  const channel = new Space({ clock: new FakeClock(), random: new SeededRandom(1) }).create("/c")
  const counters = [...showStats(channel).matchAll(/^([a-z-]+) /gm)].map(([, key]) => key)
  const rows = [...sectionOf("stat").matchAll(/^\| (`[^|]+) \|/gm)].map(([, cell]) => cell ?? "")
  const told = rows.flatMap((cell) => [...cell.matchAll(/`([a-z-]+)`/g)].map(([, key]) => key))
  assert.deepEqual(new Set(told), new Set(counters))
})

const hasGroff = spawnSync("groff", ["--version"]).status === 0

test("the manual page formats without a warning", { skip: hasGroff ? false : "groff is not here" }, () => {
  const formatted = spawnSync("groff", ["-ww", "-man", "-Tutf8", "-z", "docs/man/rdv-channels.7"], {
    cwd: root,
    encoding: "utf8",
  })
  assert.equal(formatted.stderr, "")
  assert.equal(formatted.status, 0)
})

function sectionOf(heading: string): string {
  const [, section] = reference.split(new RegExp(`^#+ ${heading}$`, "m"))
  assert.ok(section !== undefined, heading)
  return section.split(/^#+ /m)[0] as string
}
