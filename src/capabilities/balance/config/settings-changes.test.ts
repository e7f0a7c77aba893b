import assert from "node:assert/strict"
import { test } from "node:test"
import { appOf, settingsOf, targetOf } from "../../../../test/kit/balance-rig.ts"
import { settingsChanges } from "./settings-changes.ts"

test("settings that say the same have no changes", () => {
  assert.deepEqual(settingsChanges(settingsOf([appOf(80, [1, 2])]), settingsOf([appOf(80, [1, 2])])), [])
})

test("each change is one line, in the order of the file", () => {
  const before = settingsOf([appOf(80, [1, 2, targetOf(3)]), appOf(81, [1], { name: "gone" })])
  const web = appOf(82, [targetOf(2, { weight: 3 }), 4], { slowStartMs: 5, onDown: "cut", listener: { backlog: 1 } })
  const after = settingsOf([web, appOf(83, [], { name: "new" })], { maxConnections: 9, zone: "a" })
  assert.deepEqual(settingsChanges(before, after), [
    "max-connections changed",
    "zone changed",
    "app app: port 127.0.0.1:82 added",
    "app app: port 127.0.0.1:80 removed",
    "app app: target 127.0.0.1:2 changed",
    "app app: target 127.0.0.1:4 added",
    "app app: target 127.0.0.1:1 removed",
    "app app: target 127.0.0.1:3 removed",
    "app app: slow-start changed",
    "app app: down changed",
    "app new: added",
    "app gone: removed",
  ])
})

test("a listener that changes in anything but its address is told as changed", () => {
  const app = (proxyProtocol: "off" | "require") => settingsOf([appOf(80, [1], { listener: { proxyProtocol } })])
  assert.deepEqual(settingsChanges(app("off"), app("require")), ["app app: port 127.0.0.1:80 changed"])
})

test("an app that is renamed is one that went and one that came", () => {
  const named = (name: string) => settingsOf([appOf(80, [1], { name })])
  assert.deepEqual(settingsChanges(named("a"), named("b")), ["app b: added", "app a: removed"])
})
