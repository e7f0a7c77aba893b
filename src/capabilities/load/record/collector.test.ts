import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import type { Scenario } from "../scenario/scenario.ts"
import { Collector } from "./collector.ts"
import type { RunFacts } from "./collector.ts"
import { decodeHistogram } from "./histogram-codec.ts"
import { newHistogram, newRunHistogram, percentile, quantilesOf } from "./histogram.ts"
import { Recorder } from "./recorder.ts"
import type { Gauges } from "./recorder.ts"
import { mostPoints } from "./series.ts"

const gauges: Gauges = { connections: 2, inFlight: 1, queued: 3, loopLagMs: 1.5, cpu: 0.25 }

const scenario: Scenario = {
  name: "test",
  targets: ["one", "two"].map((label) => ({ label, protocol: "tcp", host: "127.0.0.1", port: 1, path: "" })),
  model: { kind: "closed" },
  phases: [],
  warmUpMs: 0,
  messages: { kind: "text", text: "hello world" },
  framing: { kind: "none" },
  expect: { kind: "echo" },
  pace: { pauseBeforeMs: 0, thinkMs: 0, pauseAfterMs: 0, keepAlive: true },
  ending: { stopWhen: [], drainMs: 0, timeoutMs: 1000, connectTimeoutMs: 1000 },
  thresholds: [],
  seed: 1,
}

const facts: RunFacts = {
  scenario,
  startedAt: "2026-02-03T04:05:06.000Z",
  generator: { host: "test", version: "0", cores: 1, workers: 1 },
  thresholds: [],
  ended: "duration",
}

/** Answers that took so many µs, all in one second. */
function second(recorder: Recorder, at: number, micros: readonly number[], more: Partial<Gauges> = {}, target = 0) {
  recorder.planned(micros.length)
  for (const each of micros) {
    recorder.sent(target)
    recorder.answered(target, 0, 0, each / 1000, 1, 2)
  }
  return recorder.take((at + 1) * 1000, { ...gauges, ...more })
}

test("totals, series and windows of several generators are those of one that recorded everything", () => {
  const latencies = fc.array(fc.integer({ min: 1, max: 5_000_000 }), { maxLength: 20 })
  const seconds = fc.array(latencies, { minLength: 3, maxLength: 6 })
  fc.assert(
    fc.property(fc.array(seconds, { minLength: 1, maxLength: 4 }), (generators) => {
      const collector = new Collector({ targets: 2, model: "open", warmUpMs: 0, windowMs: 300_000 })
      for (const [generator, all] of generators.entries()) {
        const recorder = new Recorder(2, "open")
        for (const [at, micros] of all.entries()) {
          collector.add(second(recorder, at, micros, {}, generator % 2), generator)
        }
      }
      const all = newHistogram()
      for (const value of generators.flat(2)) all.recordValue(value)
      const { total, targets, series } = collector.result(facts)
      assert.deepEqual(total.latency, quantilesOf(all))
      assert.equal(total.planned, all.totalCount)
      assert.equal(
        targets.reduce((sum, { completed }) => sum + completed, 0),
        total.completed,
      )
      for (const [at, point] of series.entries()) {
        const here = newHistogram()
        for (const value of generators.flatMap((each) => each[at] ?? [])) here.recordValue(value)
        assert.deepEqual(
          [point.completed, point.p99, point.max],
          [here.totalCount, percentile(here, 99), here.maxValue],
        )
        assert.deepEqual([point.atMs, point.spanMs, point.rate], [at * 1000 + 500, 1000, here.totalCount])
      }
      const shortest = Math.min(...generators.map((each) => each.length))
      assert.equal(collector.seconds, shortest)
      const part = newHistogram()
      for (const value of generators.flatMap((each) => each.slice(1, 3).flat())) part.recordValue(value)
      const window = collector.window(2, 3)
      assert.deepEqual(quantilesOf(window?.latency ?? all), quantilesOf(part))
      assert.deepEqual([window?.counts.completed, window?.spanMs], [part.totalCount, 2000])
    }),
    { numRuns: 15 },
  )
})

test("the warm-up is not counted, nor in the rate", () => {
  const collector = new Collector({ targets: 1, model: "closed", warmUpMs: 2000 })
  const recorder = new Recorder(1, "closed")
  for (const at of [0, 1]) collector.add(second(recorder, at, [900_000, 900_000]))
  for (const at of [2, 3]) collector.add(second(recorder, at, [10_000]))
  const { total, durationMs, series } = collector.result(facts)
  assert.deepEqual([total.completed, total.rate, durationMs, total.latency.max], [2, 1, 2000, 10_000])
  assert.deepEqual(
    series.map(({ atMs }) => atMs),
    [500, 1500],
  )
})

test("waiting at the end for answers that never come does not lower the rate", () => {
  const collector = new Collector({ targets: 1, model: "open", warmUpMs: 0 })
  const recorder = new Recorder(1, "open")
  collector.add(second(recorder, 0, [1000, 1000]))
  for (const at of [1, 2, 3]) collector.add(recorder.take((at + 1) * 1000, gauges))
  recorder.cut(0, 3)
  collector.add(recorder.take(4100, gauges))
  const { durationMs, total } = collector.result(facts)
  assert.deepEqual([durationMs, total.rate, total.cut], [1000, 2, 3])
})

