import assert from "node:assert/strict"
import { test } from "node:test"
import { HistogramLogReader } from "hdr-histogram-js"
import { newHistogram } from "../record/histogram.ts"
import { HdrLog } from "./hdr-log.ts"

test("what is written can be read by HdrHistogram's own reader, with times, tags and counts", () => {
  let text = ""
  const log = new HdrLog((line) => (text += line), Date.UTC(2026, 2, 14))
  for (let second = 0; second < 3; second++) {
    const histogram = newHistogram()
    for (let value = 1; value <= 100; value++) histogram.recordValue(value * 100 * (second + 1))
    log.add(second * 1000, second * 1000 + 1000, histogram, "shop, one:5001")
  }
  log.add(3000, 4000, newHistogram())
  assert.ok(
    text.split("\n").every((line) => line === "" || /^(?:#|"|Tag=shop_one:5001,|\d)/.test(line)),
    text,
  )
  const reader = new HistogramLogReader(text)
  const p50: number[] = []
  for (let at = 0; at < 3; at++) {
    const histogram = reader.nextIntervalHistogram()
    assert.equal(histogram?.totalCount, 100)
    p50.push(histogram?.getValueAtPercentile(50) ?? 0)
  }
  assert.deepEqual(
    p50.map((value) => Math.round(value / 100)),
    [50, 100, 150],
  )
  assert.equal(reader.nextIntervalHistogram()?.totalCount, 0)
})
