/**
 * A snapshot for Prometheus. Where HAProxy's exporter has a figure, ours has its name and labels with `rdv_balance` in the
 * place of `haproxy` (an app is `proxy`, a target `server`, "in" is from the client), so that boards and alerts move over
 * with one replacement; the others follow behind. docs/reference/balance-metrics.md lists all.
 */

import { metricFamily } from "../../../base/exposition.ts"
import type { MetricLabels, MetricSample } from "../../../base/exposition.ts"
import { blameOf } from "../connection/blame.ts"
import { endings } from "../connection/ending.ts"
import type { Ending } from "../connection/ending.ts"
import { oneOfEachName } from "./same-name.ts"
import type { AppSnapshot, HistogramSnapshot, Snapshot, TargetSnapshot } from "./snapshot.ts"

/** The whole answer to a scrape. */
export function metricsText(snapshot: Snapshot): string {
  const apps = snapshot.apps.map((app) => ({ ...app, targets: oneOfEachName(app.targets) }))
  return [...processFamilies(snapshot), ...appFamilies(apps), ...targetFamilies(apps)].join("")
}

function processFamilies(snapshot: Snapshot): string[] {
  const { connections, maxConnections, startedAt, reloads } = snapshot
  const total = snapshot.apps.reduce((sum, app) => sum + app.total, 0)
  return [
    gauge("process_current_connections", "Connections of all apps.", [[{}, connections]]),
    gauge(
      "process_max_connections",
      "Connections that there may be.",
      maxConnections === undefined ? [] : [[{}, maxConnections]],
    ),
    counter("process_connections_total", "Connections that came.", [[{}, total]]),
    gauge("process_start_time_seconds", "When it started, since 1970.", [[{}, startedAt / 1_000]]),
    counter("reloads_total", "Times that the configuration was read again.", [
      [{ result: "good" }, reloads.good],
      [{ result: "bad" }, reloads.bad],
    ]),
    gauge("reload_last_good", "0 when the file on disk is not what runs, because it is wrong.", [
      [{}, reloads.lastError === undefined ? 1 : 0],
    ]),
  ]
}

function appFamilies(apps: readonly AppSnapshot[]): string[] {
  const each = (value: (app: AppSnapshot) => number): MetricSample[] =>
    apps.map((app) => [{ proxy: app.name }, value(app)])
  const inState = (state: (app: AppSnapshot) => "UP" | "DOWN") =>
    apps.flatMap((app) => states({ proxy: app.name }, ["DOWN", "UP"], state(app)))
  const times = (histogram: (app: AppSnapshot) => HistogramSnapshot) =>
    apps.flatMap((app) => buckets({ proxy: app.name }, histogram(app)))
  const listening = apps.flatMap((app) =>
    app.listeners.map((listener): MetricSample => [
      { proxy: app.name, address: listener.address },
      listener.state === "listening" ? 1 : 0,
    ]),
  )
  const ends = apps.flatMap((app) =>
    // All of them from the start: an alert on growth does not see a series that begins with its first event.
    (Object.keys(endings) as Ending[]).map((reason): MetricSample => [
      { proxy: app.name, reason, by: blameOf(reason) },
      app.endings[reason] ?? 0,
    ]),
  )
  return [
    gauge(
      "frontend_status",
      "1 for the state it is in.",
      inState(({ listeners }) => (listeners.some(({ state }) => state === "listening") ? "UP" : "DOWN")),
    ),
    gauge(
      "frontend_current_sessions",
      "Connections, with those that wait.",
      each(({ active }) => active),
    ),
    counter(
      "frontend_connections_total",
      "Connections that came.",
      each(({ total }) => total),
    ),
    counter("frontend_denied_connections_total", "Connections that the access rules refused.", each(denied)),
    counter(
      "frontend_bytes_in_total",
      "Bytes from clients.",
      each(({ bytesUp }) => bytesUp),
    ),
    counter(
      "frontend_bytes_out_total",
      "Bytes to clients.",
      each(({ bytesDown }) => bytesDown),
    ),
    gauge(
      "backend_status",
      "1 for the state it is in.",
      inState(({ targets }) => (targets.some(isUp) ? "UP" : "DOWN")),
    ),
    gauge("backend_current_sessions", "Connections that are joined to a target.", each(joined)),
    gauge(
      "backend_current_queue",
      "Connections that wait because all targets are full.",
      each(({ queued }) => queued),
    ),
    gauge(
      "backend_active_servers",
      "Targets that get connections.",
      each(({ targets }) => targets.filter(isUp).length),
    ),
    counter(
      "backend_connection_errors_total",
      "Dials that failed.",
      each(({ targets }) => targets.reduce((sum, { totals }) => sum + totals.connectFailures, 0)),
    ),
    counter(
      "backend_redispatch_warnings_total",
      "Dials of another target because one had failed.",
      each(({ targets }) => targets.reduce((sum, { totals }) => sum + totals.retries, 0)),
    ),
    gauge("listener_up", "Whether the app listens there.", listening),
    gauge(
      "panic",
      "1 while health is ignored because too few targets are usable.",
      each(({ panic }) => (panic ? 1 : 0)),
    ),
    counter("connection_endings_total", "Connections that ended, by the reason and by whose doing it was.", ends),
    histogram(
      "connect_seconds",
      "How long the dial took that worked.",
      times(({ connect }) => connect),
    ),
    histogram(
      "queue_seconds",
      "How long connections waited for a target with room.",
      times(({ queue }) => queue),
    ),
    histogram(
      "duration_seconds",
      "How long connections lived.",
      times(({ duration }) => duration),
    ),
  ]
}

