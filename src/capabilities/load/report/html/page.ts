/**
 * The report as one file for a browser: nothing is loaded from anywhere, and its policy forbids it. Style and scripts are
 * allowed by their hashes alone, so that what a stranger might smuggle into a name could not run even if it got through.
 */

import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import type { Result } from "../../record/result.ts"
import { html, Markup, scriptJson } from "./markup.ts"
import { runData } from "./page-data.ts"
import type { NamedResult } from "./page-data.ts"
import * as sections from "./sections.ts"

/** A whole document; below 300 KiB for any run. */
export function reportPage(result: Result): string {
  const title = `${sections.titleOf(result)} · load test`
  const open = result.scenario.model.kind === "open"
  const body = html`${sections.head(result)} ${sections.doubts(result)} ${sections.keyFigures(result)}
    ${sections.hidden(result)}
    <h2>Over time</h2>
    <div class="grid">
      ${sections.chart("latency", `From the ${open ? "planned instant" : "send"} to the complete answer, for each stretch of about a second.`, true)}
      ${sections.chart("throughput", open ? "Completed messages against the plan." : "Completed messages.")}
      ${sections.chart("busy", "Open connections, and messages that await their answer.")}
      ${sections.chart("queue", "Messages whose planned instant came while no connection was free.")}
      ${sections.chart("trouble", "What failed, timed out, or found no free connection.")}
    </div>
    <h2>Distribution</h2>
    <div class="grid">
      ${sections.chart("percentiles", "How slow the slowest are. A steep end means a few callers wait far longer than the rest.", true)}
      ${sections.chart("scatterRate", "Each dot is a second. Where the dots stop rising, the target is full.")}
      ${sections.chart("scatterLatency", "Each dot is a second. The knee is where latency begins to climb.")}
    </div>
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

/** What a comparison says of one figure. */
export interface ComparisonRow {
  readonly figure: string
  /** One for each run, with its unit. */
  readonly values: readonly string[]
  readonly difference: string
  /** undefined: neither, or not sure. */
  readonly better?: boolean
}

export interface Comparison {
  /** Up to six are told apart. */
  readonly runs: readonly NamedResult[]
  /** What can be said with confidence, and how sure it is. */
  readonly statements: readonly string[]
  readonly rows: readonly ComparisonRow[]
}

/** Several runs over each other, with a table of what changed. */
export function comparisonPage({ runs, statements, rows }: Comparison): string {
  const names = runs.map(({ name }) => name)
  const doubtful = runs.filter(({ result }) => result.doubts.length > 0)
  const body = html`<header class="head">
      <div>
        <p class="kicker">Load tests compared</p>
        <h1>${names.join(" and ")}</h1>
        ${runs.map(({ name, result }) => html`<p class="sub"><b>${name}</b>: ${sections.titleOf(result)}, ${sections.moment(result.startedAt)}</p>`)}
      </div>
    </header>
    ${doubtful.map(
      ({ name, result }) =>
        html`<section class="doubt" role="alert">
          <h2>${name} is doubtful</h2>
          <ul>
            ${result.doubts.map((doubt) => html`<li>${doubt}</li>`)}
          </ul>
        </section>`,
    )}
    <section class="hidden-by">${statements.map((statement) => html`<p>${statement}</p>`)}</section>
    <h2>What changed</h2>
    <section class="card wide">
      <table>
        <thead>
          <tr>
            <th scope="col"></th>
            ${names.map((name) => html`<th scope="col">${name}</th>`)}
            <th scope="col">difference</th>
          </tr>
        </thead>
        <tbody>
          ${rows.map(({ figure, values, difference, better }) => html`<tr><th scope="row">${figure}</th>${values.map((value) => html`<td>${value}</td>`)}<td${better === undefined ? undefined : html` class="${better ? "held" : "lost"}"`}>${difference}</td></tr>`)}
        </tbody>
      </table>
    </section>
    <h2>Graphs</h2>
    <div class="grid">
      ${sections.chart("percentiles", "How slow the slowest are: lower is better.", true)}
      ${sections.chart("latency", "From the planned instant to the complete answer.", true)}
      ${sections.chart("throughput", "Completed messages against the plan.", true)}
      ${sections.chart("scatterRate", "Each dot is a second.")}
      ${sections.chart("scatterLatency", "Each dot is a second.")}
      ${sections.chart("trouble", "What failed, timed out, or found no free connection.", true)}
    </div>
    <footer><p>This file loads nothing from anywhere.</p></footer>`
  return documentOf(`${names.join(" · ")} · load tests compared`, body, runs)
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
    `<script type="application/json" id="data">${scriptJson({ runs: runs.map(runData) }).text}</script>`,
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

const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M1 14 5 6l4 5 6-9' fill='none' stroke='%230067b1' stroke-width='2.4'/%3E%3C/svg%3E"

function asset(name: "page.css" | "chart.js" | "page.js"): string {
  return readFileSync(new URL(name, import.meta.url), "utf8")
}

function hash(text: string): string {
  return `'sha256-${createHash("sha256").update(text).digest("base64")}'`
}
