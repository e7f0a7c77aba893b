import assert from "node:assert/strict"
import { test } from "node:test"
import { sampleResult } from "../../../../test/kit/load-results.ts"
import type { Result } from "../record/result.ts"
import { compare } from "./compare.ts"
import type { MetricComparison } from "./compare.ts"

const sample: Result = { ...sampleResult({ seconds: 5 }), doubts: [], overloaded: false }

/** A run with this rate and p99 (ms), and for the rest like any other. */
function run(rate: number, p99: number, more: Partial<Result> = {}): Result {
  const total = { ...sample.total, rate, latency: { ...sample.total.latency, p99: p99 * 1000 } }
  return { ...sample, total, ...more }
}

function metric(metrics: readonly MetricComparison[], name: string): MetricComparison {
  const found = metrics.find((each) => each.name === name)
  assert.ok(found !== undefined)
  return found
}

test("groups of runs are compared by their medians, with spread and a rank test", () => {
  const a = [run(1000, 20), run(1040, 22), run(980, 19), run(1010, 21)]
  const b = [run(1200, 25), run(1210, 20.5), run(1190, 26), run(1250, 24)]
  const { runs, metrics, warnings, confidence } = compare(a, b)
  assert.deepEqual([runs, warnings], [[4, 4], []])
  assert.match(confidence, /^4 runs against 4, rank test/)
  const rate = metric(metrics, "rate")
  assert.deepEqual([rate.a.median, rate.a.min, rate.a.max, rate.b.median], [1005, 980, 1040, 1205])
  assert.ok(Math.abs((rate.difference ?? 0) - 200 / 1005) < 1e-12 && Math.abs((rate.p ?? 0) - 2 / 70) < 1e-12)
  assert.equal(rate.verdict, "better")
  assert.equal(rate.statement, "rate 1,005/s → 1,205/s: 20 % higher, more than chance (p = 0.029)")
  const p99 = metric(metrics, "p99")
  assert.equal(p99.verdict, "unclear")
  assert.match(p99.statement, /^p99 20\.50 ms → 24\.50 ms: no difference shown \(p = 0\.11\)$/)
  assert.equal(metric(metrics, "p50").statement.endsWith("no difference"), true)
})

test("a higher latency is worse, a lower rate too", () => {
  const a = [10, 11, 12, 13].map((at) => run(1000 + at, at))
  const b = [20, 21, 22, 23].map((at) => run(900 + at, at))
  const { metrics } = compare(a, b)
  assert.deepEqual([metric(metrics, "rate").verdict, metric(metrics, "p99").verdict], ["worse", "worse"])
  assert.equal(metric(compare(b, a).metrics, "p99").verdict, "better")
})

test("one run a side proves nothing, and says so", () => {
  const { metrics, confidence } = compare([run(1000, 20)], [run(2000, 40)])
  assert.match(confidence, /^One run a side proves nothing/)
  for (const { p, verdict } of metrics) assert.deepEqual([p, verdict], [undefined, "unclear"])
  assert.equal(metric(metrics, "p99").statement, "p99 20.00 ms → 40.00 ms: 100 % higher, unproven")
})

test("three runs a side cannot reach what is called more than chance, and say so", () => {
  const { metrics, confidence } = compare(
    [1, 2, 3].map((at) => run(at, 1)),
    [7, 8, 9].map((at) => run(at, 1)),
  )
  assert.match(confidence, /^3 runs against 3: .* 10 of 100 cases/)
  const rate = metric(metrics, "rate")
  assert.deepEqual([rate.p, rate.verdict], [0.1, "unclear"])
  assert.match(rate.statement, /all runs of B lie above all of A, yet so few runs do so by chance, too \(p = 0\.1\)$/)
  assert.match(compare([run(1, 1)], [run(1, 1), run(1, 1)]).confidence, /^1 run against 2 prove nothing/)
})

test("errors are a share of all that is settled, and from none to some is no division by zero", () => {
  const clean = (result: Result): Result => ({
    ...result,
    total: {
      ...result.total,
      completed: 90,
      failed: 0,
      timedOut: 0,
      cut: 0,
      dropped: 0,
      neverSent: 0,
      errors: {},
    },
  })
  const faulty = clean(sample)
  const bad = { ...faulty, total: { ...faulty.total, failed: 8, errors: { reset: { count: 10, example: "" } } } }
  const errors = metric(compare([faulty], [bad]).metrics, "errors")
  assert.deepEqual([errors.a.median, errors.b.median, errors.difference], [0, 0.1, undefined])
  assert.equal(errors.statement, "errors 0 % → 10 %: up from nothing, unproven")
})

test("what makes two results hard to compare is told", () => {
  const other: Result = {
    ...sample,
    doubts: ["late"],
    durationMs: sample.durationMs * 2,
    generator: { ...sample.generator, host: "elsewhere", workers: 7 },
    scenario: { ...sample.scenario, model: { kind: "closed" } },
  }
  assert.deepEqual(compare([sample], [other]).warnings, [
    "1 result of B had doubts about its own generator",
    "The runs differ in their model or its settings",
    "The runs differ in the machine that made the load",
    "The runs differ in the number of workers",
    "The runs differ in how long they took",
  ])
})
