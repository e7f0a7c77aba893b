import assert from "node:assert/strict"
import { test } from "node:test"
import { sampleResult } from "../../../../test/kit/load-results.ts"
import { exposition, serveMetrics } from "./prometheus.ts"
import type { RunningTotals } from "./prometheus.ts"

const errors = { "wrong answer": { count: 12, example: "x" } }
const { targets, total } = sampleResult({ seconds: 5, errors, labels: ['shop"\\\n:5001', "shop:5002"] })
const totals: RunningTotals = { ...total, connections: 64, inFlight: 3, queued: 0, loopLagMs: 1.5, targets }

test("every line is a comment or a sample, each family is announced once and stands together", () => {
  const text = exposition(totals)
  assert.ok(text.endsWith("\n"))
  const announced: string[] = []
  for (const line of text.trimEnd().split("\n")) {
    const type = /^# TYPE (\w+) (?:counter|gauge|summary)$/.exec(line)?.[1]
    if (type !== undefined) announced.push(type)
    else if (!line.startsWith("# HELP ")) {
      const name = /^(\w+)(?:\{(?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)+\})? (?:NaN|-?[\d.e+-]+)$/.exec(line)?.[1]
      assert.equal(name?.replace(/_(?:sum|count)$/, ""), announced.at(-1), line)
    }
  }
  assert.equal(new Set(announced).size, announced.length)
})

test("latencies are summaries in seconds, with wait, service and total apart", () => {
  const text = exposition(totals)
  const value = /latency_seconds\{target="shop:5002",part="total",quantile="0\.99"\} (\S+)/.exec(text)?.[1]
  assert.equal(Number(value), (targets[1]?.latency.p99 ?? 0) / 1e6)
  assert.match(text, /part="wait",quantile="0\.999"/)
  assert.match(text, /errors_total\{target="shop:5002",kind="wrong_answer"\} 12/)
})

test("the server answers GET /metrics, and nothing else", async () => {
  const server = await serveMetrics(() => totals, { port: 0 })
  try {
    const answer = await fetch(server.url)
    assert.equal(answer.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8")
    assert.equal(await answer.text(), exposition(totals))
    assert.equal((await fetch(new URL("/", server.url))).status, 404)
    assert.equal((await fetch(server.url, { method: "POST", body: "x" })).status, 405)
    await assert.rejects(
      serveMetrics(() => totals, { port: Number(new URL(server.url).port) }),
      { code: "in_use" },
    )
  } finally {
    await server.close()
  }
})
