import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"
import { sampleApp, sampleSnapshot, sampleTarget } from "../../../../test/kit/balance-samples.ts"
import { blameOf } from "../connection/blame.ts"
import { endings } from "../connection/ending.ts"
import type { Ending } from "../connection/ending.ts"
import { metricsText } from "./metrics.ts"

/** The format's grammar, as far as we use it: comments, or a name with labels and a number. */
const comment = /^# (HELP|TYPE) rdv_balance_\w+ .+$/
const sample =
  /^(rdv_balance_\w+?)(?:\{(?:[a-z]+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[\d.]+(?:e[+-]?\d+)?|NaN|[+-]Inf)$/

function read(text: string): Map<string, number> {
  assert.ok(text.endsWith("\n"))
  const values = new Map<string, number>()
  for (const line of text.slice(0, -1).split("\n")) {
    if (comment.test(line)) continue
    assert.match(line, sample)
    const at = line.lastIndexOf(" ")
    assert.ok(!values.has(line.slice(0, at)), `twice: ${line}`)
    values.set(line.slice(0, at), Number(line.slice(at + 1)))
  }
  return values
}

test("apps and targets have the names and labels of HAProxy's exporter", () => {
  const values = read(metricsText(sampleSnapshot()))
  const expected = {
    process_current_connections: 5,
    process_max_connections: 9_000,
    'frontend_connections_total{proxy="web"}': 240,
    'frontend_bytes_out_total{proxy="web"}': 9_000_000,
    'frontend_status{proxy="web",state="UP"}': 1,
    'backend_active_servers{proxy="web"}': 2,
    'backend_current_queue{proxy="web"}': 1,
    'server_status{proxy="web",server="10.0.0.1:80",state="UP"}': 1,
    'server_status{proxy="web",server="10.0.0.1:80",state="DOWN"}': 0,
    'server_connection_errors_total{proxy="web",server="10.0.0.1:80"}': 2,
    'server_latency_seconds{proxy="web",server="10.0.0.1:80"}': 0.000_45,
  }
  for (const [name, value] of Object.entries(expected)) assert.equal(values.get(`rdv_balance_${name}`), value, name)
})

test("every reason of an end is there from the start, with whose doing it is", () => {
  const values = read(metricsText(sampleSnapshot()))
  const of = (reason: string, by: string) =>
    values.get(`rdv_balance_connection_endings_total{proxy="web",reason="${reason}",by="${by}"}`)
  assert.deepEqual([of("done", "nobody"), of("client-reset", "client"), of("failed", "us")], [230, 3, 0])
})

test("histograms are accumulated, in seconds, and agree with their count", () => {
  const values = read(metricsText(sampleSnapshot()))
  const bucket = (le: string) => values.get(`rdv_balance_connect_seconds_bucket{proxy="web",le="${le}"}`)
  assert.deepEqual([bucket("0.0005"), bucket("0.001"), bucket("0.005"), bucket("+Inf")], [200, 230, 234, 235])
  assert.equal(values.get('rdv_balance_connect_seconds_count{proxy="web"}'), 235)
  assert.equal(values.get('rdv_balance_connect_seconds_sum{proxy="web"}'), 0.15)
})

test("names with quotes, backslashes and line ends stay inside their labels", () => {
  const text = metricsText(sampleSnapshot({ apps: [sampleApp('a"b\\c\nd')] }))
  read(text)
  assert.ok(text.includes('{proxy="a\\"b\\\\c\\nd"}'))
})

test("a target that is there twice, once removed, is one series with the figures of both", () => {
  const [gone, here] = [sampleTarget("a:1", { obstacle: "removed", active: 4 }), sampleTarget("a:1", { active: 1 })]
  for (const targets of [
    [gone, here],
    [here, gone],
  ]) {
    const values = read(metricsText(sampleSnapshot({ apps: [sampleApp("web", { targets })] })))
    assert.equal(values.get('rdv_balance_server_current_sessions{proxy="web",server="a:1"}'), 5)
    assert.equal(values.get('rdv_balance_server_sessions_total{proxy="web",server="a:1"}'), 240)
    assert.equal(values.get('rdv_balance_server_status{proxy="web",server="a:1",state="UP"}'), 1)
  }
})

test("what keeps connections away is told in HAProxy's words and in ours", () => {
  const words = { disabled: "MAINT", draining: "DRAIN", ejected: "DOWN", full: "UP", weightless: "DRAIN" } as const
  for (const [obstacle, state] of Object.entries(words) as [keyof typeof words, string][]) {
    const app = sampleApp("web", { targets: [sampleTarget("a:1", { obstacle })] })
    const values = read(metricsText(sampleSnapshot({ apps: [app] })))
    assert.equal(values.get(`rdv_balance_server_status{proxy="web",server="a:1",state="${state}"}`), 1)
    assert.equal(values.get(`rdv_balance_server_obstacle{proxy="web",server="a:1",reason="${obstacle}"}`), 1)
  }
})

test("no app, no limit: nothing is said of them", () => {
  const text = metricsText(sampleSnapshot({ apps: [], maxConnections: undefined }))
  read(text)
  assert.ok(!text.includes("max_connections") && !text.includes("server_"))
})

test("the reference lists every metric with its type, and every reason with its blame", () => {
  const page = readFileSync(new URL("../../../../docs/reference/balance-metrics.md", import.meta.url), "utf8")
  const documented = [...page.matchAll(/^\| `([a-z_]+)(?:\{[a-z,]+\})?` \| (counter|gauge|histogram) \|/gm)]
  const app = sampleApp("web", { targets: [sampleTarget("a:1", { obstacle: "full" })] })
  const told = [...metricsText(sampleSnapshot({ apps: [app] })).matchAll(/^# TYPE rdv_balance_(\w+) (\w+)$/gm)]
  const pairs = (matches: RegExpExecArray[]) => matches.map(([, name, type]) => `${name} ${type}`).toSorted()
  assert.deepEqual(pairs(documented), pairs(told))
  for (const [reason, meaning] of Object.entries(endings)) {
    assert.ok(page.includes(`| \`${reason}\` | ${blameOf(reason as Ending)} | ${meaning} |`), reason)
  }
})
