import assert from "node:assert/strict"
import { test } from "node:test"
import { sampleResult } from "../../../../test/kit/load-results.ts"
import { compare } from "../judge/compare.ts"
import { columnsOf } from "../../../base/columns.ts"
import { comparisonText } from "./comparison-text.ts"
import { outcomes, textReport } from "./text.ts"

const errors = {
  timeout: { count: 40, example: "no answer within 5 s" },
  "wrong answer": { count: 12, example: `sent 12 bytes, got \u001b[2J${"x".repeat(200)}` },
}
const thresholds = [
  { text: "p99<20ms over 30s", held: false, measured: "831 ms" },
  { text: "errors<0.1%", held: true, measured: "0.08 %" },
]
const doubt = "The generator started 4,210 messages late."

test("no line is wider than 100 columns, or than a narrower terminal", () => {
  const result = sampleResult({
    labels: [`${"shop".repeat(40)}:5001`, "日本:5002"],
    errors,
    thresholds,
    doubts: [doubt.repeat(5)],
  })
  for (const columns of [60, 100, 240]) {
    for (const line of textReport(result, { columns })) assert.ok(columnsOf(line) <= Math.min(100, columns), line)
  }
})

test("the open model shows wait, service time and both for each quantile", () => {
  const { total } = sampleResult()
  const lines = textReport(sampleResult())
  const head = lines.find((line) => line.includes("wait before send")) ?? ""
  assert.match(head, /wait before send +service time +both: what a caller waits/)
  const p99 = lines.slice(lines.indexOf(head)).find((line) => line.startsWith("p99 ")) ?? ""
  assert.equal(p99.trim().split(/ +/).length, 4)
  assert.ok((total.wait?.p99 ?? 0) > 0)
})

test("doubts stand at the top and again at the end", () => {
  const lines = textReport(sampleResult({ doubts: [doubt], thresholds, errors }))
  assert.match(lines[0] ?? "", /^!! THE GENERATOR WAS OVERLOADED/)
  assert.equal(lines.filter((line) => line === `!! ${doubt}`).length, 2)
  assert.equal(lines.at(-1), `!! ${doubt}`)
})

test("each threshold has its line, and the verdict counts those not held", () => {
  const text = textReport(sampleResult({ thresholds })).join("\n")
  assert.match(text, /FAILED +p99<20ms over 30s +831 ms/)
  assert.match(text, /held +errors<0\.1% +0\.08 %/)
  assert.match(text, /1 of 2 thresholds was not held\./)
})

test("the separate counts add up to what was planned", () => {
  const result = sampleResult({ errors })
  const counts = outcomes(result.total, 5000)
  const parts = counts.slice(0, -1).reduce((sum, { count }) => sum + count, 0)
  assert.equal(parts, counts.at(-1)?.count)
  const text = textReport(result).join("\n")
  for (const { name } of counts) assert.ok(text.includes(name), name)
})

test("an error's example is one line without control characters", () => {
  const text = textReport(sampleResult({ errors })).join("\n")
  assert.ok(!text.includes("\u001b"))
  assert.match(text, /wrong answer +12 +sent 12 bytes, got \?\[2Jx+…/)
})

test("the closed model says what it hides", () => {
  const compact = textReport(sampleResult({ model: "closed" }), { compact: true }).join(" ")
  assert.match(compact, /Hidden by the closed model/)
  assert.ok(!textReport(sampleResult()).join(" ").includes("Hidden by"))
})

test("the compact table has p50, p90, p99, p99.9 and requests/s for each port and in all", () => {
  const lines = textReport(sampleResult({ model: "closed", labels: ["five:5001", "five:5200"] }), { compact: true })
  assert.match(lines[0] ?? "", /^ +p50 ms +p90 ms +p99 ms +p99\.9 ms +requests\/s$/)
  assert.deepEqual(
    lines.slice(1, 4).map((line) => line.split(/ {2,}/).length),
    [6, 6, 6],
  )
  assert.match(lines[3] ?? "", /^in all /)
})

test("a run without any answer has no latencies, and says so without a fault", () => {
  const text = textReport(sampleResult({ seconds: 0 })).join("\n")
  assert.match(text, /shop:5001 +0 +(?:NaN|–|0)/)
  assert.ok(!text.includes("NaN"))
})

test("a target that refuses every connection is not shown as one that lost nothing", () => {
  const result = sampleResult({ seconds: 0, model: "closed" })
  const total = { ...result.total, errors: { refused: { count: 50, example: "connect ECONNREFUSED 127.0.0.1:5001" } } }
  for (const compact of [true, false]) {
    const text = textReport({ ...result, total }, { compact }).join("\n")
    assert.match(text, /50 attempts to connect failed/)
    assert.match(text, /refused +50 +connect ECONNREFUSED/)
  }
})

test("colours only where the painter gives them", () => {
  const painted = textReport(sampleResult({ thresholds }), { paint: (style, text) => `<${style}>${text}` }).join("\n")
  assert.match(painted, /<red>FAILED/)
  assert.match(painted, /<green>held/)
})

test("a comparison has a line for each figure and fits the terminal", () => {
  const [a, b] = [1.5, 2].map((medianMs) =>
    [1, 2, 3].map((seed) => sampleResult({ seconds: 10, seed, medianMs, to: 300 })),
  )
  const comparison = compare(a ?? [], b ?? [])
  const lines = comparisonText(comparison, ["before.json", "after.json"])
  for (const { name } of comparison.metrics)
    assert.ok(
      lines.some((line) => line.startsWith(name)),
      name,
    )
  assert.ok(lines.every((line) => columnsOf(line) <= 100))
  assert.match(lines.join("\n"), /^p50 .*ms \(.*\+3\d %/m)
})