test("a long run has a bounded series, and its merged points have the percentiles of all their values", () => {
  const collector = new Collector({ targets: 1, model: "closed", warmUpMs: 0 })
  const recorder = new Recorder(1, "closed")
  const long = mostPoints * 2 + 100
  for (let at = 0; at < long; at++) collector.add(second(recorder, at, [at + 1, 100_000]))
  const points = collector.points()
  assert.ok(points.length <= mostPoints && points.length > mostPoints / 3, `${points.length}`)
  assert.deepEqual([points[1]?.spanMs, points[1]?.atMs, points[1]?.completed, points[1]?.rate], [4000, 6000, 8, 2])
  assert.deepEqual([points[1]?.p50, points[1]?.p90], [8, 100_000])
  assert.equal(
    points.reduce((sum, { completed }) => sum + completed, 0),
    long * 2,
  )
})

test("what all generators use adds up, what slows one of them is told", () => {
  const collector = new Collector({ targets: 1, model: "closed", warmUpMs: 0 })
  for (const generator of [0, 1]) {
    const recorder = new Recorder(1, "closed")
    collector.add(second(recorder, 0, [1], { connections: 3, loopLagMs: generator * 7 }), generator)
  }
  const [point] = collector.points(1)
  assert.deepEqual([point?.connections, point?.inFlight, point?.queued, point?.loopLagMs], [6, 2, 6, 7])
  assert.deepEqual([point?.spanMs, point?.rate], [1000, 2])
})

test("a generator that left does not hold up windows", () => {
  const collector = new Collector({ targets: 1, model: "closed", warmUpMs: 0, windowMs: 5000 })
  const recorder = new Recorder(1, "closed")
  collector.add(second(new Recorder(1, "closed"), 0, [1]), 1)
  for (let at = 0; at < 4; at++) collector.add(second(recorder, at, [1]), 0)
  assert.equal(collector.seconds, 1)
  assert.equal(collector.window(3), undefined)
  collector.leave(1)
  assert.equal(collector.seconds, 4)
  assert.equal(collector.window(3)?.counts.completed, 3)
})

test("the closed model says what a stall hides", () => {
  const collector = new Collector({ targets: 1, model: "closed", warmUpMs: 0 })
  const recorder = new Recorder(1, "closed")
  // One connection, 1 ms an answer, and once in ten seconds an answer takes a whole second.
  for (let at = 0; at < 10; at++) {
    const answers = at === 5 ? [1_000_000] : Array.from({ length: 1000 }, () => 1000)
    collector.add(second(recorder, at, answers, { connections: 1 }))
  }
  const { total } = collector.result(facts)
  assert.ok(total.latency.p999 < 1010)
  // Of independent visitors every tenth would have met the stall, and waited 0.5 s in the mean.
  const { p50, p90, p99 } = total.corrected ?? total.latency
  assert.ok(p50 < 1010 && Math.abs(p99 - 900_000) < 20_000, `${p50} ${p90} ${p99}`)
  assert.equal(total.wait, undefined)
  assert.equal(new Collector({ targets: 1, model: "open", warmUpMs: 0 }).result(facts).total.corrected, undefined)
})

test("the encoded histogram of a result is that of its latency", () => {
  const collector = new Collector({ targets: 1, model: "open", warmUpMs: 0 })
  collector.add(second(new Recorder(1, "open"), 0, [1000, 2000, 3_000_000]))
  const { total } = collector.result(facts)
  const into = newRunHistogram()
  decodeHistogram(total.hdr, into)
  assert.deepEqual([into.totalCount, percentile(into, 50)], [3, total.latency.p50])
})

test("errors of a kind are added up, with the first example", () => {
  const collector = new Collector({ targets: 2, model: "open", warmUpMs: 0 })
  const recorder = new Recorder(2, "open")
  recorder.broke(0, { kind: "reset", detail: "first" })
  recorder.broke(1, { kind: "reset", detail: "second" })
  recorder.notConnected(1, { kind: "refused", detail: "third" })
  recorder.dropped(2)
  collector.add(recorder.take(1000, gauges))
  recorder.broke(0, { kind: "reset", detail: "fourth" })
  collector.add(recorder.take(2000, gauges))
  const { total, targets, series } = collector.result(facts)
  assert.deepEqual(total.errors, { reset: { count: 3, example: "first" }, refused: { count: 1, example: "third" } })
  assert.deepEqual(targets[1]?.errors.reset, { count: 1, example: "second" })
  assert.deepEqual([total.failed, total.dropped, targets[1]?.dropped], [3, 2, 0])
  assert.deepEqual(
    series.map(({ errors }) => errors),
    [5, 1],
  )
  assert.deepEqual([collector.total().counts.notConnected, collector.total(0).counts.notConnected], [1, 0])
})