function targetFamilies(apps: readonly AppSnapshot[]): string[] {
  const all = apps.flatMap((app) =>
    app.targets.map((target) => ({ target, labels: { proxy: app.name, server: target.name } })),
  )
  const each = (value: (target: TargetSnapshot) => number): MetricSample[] =>
    all.map(({ target, labels }) => [labels, value(target)])
  const total = (name: keyof TargetSnapshot["totals"]) => each(({ totals }) => totals[name])
  return [
    gauge(
      "server_status",
      "1 for the state it is in.",
      all.flatMap(({ target, labels }) => states(labels, serverStates, serverState(target))),
    ),
    gauge(
      "server_obstacle",
      "1 for what keeps new connections away.",
      all.flatMap(({ target: { obstacle }, labels }): MetricSample[] =>
        obstacle === undefined ? [] : [[{ ...labels, reason: obstacle }, 1]],
      ),
    ),
    gauge(
      "server_current_sessions",
      "Connections.",
      each(({ active }) => active),
    ),
    gauge(
      "server_pending",
      "Dials under way.",
      each(({ pending }) => pending),
    ),
    gauge(
      "server_idle_connections_current",
      "Connections that stand ready.",
      each(({ warm }) => warm),
    ),
    gauge(
      "server_weight",
      "Weight.",
      each(({ weight }) => weight),
    ),
    counter("server_sessions_total", "Connections.", total("connections")),
    counter("server_bytes_in_total", "Bytes from clients.", total("bytesUp")),
    counter("server_bytes_out_total", "Bytes to clients.", total("bytesDown")),
    counter("server_connection_errors_total", "Dials that failed.", total("connectFailures")),
    counter("server_early_resets_total", "Connections that it reset before its first byte.", total("earlyResets")),
    counter("server_retries_total", "Dials that came here because another target had failed.", total("retries")),
    counter("server_ejections_total", "Times that it was taken out for its failures.", total("ejections")),
    counter("server_checks_total", "Health checks.", total("checks")),
    counter("server_check_failures_total", "Health checks that failed.", total("checkFailures")),
    counter("server_wakes_total", "Times that it was started.", total("wakes")),
    gauge(
      "server_latency_seconds",
      "Connect time, with its peaks.",
      all.flatMap(({ target: { latencyMs }, labels }): MetricSample[] =>
        latencyMs === undefined ? [] : [[labels, seconds(latencyMs)]],
      ),
    ),
  ]
}

const serverStates = ["DOWN", "UP", "MAINT", "DRAIN"] as const

/** HAProxy's words; `server_obstacle` has ours. */
function serverState({ obstacle }: TargetSnapshot): (typeof serverStates)[number] {
  switch (obstacle) {
    case undefined:
    case "full":
      return "UP"
    case "disabled":
      return "MAINT"
    case "draining":
    case "removed":
    case "weightless":
      return "DRAIN"
    case "down":
    case "ejected":
    case "open":
      return "DOWN"
  }
}

function isUp(target: TargetSnapshot): boolean {
  return serverState(target) === "UP"
}

function denied({ endings: ended }: AppSnapshot): number {
  return ended.denied ?? 0
}

function joined({ targets }: AppSnapshot): number {
  return targets.reduce((sum, { active }) => sum + active, 0)
}

function states(labels: MetricLabels, all: readonly string[], now: string): MetricSample[] {
  return all.map((state) => [{ ...labels, state }, state === now ? 1 : 0])
}

function buckets(labels: MetricLabels, { bounds, counts, sum }: HistogramSnapshot): MetricSample[] {
  let below = 0
  const samples = [...bounds, Infinity].map((bound, at): MetricSample => {
    below += counts[at] ?? 0
    const le = bound === Infinity ? "+Inf" : String(seconds(bound))
    return [{ ...labels, le }, below, "_bucket"]
  })
  return [...samples, [labels, seconds(sum), "_sum"], [labels, below, "_count"]]
}

/** Without the digits that binary fractions invent. */
function seconds(ms: number): number {
  return Number((ms / 1_000).toPrecision(12))
}

function counter(name: string, help: string, samples: readonly MetricSample[]): string {
  return metricFamily(`rdv_balance_${name}`, "counter", help, samples)
}

function gauge(name: string, help: string, samples: readonly MetricSample[]): string {
  return metricFamily(`rdv_balance_${name}`, "gauge", help, samples)
}

function histogram(name: string, help: string, samples: readonly MetricSample[]): string {
  return metricFamily(`rdv_balance_${name}`, "histogram", help, samples)
}
