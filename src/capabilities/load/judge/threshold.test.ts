import assert from "node:assert/strict"
import { test } from "node:test"
import { RdvError } from "../../../base/error.ts"
import { parseCondition, parseThreshold } from "./threshold.ts"
import type { Threshold } from "./threshold.ts"

const right: readonly (readonly [text: string, wanted: Partial<Threshold>])[] = [
  ["p99<20ms", { metric: { kind: "time", of: "latency", statistic: 99 }, comparison: "<", bound: 20_000, unit: "µs" }],
  ["p99.9 <= 1s", { metric: { kind: "time", of: "latency", statistic: 99.9 }, comparison: "<=", bound: 1e6 }],
  ["p99 < 1 s over 30s", { bound: 1e6, windowSeconds: 30 }],
  ["mean<500us", { metric: { kind: "time", of: "latency", statistic: "mean" }, bound: 500 }],
  ["max<=2m", { bound: 120e6 }],
  ["wait.p99<1ms", { metric: { kind: "time", of: "wait", statistic: 99 }, bound: 1000 }],
  ["service.p50<0.5ms", { metric: { kind: "time", of: "service", statistic: 50 }, bound: 500 }],
  ["connect.max<50ms", { metric: { kind: "time", of: "connect", statistic: "max" } }],
  ["errors<0.1%", { metric: { kind: "count", of: "errors" }, bound: 0.001, unit: "share" }],
  ["failed<5", { metric: { kind: "count", of: "failed" }, bound: 5, unit: "count" }],
  ["dropped<1%", { metric: { kind: "count", of: "dropped" }, bound: 0.01 }],
  ["completed>=1000", { metric: { kind: "count", of: "completed" }, comparison: ">=", bound: 1000 }],
  ["rate>=5000", { metric: { kind: "rate" }, bound: 5000, unit: "per second" }],
  ["rate>=300/m", { bound: 5 }],
  ["rate>=99%", { bound: 0.99, unit: "share" }],
  ["p99<20ms over 30s after 10s abort", { windowSeconds: 30, afterMs: 10_000, abort: true }],
  ["errors<5% abort after 500ms", { windowSeconds: undefined, afterMs: 500, abort: true }],
  [
    "five-thousand:5001 p99<20ms",
    { target: "five-thousand:5001", metric: { kind: "time", of: "latency", statistic: 99 } },
  ],
  ["https://example.test/?a=b rate>1", { target: "https://example.test/?a=b" }],
]

for (const [text, wanted] of right) {
  test(`"${text}" is understood`, () => {
    const threshold = parseThreshold(text)
    assert.deepEqual({ ...threshold, ...wanted }, threshold)
    assert.equal(threshold.text, text)
  })
}

const wrong: readonly (readonly [text: string, message: RegExp, mend: RegExp])[] = [
  ["", /is not a condition/, /p99<20ms/],
  ["p99", /is not a condition/, /p99<20ms/],
  ["p99=20ms", /is not a condition/, /p99<20ms/],
  ["<20ms", /names no metric/, /p99<20ms/],
  ["p99<20", /"20" has no unit/, /20ms/],
  ["p99<5%", /"5%" is not a time/, /20ms/],
  ["p99<20sec", /is not a condition/, /p99<20ms/],
  ["p999<20ms", /asks for the percentile 999/, /write p99\.9/],
  ["p0<20ms", /has no metric "p0"/, /p50 to p99.99/],
  ["avg<20ms", /has no metric "avg"/, /mean/],
  ["waits.p99<20ms", /has no metric/, /wait\./],
  ["wait.rate<20ms", /has no metric/, /wait\./],
  ["errors<1.5", /neither a count nor a share/, /0\.1%/],
  ["errors<5ms", /neither a count nor a share/, /0\.1%/],
  ["errors<200%", /not a percentage/, /0\.1%/],
  ["rate>=5ms", /is not a rate/, /5000\/s/],
  ["p99>20ms", /would hold only when it is bad/, /write what has to hold: p99<20ms/],
  ["errors>=5%", /would hold only when it is bad/, /errors<=5%/],
  ["completed>=1000 abort", /only at the end/, /leave "abort" away/],
  ["p99<20ms over 500ms", /whole seconds from 1s to 5m/, /over 30s/],
  ["p99<20ms over 10m", /whole seconds from 1s to 5m/, /over 30s/],
  ["p99<20ms over", /is not a duration/, /10s/],
  ["p99<20ms over 30", /has no unit/, /30s/],
  ["p99<20ms after x", /is not a duration/, /10s/],
  ["p99<20ms abort abort", /ends with "abort"/, /once/],
  ["p99<20ms please", /ends with "please"/, /"over 30s"/],
  ["seven:7 p99<20ms", /the target "seven:7", which is not there/, /one of: one, two/],
  ["one dropped<5", /cannot be told of one target/, /leave the target away/],
]

for (const [text, message, mend] of wrong) {
  test(`"${text}" is refused in one line with its mend`, () => {
    assert.throws(
      () => parseThreshold(text, ["one", "two"]),
      (error) => {
        assert.ok(error instanceof RdvError && error.code === "usage")
        assert.ok(error.message.startsWith(JSON.stringify(text)) && !error.message.includes("\n"), error.message)
        assert.match(error.message, message)
        assert.match(error.mend ?? "", mend)
        return true
      },
    )
  })
}

test("a condition may say what is bad, and needs no abort", () => {
  assert.equal(parseCondition("p99>1s over 10s").comparison, ">")
  assert.equal(parseCondition("errors>5%").bound, 0.05)
  assert.throws(() => parseCondition("errors>5% abort"), RdvError)
})
