/** The parts of a page that need no script: what a reader wants first, and the tables behind it. */

import type { Comparison } from "../../judge/compare.ts"
import type { Figures, Quantiles, Result } from "../../record/result.ts"
import { differenceText, spreadText } from "../comparison-text.ts"
import { describeEnd, describeModelShortly, describeScenario, describeTargets } from "../describe.ts"
import { byteCount, counted, lasting, milliseconds, perSecond, share, whole } from "../numbers.ts"
import { missedText, outcomes } from "../text.ts"
import { html } from "./markup.ts"
import type { Markup } from "./markup.ts"

/** A page stays a page: what is beyond it is in the JSON. */
const mostRows = 200

export function titleOf({ scenario }: Result): string {
  return scenario.name === "" ? describeTargets(scenario.targets, 2) : scenario.name
}

export function head(result: Result): Markup {
  const { scenario, generator, startedAt, durationMs, ended } = result
  return html`<header class="head">
    <div>
      <p class="kicker">Load test report</p>
      <h1>${titleOf(result)}</h1>
      ${scenario.name === "" ? undefined : html`<p class="sub">${describeTargets(scenario.targets, 4)}</p>`}
      <p class="sub">${describeModelShortly(scenario)}</p>
      <p class="sub">
        ${lasting(durationMs)} measured from ${moment(startedAt)}, from ${generator.host}; ended because
        ${describeEnd(ended)}
      </p>
    </div>
    ${verdict(result)}
  </header>`
}

export function doubts({ doubts: reasons, overloaded }: Result): Markup | undefined {
  if (reasons.length === 0) return undefined
  const title = overloaded
    ? "The generator was overloaded: these figures speak of it, not of the target"
    : "These figures are doubtful"
  return html`<section class="doubt" role="alert">
    <h2>${title}</h2>
    <ul>
      ${reasons.map((reason) => html`<li>${reason}</li>`)}
    </ul>
  </section>`
}

function verdict({ thresholds, overloaded }: Result): Markup {
  const failed = thresholds.filter(({ held }) => !held)
  const also = overloaded ? html`<small>but the generator was overloaded</small>` : undefined
  if (thresholds.length === 0) return html`<p class="verdict">No thresholds were set${also}</p>`
  if (failed.length === 0)
    return html`<p class="verdict good">
      ✓ ${thresholds.length === 1 ? "The threshold held" : `All ${thresholds.length} thresholds held`}${also}
    </p>`
  const names = failed.slice(0, 3).map(({ text }) => text)
  const what = thresholds.length === 1 ? "The threshold was" : `${failed.length} of ${thresholds.length} thresholds`
  const which = html`<small>${names.join(", ")}${failed.length > names.length ? ", …" : ""}</small>`
  return html`<p class="verdict bad">✗ ${what} not held${which}${also}</p>`
}

export function keyFigures({ total }: Result): Markup {
  const { latency } = total
  const lost = total.planned - total.completed
  const missed = missedText(total)
  const ms = (us: number) => (latency.count === 0 ? html`–` : html`${milliseconds(us)} <small>ms</small>`)
  const plannedRate = total.completed > 0 ? (total.rate * total.planned) / total.completed : undefined
  const planned = total.wait === undefined || plannedRate === undefined ? "" : `${perSecond(plannedRate)}/s planned`
  return html`<dl class="cards">
    ${card("Throughput", html`${perSecond(total.rate)} <small>/s</small>`, planned || "completed messages")}
    ${card("Latency, median", ms(latency.p50), "half of all are faster")}
    ${card("Latency, p99", ms(latency.p99), "1 in 100 is slower")}
    ${card("Latency, p99.9", ms(latency.p999), latency.count === 0 ? "" : `slowest ${milliseconds(latency.max)} ms`)}
    ${card("Not completed", lost === 0 ? html`0` : html`${share(lost, total.planned)}`, `${whole(lost)} of ${counted(total.planned, "message")}${missed === "" ? "" : `; ${missed}`}`, lost > 0 || missed !== "")}
    ${card("Completed", html`${whole(total.completed)}`, `${byteCount(total.bytesSent)} sent, ${byteCount(total.bytesReceived)} received`)}
  </dl>`
}

function card(name: string, value: Markup, under: string, bad = false): Markup {
  return html`<div${bad ? html` class="bad"` : undefined}><dt>${name}</dt><dd>${value}<span class="under">${under}</span></dd></div>`
}

