import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer } from "node:http"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { json } from "node:stream/consumers"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { SeededRandom } from "../../../base/random.ts"
import type { Log, LogFields } from "../../../base/log.ts"
import { sampleRecord } from "../../../../test/kit/balance-samples.ts"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { SpanExporter } from "./spans.ts"
import { traceOf } from "./trace.ts"
import type { OtlpSpan } from "./trace.ts"

interface Export {
  readonly headers: IncomingMessage["headers"]
  readonly spans: readonly OtlpSpan[]
}

/** Takes what it is sent, or answers as it is told. */
async function collector(
  t: TestContext,
  answer: (response: ServerResponse) => void = (response) => response.end("{}"),
) {
  const exports: Export[] = []
  const take = async (request: IncomingMessage, response: ServerResponse) => {
    const body = (await json(request)) as { resourceSpans: { scopeSpans: { spans: OtlpSpan[] }[] }[] }
    exports.push({ headers: request.headers, spans: body.resourceSpans[0]?.scopeSpans[0]?.spans ?? [] })
    answer(response)
  }
  const server = createServer((request, response) => void take(request, response))
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { exports, endpoint: `http://127.0.0.1:${port}/v1/traces?key=secret` }
}

function exporter(endpoint: string, sample = 1) {
  const clock = new FakeClock()
  const seeded = new SeededRandom(5)
  const said: string[] = []
  const say = (event: string, fields: LogFields = {}) => void said.push(`${event} ${JSON.stringify(fields)}`)
  const log: Log = { debug: say, info: say, warn: say, error: say, with: () => log }
  const settings = { endpoint, headers: { "X-Key": "k" }, sample }
  const spans = new SpanExporter({ settings, clock, random: () => seeded.fraction(), log, version: "1.2.3" })
  return { clock, said, spans }
}

