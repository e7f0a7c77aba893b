import assert from "node:assert/strict"
import { test } from "node:test"
import { trialGraph } from "./trial-graph.ts"
import { leastTime, spread } from "./trial-summary.ts"

test("times are told by their spread", () => {
  assert.deepEqual(spread([3, 1, 2]), { min: 1, median: 2, p95: 3, max: 3 })
  assert.deepEqual(spread([5]), { min: 5, median: 5, p95: 5, max: 5 })
  const hundred = Array.from({ length: 100 }, (_, at) => at + 1)
  assert.deepEqual(spread(hundred), { min: 1, median: 50, p95: 95, max: 100 })
})

test("the least time is the tightest of what the links allow", () => {
  assert.equal(leastTime(100, 10, {}), undefined)
  assert.equal(leastTime(100, 10, { senderUp: 20 }), 5)
  assert.equal(leastTime(100, 10, { senderUp: 20, receiverUp: 20, relayUp: 0 }), 5)
  assert.equal(leastTime(100, 10, { senderUp: 20, receiverUp: 1, relayUp: 0 }), 1000 / 30)
  assert.equal(leastTime(100, 10, { senderUp: 20, receiverDown: 10 }), 10)
})

test("a graph shows the clients, the median and the bound, and nothing of the title is markup", () => {
  const samples = [0, 1, 2].map((at) => ({ at, parts: [at / 2, at / 4] }))
  const svg = trialGraph({ title: "2 clients <b>", samples, done: [2, 2.5], bound: 1.5 })
  assert.match(svg, /^<svg /)
  assert.match(svg, /2 clients &lt;b&gt;/)
  assert.match(svg, /possible at best/)
  assert.equal(svg.includes("NaN"), false)
})
