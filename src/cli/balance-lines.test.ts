import assert from "node:assert/strict"
import { test } from "node:test"
import type { JsonObject } from "../base/json.ts"
import { sampleApp, sampleSnapshot, sampleTarget } from "../../test/kit/balance-samples.ts"
import { balanceLines, targetState } from "./balance-lines.ts"

/** As it arrives: without what is undefined. */
const told = (value: object) => JSON.parse(JSON.stringify(value)) as JsonObject

test("status shows a balancer's apps and targets, and why connections failed, in 80 columns", () => {
  const targets = [sampleTarget("10.0.0.1:80"), sampleTarget("y".repeat(60), { obstacle: "draining" })]
  const text = balanceLines(told(sampleSnapshot({ apps: [sampleApp("web", { targets })] }))).join("\n")
  for (const line of text.split("\n")) assert.ok(line.length <= 80, line)
  assert.match(text, /^ {2}file {6}\/etc\/rdv\/config\.yaml, read again 2 times$/m)
  assert.match(text, /^ {2}now {7}5 of 9000 connections$/m)
  assert.match(text, /^ {2}web {7}round-robin on 0\.0\.0\.0:443; listening$/m)
  assert.match(text, /5 connections, 1 waiting, 240 so far, 2 failed \(2 connect-failed\)$/m)
  assert.match(text, /^ {2}10\.0\.0\.1:80 +up +3 +120 +11\.7 KiB +4\.3 MiB +0\.5 ms$/m)
  assert.match(text, /^ {2}y{25}… +draining /m)
})

test("one is not several", () => {
  const one = sampleSnapshot({
    connections: 1,
    maxConnections: undefined,
    reloads: { good: 1, bad: 0, lastError: undefined },
    apps: [sampleApp("web", { active: 1 })],
  })
  const text = balanceLines(told(one)).join("\n")
  assert.match(text, /read again 1 time\n/)
  assert.match(text, /^ {2}now {7}1 connection$/m)
  assert.match(text, /^ {12}1 connection, /m)
})

test("listeners that cannot be opened and a file that is wrong are told with their reasons", () => {
  const listeners = [{ address: "0.0.0.0:80", state: "retrying", error: "it is in use" }] as const
  const reloads = { good: 0, bad: 1, lastError: "config.yaml:3:5: no such key" }
  const text = balanceLines(told(sampleSnapshot({ reloads, apps: [sampleApp("web", { listeners })] }))).join("\n")
  assert.match(text, /the file is wrong: config\.yaml:3:5: no such key/)
  assert.match(text, /0\.0\.0\.0:80; retrying\n {12}0\.0\.0\.0:80: it is in use/)
})

test("a status of another version is shown as far as it goes", () => {
  assert.deepEqual(balanceLines({}).length, 2)
  assert.match(balanceLines({ apps: [{}] }).join("\n"), /no targets/)
})

test("the state of a target is one word, and why", () => {
  const state = (changes: Parameters<typeof sampleTarget>[1]) => targetState(told(sampleTarget("a:1", changes)))
  assert.deepEqual(
    [
      state({}),
      state({ obstacle: "down", healthReason: "HTTP 503" }),
      state({ obstacle: "down" }),
      state({ obstacle: "ejected", ejectedForMs: 12_000 }),
      state({ obstacle: "full" }),
      state({ wake: "asleep" }),
      state({ wake: "ready" }),
    ],
    ["up", "down: HTTP 503", "down", "ejected 12 s", "full", "asleep", "up"],
  )
})
