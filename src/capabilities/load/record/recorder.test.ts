import assert from "node:assert/strict"
import { test } from "node:test"
import { Recorder } from "./recorder.ts"
import type { Gauges } from "./recorder.ts"

const gauges: Gauges = { connections: 2, inFlight: 1, queued: 0, loopLagMs: 3, cpu: 0.5 }

test("an open message is recorded as wait, service and their sum, in whole µs", () => {
  const recorder = new Recorder(2, "open")
  recorder.planned(1)
  recorder.sent(1)
  recorder.answered(1, 10, 12.5, 20, 5, 7)
  const { targets, planned, fromMs, toMs, connections, cpu } = recorder.take(1000, gauges)
  assert.deepEqual([planned, fromMs, toMs, connections, cpu], [1, 0, 1000, 2, 0.5])
  const [idle, used] = targets
  assert.equal(idle?.service.totalCount, 0)
  assert.deepEqual([used?.wait.maxValue, used?.service.maxValue, used?.total.maxValue], [2500, 7500, 10_000])
  assert.deepEqual([used?.sent, used?.completed, used?.bytesReceived, used?.bytesSent], [1, 1, 5, 7])
})

test("in the closed model nothing waits, and the total is the service", () => {
  const recorder = new Recorder(1, "closed")
  recorder.answered(0, Number.NaN, 1, 2, 0, 0)
  const [target] = recorder.take(1000, gauges).targets
  assert.equal(target?.wait.totalCount, 0)
  assert.equal(target?.total, target?.service)
  assert.equal(target?.service.maxValue, 1000)
})

test("an interval stays as it is until the next one is taken, and histograms are used again", () => {
  const recorder = new Recorder(1, "open")
  recorder.answered(0, 0, 0, 1, 0, 0)
  const first = recorder.take(1000, gauges)
  recorder.answered(0, 0, 0, 2, 0, 0)
  recorder.answered(0, 0, 0, 3, 0, 0)
  assert.equal(first.targets[0]?.service.totalCount, 1)
  const second = recorder.take(2000, gauges)
  assert.deepEqual([second.fromMs, second.toMs, second.targets[0]?.service.totalCount], [1000, 2000, 2])
  recorder.answered(0, 0, 0, 4, 0, 0)
  const third = recorder.take(3000, gauges)
  assert.equal(third.targets[0]?.service, first.targets[0]?.service)
  assert.deepEqual([third.targets[0]?.completed, third.targets[0]?.service.maxValue], [1, 4000])
})

test("each way to fail has its count, and an error kind its number and its first example", () => {
  const recorder = new Recorder(1, "open")
  recorder.wrong(0, { kind: "wrong answer", detail: "first" }, 3, 4)
  recorder.wrong(0, { kind: "wrong answer", detail: "second" })
  recorder.broke(0, { kind: "reset", detail: "reset by peer" })
  recorder.timedOut(0, { kind: "timeout", detail: "no answer in 5 s" })
  recorder.notConnected(0, { kind: "refused", detail: "refused" })
  recorder.cut(0, 2)
  recorder.cut(0)
  recorder.dropped(4)
  recorder.neverSent(5)
  recorder.connected(0, 1.5)
  recorder.bytes(0, 1, 2)
  const { targets, dropped, neverSent } = recorder.take(1000, gauges)
  assert.deepEqual([dropped, neverSent], [4, 5])
  const target = targets[0]
  assert.deepEqual([target?.failed, target?.timedOut, target?.cut, target?.connects], [3, 1, 3, 1])
  assert.deepEqual([target?.bytesReceived, target?.bytesSent, target?.connect.maxValue], [4, 6, 1500])
  assert.deepEqual(target?.errors, {
    "wrong answer": { count: 2, example: "first" },
    reset: { count: 1, example: "reset by peer" },
    timeout: { count: 1, example: "no answer in 5 s" },
    refused: { count: 1, example: "refused" },
  })
  assert.deepEqual(recorder.take(2000, gauges).targets[0]?.errors, {})
})

test("times that no histogram holds are recorded at its edge and counted; less than half a µs is not counted", () => {
  const recorder = new Recorder(1, "open")
  recorder.answered(0, 1, 1.0002, 3_700_000, 0, 0)
  recorder.late(-5)
  recorder.late(Number.NaN)
  const { targets, late, clamped } = recorder.take(1000, gauges)
  assert.equal(clamped, 4)
  assert.deepEqual([targets[0]?.wait.maxValue, targets[0]?.service.maxValue], [1, 3_600_000_000])
  assert.deepEqual([late.totalCount, late.maxValue], [2, 1])
})
