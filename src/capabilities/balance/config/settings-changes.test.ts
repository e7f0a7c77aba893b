import assert from "node:assert/strict"
import { test } from "node:test"
import { appOf, settingsOf } from "../../../../test/kit/balance-rig.ts"
import { readDocument } from "../../../config/document.ts"
import { readSettings } from "./read-settings.ts"
import { settingsChanges } from "./settings-changes.ts"

const settings = (text: string) => readSettings(readDocument(text, { file: "balance.yaml" }))
const app = "apps:\n- name: a\n  ports: 80\n  targets: b:1\n"

test("what changes is told in the words of the file", () => {
  const more = "resolve-every: 1m\ndrain: 1m\nmax-connections: 5\n"
  const keys =
    "  slow-start: 5s\n  retries: 1\n  removed: cut\n  down: cut\n  drain: 5s\n  when-down: hold\n  keep-alive: 5s\n"
  assert.deepEqual(settingsChanges(settings(app), settings(`${more}${app}${keys}`)).toSorted(), [
    "app a: down changed",
    "app a: drain changed",
    "app a: keep-alive changed",
    "app a: removed changed",
    "app a: retries changed",
    "app a: slow-start changed",
    "app a: when-down changed",
    "drain changed",
    "max-connections changed",
    "resolve-every changed",
  ])
})

test("apps, ports and targets come and go by name", () => {
  const other =
    "apps:\n- name: a\n  ports: 81\n  targets: [{address: b:1, weight: 2}, c:1]\n- name: z\n  ports: 90\n  targets: b:1\n"
  assert.deepEqual(settingsChanges(settings(app), settings(other)), [
    "app a: port 81 added",
    "app a: port 80 removed",
    "app a: target b:1 changed",
    "app a: target c:1 added",
    "app z: added",
  ])
  assert.deepEqual(settingsChanges(settings(app), settings(app)), [])
})

test("a listener that changes in anything but its address is told as changed", () => {
  const one = (proxyProtocol: "off" | "require") => settingsOf([appOf(80, [1], { listener: { proxyProtocol } })])
  assert.deepEqual(settingsChanges(one("off"), one("require")), ["app app: port 127.0.0.1:80 changed"])
})

test("an app that is renamed is one that went and one that came", () => {
  const named = (name: string) => settingsOf([appOf(80, [1], { name })])
  assert.deepEqual(settingsChanges(named("a"), named("b")), ["app b: added", "app a: removed"])
})
