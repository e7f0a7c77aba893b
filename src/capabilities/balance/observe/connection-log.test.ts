import assert from "node:assert/strict"
import { test } from "node:test"
import type { Log, LogFields } from "../../../base/log.ts"
import { sampleRecord } from "../../../../test/kit/balance-samples.ts"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import type { LogSettings } from "../config/settings.ts"
import { ConnectionLog } from "./connection-log.ts"

function logged(connections: LogSettings["connections"] = "all") {
  const lines: (LogFields & { readonly level: string; readonly event: string })[] = []
  const at = (level: string) => (event: string, fields?: LogFields) => void lines.push({ level, event, ...fields })
  const log: Log = { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error"), with: () => log }
  const clock = new FakeClock()
  return { lines, clock, log: new ConnectionLog({ log, clock, settings: () => ({ connections }) }) }
}

test("a connection is told with who, where, why, how long, how much and how it ended", () => {
  const { lines, log } = logged()
  log.ended(
    sampleRecord({
      attempts: 2,
      why: "retry 1",
      connectMs: 0.123_456,
      dials: [
        { target: "10.0.0.2:80", atMs: 0.1, ms: 0.2, error: "connection refused" },
        { target: "10.0.0.1:80", atMs: 0.3, ms: 0.123_456, error: undefined },
      ],
    }),
  )
  assert.deepEqual(JSON.parse(JSON.stringify(lines)), [
    {
      level: "info",
      event: "connection.ended",
      id: 7,
      app: "web",
      listener: "0.0.0.0:443",
      client: "192.0.2.9:40001",
      target: "10.0.0.1:80",
      why: "retry 1",
      ending: "done",
      by: "nobody",
      attempts: 2,
      failed: ["10.0.0.2:80: connection refused"],
      connectMs: 0.123,
      firstByteMs: 2.1,
      durationMs: 1_250.5,
      bytesUp: 120,
      bytesDown: 45_000,
    },
  ])
})

test("what targets do wrong is a warning, what we do wrong an error, what clients do is neither", () => {
  const { lines, log } = logged()
  for (const ending of ["client-reset", "target-reset", "failed"] as const) log.ended(sampleRecord({ ending }))
  assert.deepEqual(
    lines.map(({ level }) => level),
    ["info", "warn", "error"],
  )
})

test("those in good order, or all, are left out where the settings say so", () => {
  for (const [connections, expected] of [
    ["all", ["done", "lifetime"]],
    ["failed", ["lifetime"]],
    ["none", []],
  ] as const) {
    const { lines, log } = logged(connections)
    log.ended(sampleRecord())
    log.ended(sampleRecord({ ending: "lifetime" }))
    assert.deepEqual(
      lines.map(({ ending }) => ending),
      expected,
    )
  }
})

test("a flood of refused connections gets a hundred lines a second, and a count of the rest", () => {
  const { lines, clock, log } = logged()
  const refused = sampleRecord({ ending: "denied", target: undefined })
  for (let count = 0; count < 1_000; count++) log.ended(refused)
  log.ended(sampleRecord())
  assert.equal(lines.length, 101)
  clock.advance(1_000)
  log.ended(refused)
  assert.deepEqual(
    lines.slice(101).map(({ event, count }) => [event, count]),
    [
      ["connections.untold", 900],
      ["connection.ended", undefined],
    ],
  )
})
