import assert from "node:assert/strict"
import { test } from "node:test"
import { Collector } from "../record/collector.ts"
import type { Interval } from "../record/interval.ts"
import { Recorder } from "../record/recorder.ts"
import type { Result } from "../record/result.ts"
import { exitCode } from "./exit-code.ts"

type Judged = Parameters<typeof exitCode>[0]

function judged(record: (recorder: Recorder) => void, more: Partial<Judged> = {}): Judged {
  const recorder = new Recorder(1, "open")
  record(recorder)
  const collector = new Collector({ targets: 1, model: "open", warmUpMs: 0 })
  const interval: Interval = recorder.take(1000, { connections: 0, inFlight: 0, queued: 0, loopLagMs: 0, cpu: 0 })
  collector.add(interval)
  const { total } = collector.result({
    scenario: { targets: [] } as unknown as Result["scenario"],
    startedAt: "",
    generator: { host: "", version: "", cores: 1, workers: 1 },
    thresholds: [],
    ended: "duration",
  })
  return { total, overloaded: false, thresholds: [], ...more }
}

const broken = [{ text: "p99<1ms", held: false, measured: "2 ms" }]
const refused = (recorder: Recorder) => recorder.broke(0, { kind: "refused", detail: "" })
const answered = (recorder: Recorder) => recorder.answered(0, 0, 0, 1, 1, 1)

test("0 when everything held, 99 when a threshold did not", () => {
  assert.equal(exitCode(judged(answered)), 0)
  assert.equal(exitCode(judged(answered, { thresholds: broken })), 99)
})

test("3 when nothing was answered and no connection came about", () => {
  assert.equal(exitCode(judged(refused, { thresholds: broken, overloaded: true })), 3)
  assert.equal(exitCode(judged((recorder) => recorder.notConnected(0, { kind: "dns", detail: "" }))), 3)
})

test("not 3 when something was answered, or failed after the connection", () => {
  const both = (recorder: Recorder) => {
    refused(recorder)
    answered(recorder)
  }
  assert.equal(exitCode(judged(both)), 0)
  const reset = (recorder: Recorder) => {
    refused(recorder)
    recorder.broke(0, { kind: "reset", detail: "" })
  }
  assert.equal(exitCode(judged(reset, { thresholds: broken })), 99)
  assert.equal(exitCode(judged(() => {})), 0)
})

test("4 when the generator was overloaded, whatever the thresholds say", () => {
  assert.equal(exitCode(judged(answered, { overloaded: true })), 4)
  assert.equal(exitCode(judged(answered, { overloaded: true, thresholds: broken })), 4)
})
