/** Delays that are known, against what is measured. Runs alone (`scripts/test.mjs`): other tests would be measured, too. */

import assert from "node:assert/strict"
import { test } from "node:test"
import { startDelayServer } from "../../../test/kit/delay-server.ts"
import { bestOf, open, rate, run, scenario } from "../../../test/kit/load-plan.ts"
import type { Wanted } from "../../../test/kit/load-plan.ts"
import type { Quantiles } from "./record/result.ts"

/** What the way takes without any delay, µs: on an idle virtual machine each wake-up costs tens of microseconds. */
async function wayUs(wanted: Wanted): Promise<Quantiles> {
  const server = await startDelayServer("none")
  try {
    return (await run(scenario([server.port], wanted))).total.latency
  } finally {
    await server.stop()
  }
}

/** Not less than the delay, and not more than delay and way, within 1 % or 0.2 ms. */
function near(measuredUs: number, delayMs: number, way: number, what: string): void {
  const delay = delayMs * 1000
  const slack = Math.max(200, delay / 100)
  assert.ok(measuredUs >= delay - slack, `${what}: ${measuredUs} µs is less than the delay of ${delayMs} ms`)
  assert.ok(measuredUs <= delay + way + slack, `${what}: ${measuredUs} µs, not ${delayMs} ms and a way of ${way} µs`)
}

test("a fixed delay is measured as what it is, in both models", async () => {
  const opened: Wanted = { model: open(32), phases: rate(200, 1) }
  const way = await wayUs(opened)
  await bestOf(8, "fixed", opened, ({ total }) => {
    near(total.latency.p50, 10, way.p50, "open p50")
    near(total.latency.p75, 10, way.p75, "open p75")
    assert.equal(total.completed, 200)
  })
  await bestOf(8, "fixed", { model: { kind: "closed" }, phases: rate(4, 1) }, ({ total }) => {
    near(total.latency.p50, 10, way.p50, "closed p50")
    near(total.latency.p75, 10, way.p75, "closed p75")
  })
})

test("a distribution with two humps comes out as one", async () => {
  const wanted: Wanted = { model: open(64), phases: rate(400, 1) }
  const way = await wayUs(wanted)
  await bestOf(8, "bimodal", wanted, ({ total }) => {
    near(total.latency.p50, 2, way.p50, "p50")
    near(total.latency.p75, 2, way.p75, "p75")
    near(total.latency.p95, 20, way.p95, "p95")
  })
})

test("the open model shows a stall that the closed model hides, and the closed model says so", async () => {
  const seconds = 4
  // Stands still for 1 s: of 3 s, a third of the independent callers wait, half a second in the mean.
  await bestOf(3, "stall", { model: open(8), phases: rate(250, seconds) }, ({ total }) => {
    assert.equal(total.completed, 250 * seconds)
    assert.ok(total.latency.p999 > 900_000, `open p99.9 ${total.latency.p999} µs`)
    assert.ok(total.latency.p90 > 300_000, `open p90 ${total.latency.p90} µs`)
    // The wait is most of it: eight connections cannot carry what came in the meantime.
    assert.ok((total.wait?.p99 ?? 0) > 500_000, `wait p99 ${total.wait?.p99} µs`)
  })
  await bestOf(3, "stall", { model: { kind: "closed" }, phases: rate(8, seconds) }, ({ total }) => {
    assert.ok(total.latency.p99 < 100_000, `closed p99 ${total.latency.p99} µs`)
    assert.ok(total.latency.max > 900_000, `closed max ${total.latency.max} µs`)
    assert.ok((total.corrected?.p90 ?? 0) > 100_000, `corrected p90 ${total.corrected?.p90} µs`)
  })
})
