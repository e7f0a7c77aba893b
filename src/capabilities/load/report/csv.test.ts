import assert from "node:assert/strict"
import { test } from "node:test"
import { sampleResult } from "../../../../test/kit/load-results.ts"
import { csvSeries } from "./csv.ts"

test("each stretch is a row with as many cells as the head has names", () => {
  const rows = csvSeries(sampleResult({ seconds: 30 })).split("\r\n")
  assert.equal(rows.length, 32)
  assert.equal(rows.at(-1), "")
  const cells = rows.slice(0, -1).map((row) => row.split(","))
  assert.ok(cells.every((row) => row.length === cells[0]?.length))
  assert.ok(cells.slice(1).every((row) => row.every((cell) => cell !== "" && Number.isFinite(Number(cell)))))
})

test("a stretch without an answer has no latency instead of one of 0", () => {
  const result = sampleResult({ seconds: 2 })
  const silent = { ...result, series: result.series.map((point) => ({ ...point, completed: 0, p50: 0 })) }
  const [head, first] = csvSeries(silent).split("\r\n")
  const at = head?.split(",").indexOf("p50_ms") ?? -1
  assert.equal(first?.split(",")[at], "")
})
