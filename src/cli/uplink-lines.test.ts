import assert from "node:assert/strict"
import { test } from "node:test"
import type { UplinkEvent } from "../agent/uplink.ts"
import { RdvError } from "../base/error.ts"
import { Output } from "./output.ts"
import { span, UplinkLines } from "./uplink-lines.ts"

const lost: UplinkEvent = { kind: "down", error: new RdvError("link_lost", "Nothing arrived for 10000 ms") }
const retry: UplinkEvent = { kind: "retry", error: new RdvError("unreachable", "no way"), retryMs: 50 }

function told(events: readonly UplinkEvent[], json: boolean): string[] {
  const lines: string[] = []
  const sink = { write: (text: string) => lines.push(text.trimEnd()) }
  const uplink = new UplinkLines(new Output({ stdout: sink, stderr: sink, json, env: {} }), "tcp://relay.test:1")
  for (const event of events) uplink.hear(event)
  return lines
}

test("people hear of a cut once, of a lasting reason once, and of the return", () => {
  const again: UplinkEvent = { kind: "up", again: true, downMs: 312.4 }
  assert.deepEqual(told([{ kind: "up", again: false, downMs: 0 }, lost, lost, retry, retry, again, lost], false), [
    "rdv: link lost: Nothing arrived for 10000 ms; reconnecting",
    "rdv: no way; trying again",
    "rdv: resumed after 312 ms; nothing was lost",
    "rdv: link lost: Nothing arrived for 10000 ms; reconnecting",
  ])
})

test("a new session behind a cut is not called a resumed one", () => {
  const events: UplinkEvent[] = [
    { kind: "up", again: false, downMs: 0 },
    lost,
    { kind: "up", again: false, downMs: 61_000 },
  ]
  assert.equal(told(events, false).at(-1), "rdv: connected again with a new session, after 61 s")
})

test("programs hear everything, as JSON, on standard output", () => {
  const records = told([lost, retry, retry], true).map((line) => JSON.parse(line) as { event: string; code: string })
  assert.deepEqual(
    records.map(({ event, code }) => [event, code]),
    [
      ["link.lost", "link_lost"],
      ["link.retry", "unreachable"],
      ["link.retry", "unreachable"],
    ],
  )
})

test("what a relay says cannot command the terminal", () => {
  const error = new RdvError("draining", "bye\u001b[2J", { origin: "remote" })
  assert.deepEqual(told([{ kind: "down", error }], false), ["rdv: link lost: bye?[2J; reconnecting"])
})

test("spans read well", () => {
  assert.deepEqual([12.4, 850, 1_000, 12_340, 180_000, 86_400_000].map(span), [
    "12 ms",
    "850 ms",
    "1 s",
    "12.3 s",
    "3 min",
    "24 h",
  ])
})
