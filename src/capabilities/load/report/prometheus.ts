/**
 * The running totals for Prometheus: text exposition format 0.0.4, and a server on a loopback address that answers
 * `GET /metrics` and nothing else.
 */

import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { RdvError } from "../../../base/error.ts"
import { expositionType, metricFamily } from "../../../base/exposition.ts"
import type { MetricLabels, MetricSample } from "../../../base/exposition.ts"
import type { ErrorCount } from "../record/interval.ts"
import type { Quantiles } from "../record/result.ts"

/** What is true now, since the start of the measured part. */
export interface RunningTotals {
  readonly planned: number
  readonly dropped: number
  readonly neverSent: number
  readonly connections: number
  readonly inFlight: number
  readonly queued: number
  readonly loopLagMs: number
  readonly targets: readonly RunningTarget[]
}

export interface RunningTarget {
  readonly label: string
  readonly completed: number
  readonly failed: number
  readonly timedOut: number
  readonly cut: number
  readonly connects: number
  readonly bytesSent: number
  readonly bytesReceived: number
  /** µs; `wait` only in the open model. */
  readonly wait?: Quantiles
  readonly service: Quantiles
  readonly latency: Quantiles
  readonly errors: Readonly<Partial<Record<string, ErrorCount>>>
}

export interface MetricsServer {
  /** `http://127.0.0.1:9090/metrics` */
  readonly url: string
  close(): Promise<void>
}

type MetricType = Parameters<typeof metricFamily>[1]

export function exposition(totals: RunningTotals): string {
  const { targets } = totals
  const perTarget = (value: (target: RunningTarget) => number): MetricSample[] =>
    targets.map((target) => [{ target: target.label }, value(target)])
  const outcomes = targets.flatMap((target): MetricSample[] => [
    [{ target: target.label, outcome: "completed" }, target.completed],
    [{ target: target.label, outcome: "failed" }, target.failed],
    [{ target: target.label, outcome: "timed_out" }, target.timedOut],
    [{ target: target.label, outcome: "cut" }, target.cut],
  ])
  const errors = targets.flatMap((target) =>
    Object.entries(target.errors).map(([kind, error]): MetricSample => [
      { target: target.label, kind: kind.replaceAll(" ", "_") },
      error?.count ?? 0,
    ]),
  )
  const latencies = targets.flatMap((target) => [
    ...summary({ target: target.label, part: "total" }, target.latency),
    ...summary({ target: target.label, part: "service" }, target.service),
    ...(target.wait === undefined ? [] : summary({ target: target.label, part: "wait" }, target.wait)),
  ])
  return [
    family("planned_total", "counter", "Messages that the plan started.", [[{}, totals.planned]]),
    family("messages_total", "counter", "Messages that were sent, by what became of them.", outcomes),
    family("dropped_total", "counter", "Messages for which no connection was free.", [[{}, totals.dropped]]),
    family("never_sent_total", "counter", "Messages still queued at the end.", [[{}, totals.neverSent]]),
    family("errors_total", "counter", "Errors by kind.", errors),
    family(
      "connects_total",
      "counter",
      "Connections opened.",
      perTarget((target) => target.connects),
    ),
    family(
      "sent_bytes_total",
      "counter",
      "Bytes sent.",
      perTarget((target) => target.bytesSent),
    ),
    family(
      "received_bytes_total",
      "counter",
      "Bytes received.",
      perTarget((target) => target.bytesReceived),
    ),
    family("latency_seconds", "summary", "Latency since the start: wait, service, and both.", latencies),
    family("connections", "gauge", "Connections open.", [[{}, totals.connections]]),
    family("in_flight", "gauge", "Messages sent and not answered.", [[{}, totals.inFlight]]),
    family("queued", "gauge", "Messages that wait for a connection.", [[{}, totals.queued]]),
    family("generator_lag_seconds", "gauge", "Longest turn of the generator's event loop.", [
      [{}, totals.loopLagMs / 1000],
    ]),
  ].join("")
}

/**
 * @param read Called for each scrape.
 * @throws RdvError `in_use` or `usage` when the address cannot be listened at.
 */
export async function serveMetrics(
  read: () => RunningTotals,
  { host = "127.0.0.1", port }: { readonly host?: string; readonly port: number },
): Promise<MetricsServer> {
  const server = createServer({ requestTimeout: 5000, headersTimeout: 5000, keepAliveTimeout: 70_000 })
  server.maxConnections = 16
  server.on("request", (request, response) => {
    request.resume()
    if (request.url?.split("?")[0] !== "/metrics") {
      response.writeHead(404, { "content-type": "text/plain" }).end("Only /metrics is here.\n")
    } else if (request.method !== "GET") {
      response.writeHead(405, { allow: "GET", "content-type": "text/plain" }).end("Only GET is answered.\n")
    } else {
      response.writeHead(200, { "content-type": expositionType }).end(exposition(read()))
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const code = error.code === "EADDRINUSE" ? "in_use" : "usage"
      const why = code === "in_use" ? "the address is in use" : error.message
      const mend = "Give another address with --prometheus."
      reject(new RdvError(code, `Cannot serve metrics at ${host}:${port}: ${why}`, { cause: error, mend }))
    })
    server.listen(port, host, resolve)
  })
  // A measurement never waits for who watches it.
  server.unref()
  const bound = (server.address() as AddressInfo).port
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}/metrics`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function summary(labels: MetricLabels, { count, mean, p50, p90, p99, p999, max }: Quantiles): MetricSample[] {
  const quantiles: readonly (readonly [string, number])[] = [
    ["0.5", p50],
    ["0.9", p90],
    ["0.99", p99],
    ["0.999", p999],
    ["1", max],
  ]
  // NaN is what the format has for a quantile of nothing.
  const seconds = (us: number) => (count === 0 ? Number.NaN : us / 1e6)
  return [
    ...quantiles.map(([quantile, us]): MetricSample => [{ ...labels, quantile }, seconds(us)]),
    [labels, count === 0 ? 0 : (mean * count) / 1e6, "_sum"],
    [labels, count, "_count"],
  ]
}

function family(name: string, type: MetricType, help: string, samples: readonly MetricSample[]): string {
  return metricFamily(`rdv_load_${name}`, type, help, samples)
}
