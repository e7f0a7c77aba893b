import assert from "node:assert/strict"
import { test } from "node:test"
import { Collector } from "../record/collector.ts"
import { Recorder } from "../record/recorder.ts"
import { Judge } from "./judge.ts"
import { parseCondition, parseThreshold } from "./threshold.ts"

const gauges = { connections: 2, inFlight: 1, queued: 0, loopLagMs: 1, cpu: 0.25 }
const labels = ["one", "two"]

/** A run of two targets, told second by second; each second is a list of latencies in ms of the first target. */
class Run {
  readonly judge: Judge
  readonly collector: Collector
  readonly recorder: Recorder = new Recorder(2, "open")
  #second = 0

  constructor(thresholds: readonly string[], stopWhen: readonly string[] = []) {
    this.judge = new Judge({
      thresholds: thresholds.map((text) => parseThreshold(text, labels)),
      stopWhen: stopWhen.map((text) => parseCondition(text, labels)),
      labels,
    })
    this.collector = new Collector({ targets: 2, model: "open", warmUpMs: 0, windowMs: this.judge.windowMs })
  }

  second(latencies: readonly number[], target = 0): string | undefined {
    this.recorder.planned(latencies.length)
    for (const latency of latencies) {
      this.recorder.sent(target)
      this.recorder.answered(target, 0, latency / 4, latency, 1, 1)
    }
    this.collector.add(this.recorder.take(++this.#second * 1000, gauges))
    return this.judge.observe(this.collector)
  }

  outcomes(): readonly (readonly [held: boolean, measured: string])[] {
    return this.judge.outcomes(this.collector).map(({ held, measured }) => [held, measured])
  }
}

// Times come out of histograms, which know three digits and round up.
test("every metric is measured over the whole run", () => {
  const run = new Run([
    "p50<21ms",
    "max<=30ms",
    "mean<20ms",
    "min<20ms",
    "wait.p50<4ms",
    "service.p50<16ms",
    "rate>=2",
    "rate>=99%",
    "errors<30%",
    "errors<2",
    "failed<1",
    "timeouts<2",
    "cut<1",
    "dropped<15%",
    "unsent<1",
    "completed>=4",
    "connect.p99<1ms",
    "two rate>1",
  ])
  run.recorder.dropped(1)
  run.recorder.planned(2)
  run.recorder.timedOut(0, { kind: "timeout", detail: "" })
  run.second([20, 20])
  run.second([20, 30])
  assert.deepEqual(run.outcomes(), [
    [true, "20.02 ms"],
    [true, "30.00 ms"],
    [false, "22.51 ms"],
    [false, "20.00 ms"],
    [false, "5.003 ms"],
    [true, "15.01 ms"],
    [true, "2/s"],
    [false, "66.67 % (4 of 6)"],
    [false, "33.33 % (2 of 6)"],
    [false, "2"],
    [true, "0"],
    [true, "1"],
    [true, "0"],
    [false, "16.67 % (1 of 6)"],
    [true, "0"],
    [true, "4"],
    [false, "nothing was measured"],
    [false, "0/s"],
  ])
})

test("errors are everything that did not end in a right answer, and connections that were not had", () => {
  const run = new Run(["errors<1", "one errors<1"])
  run.recorder.wrong(0, { kind: "wrong answer", detail: "" })
  run.recorder.broke(0, { kind: "reset", detail: "" })
  run.recorder.timedOut(0, { kind: "timeout", detail: "" })
  run.recorder.notConnected(0, { kind: "refused", detail: "" })
  run.recorder.cut(0)
  run.recorder.dropped(1)
  run.recorder.neverSent(1)
  run.second([1])
  assert.deepEqual(run.outcomes(), [
    [false, "7"],
    [false, "5"],
  ])
})

test("a window threshold is held only when every full window held, and tells the worst", () => {
  const run = new Run(["p99<20ms over 2s", "rate>=1.5 over 2s", "p99<200ms over 3s"])
  for (const latencies of [[10, 10], [10, 10], [10, 90], [10], [10, 10]]) assert.equal(run.second(latencies), undefined)
  assert.deepEqual(run.outcomes(), [
    [false, "90.00 ms (worst window: 1 s to 3 s)"],
    [true, "1.5/s (worst window: 2 s to 4 s)"],
    [true, "90.00 ms (worst window: 0 s to 3 s)"],
  ])
})

test("windows are judged all, however seldom the judge is asked", () => {
  const run = new Run(["max<20ms over 2s"])
  for (const latency of [1, 50, 1, 1, 1, 1, 1]) {
    run.recorder.answered(0, 0, 0, latency, 1, 1)
    run.collector.add(run.recorder.take((run.collector.seconds + 1) * 1000, gauges))
  }
  assert.deepEqual(run.outcomes(), [[false, "50.00 ms (worst window: 0 s to 2 s)"]])
})

test("no window begins within the grace", () => {
  const run = new Run(["max<20ms over 2s after 2s"])
  for (const latency of [50, 50, 1, 1, 1]) run.second([latency])
  assert.deepEqual(run.outcomes(), [[true, "1.000 ms (worst window: 2 s to 4 s)"]])
})

test("a window without an answer holds nothing", () => {
  const run = new Run(["p99<20ms over 1s"])
  for (const latencies of [[1], [], [1]]) run.second(latencies)
  assert.deepEqual(run.outcomes(), [[false, "nothing was measured (worst window: 1 s to 2 s)"]])
})

test("a run shorter than the window is judged as one", () => {
  const run = new Run(["max<20ms over 30s"])
  run.second([10])
  assert.deepEqual(run.outcomes(), [[true, "10.00 ms (the whole run: it was shorter than one window)"]])
})

test("abort ends the run when the threshold breaks, not within the grace, and it stays broken", () => {
  const run = new Run(["max<20ms", "mean<20ms after 3s abort"])
  assert.equal(run.second([90]), undefined)
  assert.equal(run.second([90]), undefined)
  assert.equal(run.second([90]), "threshold")
  run.second(Array.from({ length: 1000 }, () => 1))
  assert.deepEqual(run.outcomes()[1], [false, "90.02 ms (at 3 s)"])
})

test("abort of a window ends the run at the first window that breaks", () => {
  const run = new Run(["max<20ms over 2s abort"])
  assert.deepEqual([run.second([90]), run.second([1])], [undefined, "threshold"])
})

test("nothing aborts before anything was measured", () => {
  const run = new Run(["p99<20ms abort", "errors<1% abort", "rate>=99% abort"])
  assert.equal(run.second([]), undefined)
})

test("a condition ends the run when it is met, over the run or over a window", () => {
  const slow = new Run([], ["p99>100ms over 2s", "errors>=2"])
  assert.equal(slow.second([90]), undefined)
  assert.equal(slow.second([150]), "p99>100ms over 2s")
  const broken = new Run([], ["p99>100ms over 2s", "errors>=2"])
  broken.recorder.dropped(2)
  assert.equal(broken.second([]), "errors>=2")
})

test("a threshold of one target looks at that target alone", () => {
  const run = new Run(["two max<20ms", "two max<20ms over 1s", "max<20ms"])
  run.second([90])
  run.second([10], 1)
  const held = run.outcomes().map(([each]) => each)
  assert.deepEqual(held, [true, false, false])
})

test("the longest window is what the collector has to keep", () => {
  assert.equal(new Run(["max<1s over 30s"], ["max>1s over 1m"]).judge.windowMs, 60_000)
  assert.equal(new Run(["max<1s"]).judge.windowMs, 0)
})
