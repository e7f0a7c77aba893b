/**
 * The report as one file for a browser: nothing is loaded from anywhere, and its policy forbids it. Style and scripts are
 * allowed by their hashes alone, so that what a stranger might smuggle into a name could not run even if it got through.
 */

import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import type { Comparison } from "../../judge/compare.ts"
import type { Result } from "../../record/result.ts"
import { html, Markup, scriptJson } from "./markup.ts"
import { mostPoints, runData } from "./page-data.ts"
import type { NamedResult } from "./page-data.ts"
import * as sections from "./sections.ts"

/** A whole document; below 300 KiB for any run. */
export function reportPage(result: Result): string {
  const title = `${sections.titleOf(result)} · load test`
  const open = result.scenario.model.kind === "open"
  const body = html`${sections.head(result)} ${sections.doubts(result)} ${sections.keyFigures(result)}
    ${sections.hidden(result)} ${overTime(result)} ${distribution(result)}
    <h2>Figures</h2>
    ${sections.tables(result)} ${sections.targetTable(result)} ${sections.errorTable(result)}
    ${sections.scenarioFacts(result)}
    <footer>
      <p>
        p99 is the latency that 99 of 100 messages did not exceed.
        ${!open ? "" : "Latency counts from the instant at which the plan wanted the message sent, so a slow target cannot hide behind late sends."}
      </p>
      <p>
        Made by rdv ${result.generator.version} on ${result.generator.host}, ${sections.moment(result.startedAt)}. This
        file loads nothing from anywhere.
      </p>
    </footer>`
  return documentOf(title, body, [{ name: "", result }])
}

/** A graph over time needs a few points; the shortest runs have none. */
function overTime({ series, scenario }: Result): Markup {
  if (series.length < fewestPoints)
    return html`<h2>Over time</h2>
      <section class="card"><p>The run was too short for graphs over time.</p></section>`
  const open = scenario.model.kind === "open"
  return html`<h2>Over time</h2>
    <div class="grid">
      ${sections.chart("latency", `From the ${open ? "planned instant" : "send"} to the complete answer, for each stretch of about a second.`, true)}
      ${sections.chart("throughput", open ? "Completed messages against the plan." : "Completed messages.")}
      ${sections.chart("busy", "Open connections, and messages that await their answer.")}
      ${sections.chart("queue", "Messages whose planned instant came while no connection was free.")}
      ${sections.chart("trouble", "What failed, timed out, or found no free connection.")}
    </div>`
}

const fewestPoints = 3

function distribution({ total }: Result): Markup {
  if (total.latency.count === 0)
    return html`<h2>Distribution</h2>
      <section class="card"><p>Nothing was answered.</p></section>`
  return html`<h2>Distribution</h2>
    <div class="grid">
      ${sections.chart("percentiles", "How slow the slowest are. A steep end means a few callers wait far longer than the rest.", true)}
      ${sections.chart("scatterRate", "Each dot is a second. Where the dots stop rising, the target is full.")}
      ${sections.chart("scatterLatency", "Each dot is a second. The knee is where latency begins to climb.")}
    </div>`
}

export interface ComparedRuns {
  /** Each side's runs, as they were compared. */
  readonly a: readonly NamedResult[]
  readonly b: readonly NamedResult[]
  readonly comparison: Comparison
}

/** Two sides over each other, with a table of what changed. Of several runs, the graphs show the one in the middle. */
export function comparisonPage({ a, b, comparison }: ComparedRuns): string {
  const names = [a, b].map((side, at) => `${at === 0 ? "A" : "B"}: ${sideName(side)}`)
  // With the side in front: both files may bear the same name.
  const drawn = [a, b].flatMap((side, at) =>
    middleRun(side).map(({ name, result }) => ({ name: `${at === 0 ? "A" : "B"}: ${name}`, result })),
  )
  const many = a.length > 1 || b.length > 1
  const note = many
    ? `The graphs show the run of each side whose p99 is in the middle: ${drawn.map(({ name }) => name).join(" and ")}.`
    : undefined
  const body = html`<header class="head">
      <div>
        <p class="kicker">Load tests compared</p>
        <h1>${sideName(a)} and ${sideName(b)}</h1>
        ${[...a, ...b].slice(0, mostNamed).map(({ name, result }) => html`<p class="sub"><b>${name}</b>: ${sections.titleOf(result)}, ${sections.moment(result.startedAt)}</p>`)}
      </div>
    </header>
    ${sections.warnings(comparison.warnings)} ${sections.changes(comparison, names)}
    <h2>Graphs</h2>
    ${note === undefined ? undefined : html`<p class="note under">${note}</p>`}
    <div class="grid">
      ${sections.chart("percentiles", "How slow the slowest are: lower is better.", true)}
      ${sections.chart("latency", "From the planned instant to the complete answer.", true)}
      ${sections.chart("throughput", "Completed messages against the plan.", true)}
      ${sections.chart("scatterRate", "Each dot is a second.")}
      ${sections.chart("scatterLatency", "Each dot is a second.")}
      ${sections.chart("trouble", "What failed, timed out, or found no free connection.", true)}
    </div>
    <footer><p>This file loads nothing from anywhere.</p></footer>`
  return documentOf(`${sideName(a)} and ${sideName(b)} · load tests compared`, body, drawn)
}

function documentOf(title: string, body: Markup, runs: readonly NamedResult[]): string {
  const style = asset("page.css")
  const scripts = [asset("chart.js"), asset("page.js")]
  const policy = [
    "default-src 'none'",
    "img-src data:",
    `style-src ${hash(style)}`,
    `script-src ${scripts.map(hash).join(" ")}`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ")
  // The hash is that of every character between the tags: these elements are not left to a formatter.
  const styled = new Markup(`<style>${style}</style>`)
  const data = new Markup(
    `<script type="application/json" id="data">${scriptJson({ runs: runs.map((run) => runData(run, Math.floor(mostPoints / runs.length))) }).text}</script>`,
  )
  const run = scripts.map((script) => new Markup(`<script>${script}</script>`))
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${policy}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="no-referrer" />
        <title>${title}</title>
        <link rel="icon" href="${icon}" />
        ${styled}
      </head>
      <body>
        <main>
          ${body}
          <noscript>
            <p class="doubt">
              The graphs need JavaScript, which is switched off here. All tables are complete without it.
            </p>
          </noscript>
        </main>
        ${data} ${run}
      </body>
    </html> `
  return page.text
}

const mostNamed = 20

function sideName(side: readonly NamedResult[]): string {
  return `${side[0]?.name ?? ""}${side.length > 1 ? ` and ${side.length - 1} more` : ""}`
}

function middleRun(side: readonly NamedResult[]): readonly NamedResult[] {
  const sorted = side.toSorted((one, other) => one.result.total.latency.p99 - other.result.total.latency.p99)
  return sorted.slice((sorted.length - 1) >> 1).slice(0, 1)
}

const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M1 14 5 6l4 5 6-9' fill='none' stroke='%230067b1' stroke-width='2.4'/%3E%3C/svg%3E"

/** What the page carries along is in a folder of its own: compiled, this file is a `page.js` too. */
function asset(name: "page.css" | "chart.js" | "page.js"): string {
  return readFileSync(new URL(`browser/${name}`, import.meta.url), "utf8")
}

function hash(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`
}