/** Until the exporter has taken note of the answer, which it hears a little after it was given. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000
  while (!condition()) {
    assert.ok(Date.now() < deadline, "it did not come")
    await settle(1)
  }
}

test("connections arrive at a collector as traces, several in one request", async (t) => {
  const { exports, endpoint } = await collector(t)
  const { clock, spans } = exporter(endpoint)
  for (let id = 1; id <= 3; id++) spans.ended(sampleRecord({ id }))
  assert.equal(exports.length, 0)
  clock.advance(2_000)
  await until(() => spans.counts.sent === 3)
  assert.deepEqual(spans.counts, { sent: 3, dropped: 0 })
  assert.equal(exports.length, 1)
  assert.equal(exports[0]?.headers["content-type"], "application/json")
  assert.equal(exports[0]?.headers["x-key"], "k")
  assert.equal(new Set(exports[0]?.spans.map(({ traceId }) => traceId)).size, 3)
  await spans.stop()
  assert.equal(clock.pending, 0)
})

test("what waits is sent when it stops", async (t) => {
  const { endpoint } = await collector(t)
  const { spans } = exporter(endpoint)
  for (let id = 0; id < 300; id++) spans.ended(sampleRecord({ id }))
  await spans.stop()
  assert.deepEqual(spans.counts, { sent: 300, dropped: 0 })
})

test("a collector that is busy gets it later, and is complained about once, without its key", async (t) => {
  const { endpoint, exports } = await collector(t, (response) => {
    response.statusCode = exports.length < 3 ? 503 : 200
    response.end()
  })
  const { clock, said, spans } = exporter(endpoint)
  spans.ended(sampleRecord())
  // Slowly, so that answers of the same event loop come long before their time-out.
  await until(() => {
    clock.advance(10)
    return spans.counts.sent === 1
  })
  assert.equal(exports.length, 3)
  assert.equal(said.length, 2)
  assert.match(said[0] ?? "", /^tracing\.failed .*v1\/traces".*HTTP 503/)
  assert.match(said[1] ?? "", /^tracing\.sent_again/)
  assert.ok(!said.join().includes("secret"))
  await spans.stop()
})

test("a collector that wants it never gets it once", async (t) => {
  const { endpoint, exports } = await collector(t, (response) => response.writeHead(400).end())
  const { spans } = exporter(endpoint)
  spans.ended(sampleRecord())
  await spans.stop()
  assert.deepEqual([exports.length, spans.counts], [1, { sent: 0, dropped: 1 }])
})

test("a collector that does not answer costs a bounded memory and no time at the end", async (t) => {
  const { endpoint } = await collector(t, () => undefined)
  const { clock, spans } = exporter(endpoint)
  for (let id = 0; id < 10_000; id++) spans.ended(sampleRecord({ id }))
  assert.equal(spans.counts.dropped, 10_000 - 4_096 - 256)
  const stopped = spans.stop(1_000)
  clock.advance(1_000)
  await stopped
  assert.deepEqual(spans.counts, { sent: 0, dropped: 10_000 })
  assert.equal(clock.pending, 0)
})

test("nobody there, and an address that is none, are failures like others", async () => {
  for (const endpoint of ["http://127.0.0.1:1/v1/traces", "nonsense"]) {
    const { said, spans } = exporter(endpoint)
    spans.ended(sampleRecord())
    await spans.stop()
    assert.deepEqual(spans.counts, { sent: 0, dropped: 1 })
    assert.match(said[0] ?? "", /^tracing\.failed/)
  }
})

test("a share of the connections is traced", () => {
  const { spans } = exporter("http://127.0.0.1:1/", 0.25)
  for (let id = 0; id < 20_000; id++) spans.ended(sampleRecord({ id }))
  const { dropped } = spans.counts
  assert.ok(Math.abs(dropped + 4_096 + 256 - 5_000) < 300, `${dropped}`)
})

test("a trace has a span for each thing that the connection waited for, within the connection's own", () => {
  const seeded = new SeededRandom(3)
  const record = sampleRecord({
    ending: "target-reset",
    detail: "ECONNRESET",
    client: "[2001:db8::7]:555",
    prefaceMs: 3,
    queuedMs: 10,
    joinedMs: 15,
    dials: [
      { target: "10.0.0.2:80", atMs: 13, ms: 1, error: "connection refused" },
      { target: "rdv:web", atMs: 14, ms: 1, error: undefined },
    ],
  })
  const [root, ...children] = traceOf(record, () => seeded.fraction()) as [OtlpSpan, ...OtlpSpan[]]
  const times = ({ startTimeUnixNano: from, endTimeUnixNano: to }: OtlpSpan) =>
    [from, to].map((each) => Number(BigInt(each) / 1_000n) / 1_000 - record.startedAt)
  assert.deepEqual(
    children.map((span) => [span.name, ...times(span), span.status.message]),
    [
      ["preface", 0, 3, undefined],
      ["queue", 3, 13, undefined],
      ["dial", 13, 14, "connection refused"],
      ["dial", 14, 15, undefined],
      ["relay", 15, 1_250.5, undefined],
    ],
  )
  assert.deepEqual(times(root), [0, 1_250.5])
  assert.deepEqual(root.status, { code: 2, message: "the target reset the connection: ECONNRESET" })
  assert.equal(root.parentSpanId, undefined)
  const value = (key: string) => root.attributes.find((each) => each.key === key)?.value
  assert.deepEqual(value("client.address"), { stringValue: "2001:db8::7" })
  assert.deepEqual(value("client.port"), { intValue: "555" })
  assert.deepEqual(value("error.type"), { stringValue: "target-reset" })
  for (const span of [root, ...children]) {
    assert.match(span.traceId, /^[0-9a-f]{32}$/)
    assert.match(span.spanId, /^[0-9a-f]{16}$/)
    assert.equal(span.traceId, root.traceId)
    if (span !== root) assert.equal(span.parentSpanId, root.spanId)
  }
})
