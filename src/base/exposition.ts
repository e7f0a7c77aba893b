/** Prometheus' text exposition format 0.0.4: one family of samples after the other, names as the caller gives them. */

export type MetricLabels = Readonly<Record<string, string>>

/** The suffix belongs to the name: `_sum`, `_count`, `_bucket`. */
export type MetricSample = readonly [labels: MetricLabels, value: number, suffix?: string]

export const expositionType = "text/plain; version=0.0.4; charset=utf-8"

/** A family without samples is left out. */
export function metricFamily(
  name: string,
  type: "counter" | "gauge" | "histogram" | "summary",
  help: string,
  samples: readonly MetricSample[],
): string {
  if (samples.length === 0) return ""
  const lines = samples.map(
    ([labels, value, suffix = ""]) => `${name}${suffix}${labelText(labels)} ${numberText(value)}\n`,
  )
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines.join("")}`
}

function labelText(labels: MetricLabels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escapeLabel(value)}"`)
  return parts.length === 0 ? "" : `{${parts.join(",")}}`
}

function escapeLabel(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
}

function numberText(value: number): string {
  return Number.isFinite(value) || Number.isNaN(value) ? String(value) : value > 0 ? "+Inf" : "-Inf"
}
