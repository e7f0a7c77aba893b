import assert from "node:assert/strict"
import { test } from "node:test"
import { columnsOf } from "../base/columns.ts"
import { sampleApp, sampleSnapshot, sampleTarget } from "../../test/kit/balance-samples.ts"
import { figuresOf } from "./top-figures.ts"
import { topFrame } from "./top-frame.ts"

const before = sampleSnapshot()
const busy = sampleTarget("10.0.0.1:80", { totals: { ...sampleTarget("").totals, connections: 170, bytesUp: 212_000 } })
const down = sampleTarget("10.0.0.2:80", { obstacle: "down", healthy: false, healthReason: "HTTP 503", active: 0 })
const app = sampleApp("web", {
  total: 290,
  endings: { done: 270, "client-reset": 3, "connect-failed": 6, "queue-full": 1, "client-gone": 2 },
  bytesUp: 224_000,
  connect: { bounds: [0.5, 1, 5], counts: [200, 130, 4, 1], sum: 150 },
  targets: [busy, down],
})
const after = sampleSnapshot({ at: before.at + 2_000, apps: [app] })
const balancer = { label: "pid 42", before, now: after }
const title = "rdv top"

test("rates are what happened between two looks, by the time between them", () => {
  const [figures] = figuresOf(before, after)
  assert.deepEqual(figures?.rates, { connections: 25, up: 100_000, down: 0, failures: 2.5 })
  assert.deepEqual(figures?.targets[0]?.rates, { connections: 25, up: 100_000, down: 0, failures: 0 })
  // All new dials are in the bucket from 0.5 to 1 ms.
  assert.deepEqual(figures?.connect, { p50: 0.75, p99: 0.995 })
  assert.deepEqual(figures?.troubles, [
    ["connect-failed", 4],
    ["client-gone", 2],
    ["queue-full", 1],
  ])
})

test("the first look, and the first after a restart, shows means since the start", () => {
  const hour = 3_600
  for (const earlier of [undefined, sampleSnapshot({ startedAt: before.startedAt - 1, apps: [app] })]) {
    assert.equal(figuresOf(earlier, before)[0]?.rates.connections, 240 / hour)
  }
})

test("a counter that fell, an app and a target that are new, are counted from 0", () => {
  const fresh = sampleApp("web", { total: 10, targets: [sampleTarget("new:1")] })
  const [figures, other] = figuresOf(before, sampleSnapshot({ at: before.at + 1_000, apps: [fresh, sampleApp("b")] }))
  assert.equal(figures?.rates.connections, 10)
  assert.equal(figures?.targets[0]?.rates.connections, 120)
  assert.equal(other?.rates.connections, 240)
})

test("a frame shows each app, what goes wrong, and each target with its state", () => {
  const lines = topFrame([balancer], { columns: 120, title })
  assert.deepEqual(
    lines.map((line) => line.replaceAll(/ {2,}/g, "  ")),
    [
      "rdv top",
      "",
      "pid 42  up 60 min  /etc/rdv/config.yaml  5 of 9000 connections",
      "APP / TARGET  STATE  NOW  WAIT  NEW/S  UP/S  DOWN/S  CONNECT  P99 FAILED/S",
      "web  listening  5  1  25.0  97.7 KiB  0 B  0.75 ms  0.99 ms  2.5",
      "  ended: 4 connect-failed, 2 client-gone, 1 queue-full",
      "  10.0.0.1:80  up  3  0  25.0  97.7 KiB  0 B  0.45 ms  0",
      "  10.0.0.2:80  down: HTTP 503  0  0  0  0 B  0 B  0.45 ms  0",
    ],
  )
})

test("no line is wider than the terminal, and no frame higher, whatever the names are", () => {
  const evil = sampleApp(`${"日本".repeat(40)}\u001b[2J\n`, { targets: [sampleTarget("x".repeat(300)), down] })
  const wrong = sampleSnapshot({ apps: [evil, app], configFile: "y".repeat(300) })
  const shown = [balancer, { label: "pid 43", before: undefined, now: wrong }]
  for (const columns of [40, 79, 80, 96, 104, 200]) {
    for (const rows of [3, 10, 24]) {
      const lines = topFrame(shown, { columns, rows, title })
      assert.ok(lines.length <= rows)
      for (const line of lines) {
        assert.doesNotMatch(line, /[\u0000-\u001f]/)
        if (columns >= 79) assert.ok(columnsOf(line) <= columns, `${columnsOf(line)} of ${columns}: ${line}`)
      }
    }
  }
  assert.equal(topFrame(shown, { columns: 80, rows: 5, title }).at(-1), "… 15 more lines")
})

test("a balancer that does not answer, a file that is wrong, and nobody at all are told", () => {
  assert.match(
    topFrame([{ ...balancer, now: undefined }], { columns: 80, title }).join("\n"),
    /pid 42 {2}does not answer/,
  )
  const reloads = { good: 1, bad: 1, lastError: "config.yaml:3:5: no such key" }
  const wrong = { ...balancer, now: sampleSnapshot({ reloads }) }
  assert.match(topFrame([wrong], { columns: 80, title }).join("\n"), /the file is wrong: config.yaml:3:5: no such key/)
  assert.match(topFrame([], { columns: 80, title }).join("\n"), /no balancer/)
})