export function hidden({ total: { corrected, latency } }: Result): Markup | undefined {
  if (corrected === undefined || corrected.count === 0) return undefined
  return html`<section class="hidden-by">
    <b>What the closed model hides.</b> While the target is slow, waiting connections send nothing, so slow moments are
    measured too seldom. Callers who do not wait for each other would have seen p99 ${milliseconds(corrected.p99)} ms
    instead of ${milliseconds(latency.p99)} ms and p99.9 ${milliseconds(corrected.p999)} ms instead of
    ${milliseconds(latency.p999)} ms. A test with a rate (open model) measures it.
  </section>`
}

function thresholdTable({ thresholds }: Result): Markup | undefined {
  if (thresholds.length === 0) return undefined
  return html`<section class="card">
    <table>
      <caption>
        Thresholds
      </caption>
      <thead>
        <tr>
          <th scope="col">threshold</th>
          <th scope="col">measured</th>
          <th scope="col">verdict</th>
        </tr>
      </thead>
      <tbody>
        ${thresholds.map(
          ({ text, measured, held }) =>
            html`<tr>
              <th scope="row" class="name">${text}</th>
              <td>${measured}</td>
              <td class="${held ? "held" : "lost"}">${held ? "✓ held" : "✗ not held"}</td>
            </tr>`,
        )}
      </tbody>
    </table>
  </section>`
}

const quantileNames = ["p50", "p90", "p99", "p999", "p9999", "max"] as const
const quantileLabels = { p50: "p50", p90: "p90", p99: "p99", p999: "p99.9", p9999: "p99.99", max: "max" }

/** Open model: wait, service and both for each quantile. */
function partsTable({ total: { wait, service, latency } }: Result): Markup | undefined {
  if (wait === undefined || latency.count === 0) return undefined
  return html`<section class="card">
    <table>
      <caption>
        Where the time goes, ms
      </caption>
      <thead>
        <tr>
          <th scope="col"></th>
          <th scope="col">wait before send</th>
          <th scope="col">service time</th>
          <th scope="col">both</th>
        </tr>
      </thead>
      <tbody>
        ${quantileNames.map(
          (name) =>
            html`<tr>
              <th scope="row">${quantileLabels[name]}</th>
              <td>${milliseconds(wait[name])}</td>
              <td>${milliseconds(service[name])}</td>
              <td>${milliseconds(latency[name])}</td>
            </tr>`,
        )}
      </tbody>
    </table>
    <p class="note">Counted from the planned instant. Each column is sorted by itself, so a row need not add up.</p>
  </section>`
}

/** Two columns where there is something for both. */
export function tables(result: Result): Markup {
  const left = [thresholdTable(result), partsTable(result)].filter((table) => table !== undefined)
  if (left.length === 0) return outcomeTable(result)
  return html`<div class="grid">
    <div class="stack">${left}</div>
    ${outcomeTable(result)}
  </div>`
}

function outcomeTable({ total, scenario }: Result): Markup {
  const rows = outcomes(total, scenario.ending.timeoutMs)
  return html`<section class="card">
    <table>
      <caption>
        What became of the messages
      </caption>
      <tbody>
        ${rows.map(({ name, count, why, bad }) => {
          const kind = name === "planned" ? "sum" : count === 0 ? "none" : ""
          return html`<tr class="${kind}"><th scope="row">${name}</th><td${bad && count > 0 ? html` class="lost"` : undefined}>${whole(count)}</td><td>${name === "planned" || count === 0 ? "" : share(count, total.planned)}</td><td class="text long">${why}</td></tr>`
        })}
      </tbody>
    </table>
    <p class="note">${connectionText(total)}</p>
  </section>`
}

function connectionText(total: Figures): string {
  const { connects, connect } = total
  const missed = missedText(total)
  const took =
    connect.count === 0
      ? ""
      : `; connecting took p50 ${milliseconds(connect.p50)} ms, p99 ${milliseconds(connect.p99)} ms`
  return `${counted(connects, "connection")} opened${took}${missed === "" ? "" : `; ${missed}`}.`
}

export function errorTable({ total: { errors } }: Result): Markup | undefined {
  const rows = Object.entries(errors).toSorted(([, a], [, b]) => b.count - a.count)
  if (rows.length === 0) return undefined
  const most = Math.max(...rows.map(([, { count }]) => count))
  return html`<h2>Errors</h2>
    <section class="card wide">
      <table>
        <thead>
          <tr>
            <th scope="col">kind</th>
            <th scope="col">count</th>
            <th scope="col" class="bar-cell"></th>
            <th scope="col" class="text">for example</th>
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            ([kind, { count, example }]) =>
              html`<tr>
                <th scope="row">${kind}</th>
                <td>${whole(count)}</td>
                <td class="bar-cell">${bar(count / most)}</td>
                <td class="text long">${example.slice(0, 400)}</td>
              </tr>`,
          )}
        </tbody>
      </table>
    </section>`
}

