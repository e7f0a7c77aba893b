import assert from "node:assert/strict"
import { test } from "node:test"
import { HistogramLogReader, listTags } from "hdr-histogram-js"
import { HdrLog } from "./hdr-log.ts"
import { Recorder } from "./recorder.ts"

const gauges = { connections: 2, inFlight: 1, queued: 3, loopLagMs: 1.5, cpu: 0.25 }
const startedAtMs = Date.UTC(2026, 1, 3, 4, 5, 6)

function logOf(model: "open" | "closed", targets: number, warmUpMs: number): string {
  let text = ""
  const log = new HdrLog({ startedAtMs, warmUpMs, model }, (more) => (text += more))
  const recorder = new Recorder(targets, model)
  for (let second = 1; second <= 3; second++) {
    for (let target = 0; target < targets; target++) {
      for (let at = 1; at <= 100; at++) recorder.answered(target, 0, at * 0.01, at * 0.01 + second, 1, 1)
    }
    log.add(recorder.take(second * 1000, gauges))
  }
  return text
}

test("the standard reader finds every interval with its tag, its times and its values", () => {
  const text = logOf("open", 2, 0)
  assert.deepEqual(listTags(text), ["wait", "service", "latency"])
  const reader = new HistogramLogReader(text)
  for (let second = 1; second <= 3; second++) {
    for (const tag of ["wait", "service", "latency"]) {
      const histogram = reader.nextIntervalHistogram()
      assert.ok(histogram !== null)
      assert.equal(histogram.tag, tag)
      assert.equal(histogram.totalCount, 200)
      assert.equal(Math.round(histogram.startTimeStampMsec), startedAtMs + (second - 1) * 1000)
      assert.equal(Math.round(histogram.endTimeStampMsec), startedAtMs + second * 1000)
      const max = tag === "wait" ? 1000 : tag === "service" ? second * 1000 : second * 1000 + 1000
      assert.ok(Math.abs(histogram.maxValue - max) <= max * 0.001, `${tag} ${histogram.maxValue}`)
    }
  }
  assert.equal(reader.nextIntervalHistogram(), null)
})

test("the maximum of a line is in ms and the closed model has no wait", () => {
  const lines = logOf("closed", 1, 0).split("\n")
  assert.deepEqual(
    lines.slice(0, 4).map((line) => line.slice(0, 16)),
    ["#[Histogram log ", "#[StartTime: 177", "#[BaseTime: 1770", '"StartTimestamp"'],
  )
  assert.match(lines[4] ?? "", /^Tag=service,0\.000,1\.000,1\.000,HISTF/)
  assert.match(lines[5] ?? "", /^Tag=latency,0\.000,1\.000,1\.000,HISTF/)
  assert.match(lines.at(-2) ?? "", /^Tag=latency,2\.000,1\.000,3\.000,HISTF/)
})

test("the warm-up is left out", () => {
  const reader = new HistogramLogReader(logOf("closed", 1, 2000))
  assert.equal(Math.round(reader.nextIntervalHistogram()?.startTimeStampMsec ?? 0), startedAtMs + 2000)
})