function bar(part: number): Markup {
  const width = Math.max(0.5, part * 100).toFixed(1)
  return html`<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
    <rect class="back" width="100" height="10" />
    <rect width="${width}" height="10" />
  </svg>`
}

export function targetTable({ targets, total }: Result): Markup {
  const shown = targets.slice(0, mostRows)
  const row = (label: string, figures: Figures, kind = "") =>
    html`<tr class="${kind}">
      <th scope="row" class="name">${label}</th>
      <td>${whole(figures.completed)}</td>
      <td>${whole(figures.planned - figures.completed)}</td>
      <td>${perSecond(figures.rate)}</td>
      ${quantileNames.map((name) => html`<td>${latencyOf(figures.latency, name)}</td>`)}
    </tr>`
  return html`<h2>${targets.length === 1 ? "Target" : "Targets"}</h2>
    <section class="card wide">
      <table>
        <thead>
          <tr>
            <th scope="col">latency in ms</th>
            <th scope="col">completed</th>
            <th scope="col">not completed</th>
            <th scope="col">per second</th>
            ${quantileNames.map((name) => html`<th scope="col">${quantileLabels[name]}</th>`)}
          </tr>
        </thead>
        <tbody>
          ${shown.map((target) => row(target.label, target))}
          ${targets.length === 1 ? undefined : row("in all", total, "sum")}
        </tbody>
      </table>
      ${targets.length > shown.length ? html`<p class="note">${whole(targets.length - shown.length)} more targets are in the JSON result.</p>` : undefined}
    </section>`
}

function latencyOf(quantiles: Quantiles, name: keyof Quantiles): string {
  return quantiles.count === 0 ? "–" : milliseconds(quantiles[name])
}

export function scenarioFacts({ scenario, generator }: Result): Markup {
  const by = `${generator.host}, ${counted(generator.cores, "core")}, ${counted(generator.workers, "worker")}, rdv ${generator.version}`
  return html`<h2>Scenario</h2>
    <section class="card">
      <dl class="facts">
        ${[...describeScenario(scenario), ["Generator", by] as const].map(
          ([part, text]) =>
            html`<dt>${part}</dt>
              <dd>${text}</dd>`,
        )}
      </dl>
    </section>`
}

/** A graph's place: the script fills it. */
export function chart(name: string, note: string, wide = false): Markup {
  return html`<figure data-chart="${name}" ${wide ? html` class="whole"` : undefined}>
    <figcaption>
      <h3></h3>
      <p class="note">${note}</p>
    </figcaption>
    <div class="plot"></div>
    <details><summary>Figures as a table</summary></details>
  </figure>`
}

/** `2026-03-14 09:26:53 UTC` */
export function moment(iso: string): string {
  const time = Date.parse(iso)
  return Number.isNaN(time) ? iso : `${new Date(time).toISOString().slice(0, 19).replace("T", " ")} UTC`
}

export function warnings(texts: readonly string[]): Markup | undefined {
  if (texts.length === 0) return undefined
  return html`<section class="doubt" role="alert">
    <h2>Compare with care</h2>
    <ul>
      ${texts.map((text) => html`<li>${text}</li>`)}
    </ul>
  </section>`
}

const verdictClasses = { better: "held", worse: "lost", unclear: "" }

export function changes({ metrics, confidence }: Comparison, names: readonly string[]): Markup {
  return html`<h2>What changed</h2>
    <section class="card wide">
      <table>
        <thead>
          <tr>
            <th scope="col">medians</th>
            ${names.map((name) => html`<th scope="col">${name}</th>`)}
            <th scope="col">difference</th>
            <th scope="col">verdict</th>
          </tr>
        </thead>
        <tbody>
          ${metrics.map(
            (metric) =>
              html`<tr>
                <th scope="row">${metric.name}</th>
                <td>${spreadText(metric.a, metric.unit)}</td>
                <td>${spreadText(metric.b, metric.unit)}</td>
                <td>${differenceText(metric)}</td>
                <td class="${verdictClasses[metric.verdict]}">${metric.verdict}</td>
              </tr>`,
          )}
        </tbody>
      </table>
      <p class="note">${confidence}</p>
    </section>`
}
