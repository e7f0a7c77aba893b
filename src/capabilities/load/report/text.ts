/**
 * The final report in the terminal. It says first what weakens it: a doubt stands at the top and again at the end, where
 * the eye is when a long table has scrolled by. At most 100 columns.
 */

import type { Figures, Quantiles, Result } from "../record/result.ts"
import { notConnectedIn } from "../record/tally.ts"
import { clip, columnsOf, plain, printable, tableLines, wrap } from "../../../base/columns.ts"
import type { Align, Paint } from "../../../base/columns.ts"
import { describeEnd, describeModelShortly, describeTargets } from "./describe.ts"
import { byteCount, counted, lasting, milliseconds, perSecond, share, whole } from "./numbers.ts"

export interface TextOptions {
  /** Colours; plain by default. */
  readonly paint?: Paint
  /** Of the terminal; 100 at most are used. */
  readonly columns?: number
  /** Only the table of `rdv load config.json 50`, and what must not be left out. */
  readonly compact?: boolean
}

interface Page {
  readonly paint: Paint
  readonly columns: number
}

/** Lines without line ends. */
export function textReport(result: Result, options: TextOptions = {}): string[] {
  const page: Page = { paint: options.paint ?? plain, columns: Math.max(40, Math.min(100, options.columns ?? 100)) }
  const body = options.compact === true ? compactBody(result, page) : fullBody(result, page)
  const parts = [doubtLines(result, page), ...body, doubtLines(result, page)].filter((part) => part.length > 0)
  return parts.flatMap((part, at) => (at === 0 ? part : ["", ...part]))
}

function fullBody(result: Result, page: Page): string[][] {
  return [
    headLines(result, page),
    latencyTable(result, page),
    partsTable(result.total, page),
    hiddenLines(result.total, page),
    outcomeTable(result, page),
    errorTable(result.total, page),
    thresholdTable(result, page),
  ]
}

function compactBody(result: Result, page: Page): string[][] {
  const { total } = result
  const lost = total.failed + total.timedOut + total.cut + total.dropped + total.neverSent
  const missed = missedText(total)
  const losses = [
    ...(lost === 0
      ? []
      : [`${whole(total.completed)} of ${whole(total.planned)} messages completed: ${lostText(total)}`]),
    ...(missed === "" ? [] : [missed]),
  ]
  return [
    compactTable(result, page),
    losses.flatMap((text) => wrap(text, page.columns)).map((line) => page.paint("red", line)),
    hiddenLines(total, page),
    errorTable(total, page),
    thresholdTable(result, page),
  ]
}

function headLines(result: Result, { paint, columns }: Page): string[] {
  const { scenario, generator } = result
  const what = printable(`${describeTargets(scenario.targets, 3)} · ${describeModelShortly(scenario)}`)
  const workers = generator.workers === 1 ? "" : `, ${counted(generator.workers, "worker")}`
  const where = `${generator.host}, ${counted(generator.cores, "core")}${workers}, rdv ${generator.version}`
  const how = `${lasting(result.durationMs)} measured from ${where}; ended because ${describeEnd(result.ended)}`
  return [
    ...(scenario.name === "" ? [] : [paint("bold", clip(printable(scenario.name), columns))]),
    clip(what, columns),
    ...wrap(printable(how), columns).map((line) => paint("dim", line)),
  ]
}

function latencyTable(result: Result, page: Page): string[] {
  const head = ["latency in ms", "messages", "per second", "p50", "p90", "p99", "p99.9", "max"]
  const row = (label: string, { completed, rate, latency }: Figures) => [
    clip(printable(label), page.columns < 90 ? 22 : 26),
    whole(completed),
    perSecond(rate),
    ...values(latency, ["p50", "p90", "p99", "p999", "max"]),
  ]
  return targetTable(head, row, ["left", "right", "decimal"], result, page)
}

function compactTable(result: Result, page: Page): string[] {
  const head = ["", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "requests/s"]
  const row = (label: string, { rate, latency }: Figures) => [
    clip(printable(label), 36),
    ...values(latency, ["p50", "p90", "p99", "p999"]),
    perSecond(rate),
  ]
  return targetTable(head, row, ["left", "decimal"], result, page)
}

function targetTable(
  head: readonly string[],
  row: (label: string, figures: Figures) => string[],
  aligns: readonly Align[],
  { targets, total }: Result,
  { paint, columns }: Page,
): string[] {
  const rows = targets.map((target) => row(target.label, target))
  if (targets.length !== 1) rows.push(row("in all", total))
  const lines = tableLines([head, ...rows], aligns, columns < 90 ? 2 : 3).map((line) => clip(line, columns))
  return lines.map((line, at) => {
    if (at === 0) return paint("dim", line)
    return at === lines.length - 1 ? paint("bold", line) : line
  })
}

/** What the open model knows and the closed one cannot: how long a message waited until it was sent. */
function partsTable({ wait, service, latency }: Figures, { paint, columns }: Page): string[] {
  if (wait === undefined || latency.count === 0) return []
  const names = ["p50", "p90", "p99", "p999", "max"] as const
  const columnsShown = [values(wait, names), values(service, names), values(latency, names)]
  const rows = names.map((name, at) => [quantileNames[name], ...columnsShown.map((column) => column[at] ?? "")])
  const head = [
    "in all, in ms",
    "wait before send",
    "service time",
    columns < 80 ? "both" : "both: what a caller waits",
  ]
  const table = tableLines([head, ...rows], ["left", "decimal"], columns < 80 ? 1 : 3)
  const [first = "", ...lines] = table.map((line) => clip(line, columns))
  const note =
    "Each column is sorted by itself, so a row need not add up: the messages that waited longest are seldom the ones that were answered last."
  return [paint("dim", first), ...lines, ...wrap(note, columns).map((line) => paint("dim", line))]
}

const quantileNames = { p50: "p50", p90: "p90", p99: "p99", p999: "p99.9", max: "max" }

/** The closed model asks less while the target is slow: it has to say so itself. */
function hiddenLines({ corrected, latency }: Figures, { paint, columns }: Page): string[] {
  if (corrected === undefined || corrected.count === 0) return []
  const [p50, p90, p99, p999, max] = values(corrected, ["p50", "p90", "p99", "p999", "max"])
  const factor = corrected.p999 / Math.max(1, latency.p999)
  const text =
    "Hidden by the closed model: while the target is slow, waiting connections send nothing, so slow moments are measured too seldom. " +
    `Callers who do not wait for each other would have seen p50 ${p50}, p90 ${p90}, p99 ${p99}, p99.9 ${p999}, max ${max} ms` +
    (factor >= 1.5 ? ` (p99.9 ${perSecond(factor)} times as high).` : ".")
  return wrap(text, columns).map((line) => paint(factor >= 1.5 ? "yellow" : "dim", line))
}

function outcomeTable({ total, scenario }: Result, page: Page): string[] {
  const { paint, columns } = page
  const rows = outcomes(total, scenario.ending.timeoutMs)
  const cells = rows.map(({ name, count, why }) => [
    name,
    whole(count),
    name === "planned" || count === 0 ? "" : share(count, total.planned),
    why,
  ])
  const lines = tableLines([["messages", "", "", ""], ...cells], ["left", "right", "right", "left"])
  const painted = lines.map((line, at) => {
    const row = rows[at - 1]
    const text = clip(line, columns)
    if (row === undefined || row.count === 0) return paint("dim", text)
    return row.bad ? paint("red", text) : text
  })
  return [...painted, ...connectionLines(total, page)]
}

function connectionLines(total: Figures, { paint, columns }: Page): string[] {
  const { connects, connect, bytesSent, bytesReceived } = total
  const took =
    connect.count === 0 ? "" : `, p50 ${milliseconds(connect.p50)} and p99 ${milliseconds(connect.p99)} ms each`
  const text = `${counted(connects, "connection")} opened${took}; ${byteCount(bytesSent)} sent, ${byteCount(bytesReceived)} received`
  const missed = missedText(total)
  return [...wrap(text, columns), ...(missed === "" ? [] : [paint("red", missed)])]
}

/** Attempts to connect are no messages: a target that refuses all of them may have lost none. */
export function missedText(total: Figures): string {
  const missed = notConnectedIn(total)
  return missed === 0 ? "" : `${counted(missed, "attempt")} to connect failed`
}

interface Outcome {
  readonly name: string
  readonly count: number
  readonly why: string
  readonly bad: boolean
}

/** Every message that was planned is in exactly one of these, `planned` itself last. */
export function outcomes(total: Figures, timeoutMs: number): readonly Outcome[] {
  const row = (name: string, count: number, why: string, bad = true): Outcome => ({ name, count, why, bad })
  return [
    row("completed", total.completed, "answered, and as expected", false),
    row("failed", total.failed, "answered wrong, or the connection broke"),
    row("timed out", total.timedOut, `no answer within ${lasting(timeoutMs)}`),
    row("cut at the end", total.cut, "sent, not answered when the run ended"),
    row("dropped", total.dropped, "no connection was free at the planned instant"),
    row("never sent", total.neverSent, "still in the queue when the run ended"),
    row("planned", total.planned, "", false),
  ]
}

function lostText(total: Figures): string {
  return outcomes(total, 0)
    .filter(({ bad, count }) => bad && count > 0)
    .map(({ name, count }) => `${whole(count)} ${name}`)
    .join(", ")
}

function errorTable({ errors }: Figures, { paint, columns }: Page): string[] {
  const rows = Object.entries(errors)
    .toSorted(([, a], [, b]) => b.count - a.count)
    .map(([kind, { count, example }]) => [printable(kind), whole(count), printable(example)])
  if (rows.length === 0) return []
  const [head = "", ...lines] = tableLines([["errors", "count", "for example"], ...rows], ["left", "right", "left"])
  return [paint("dim", head), ...lines.map((line) => clip(line, columns))]
}

function thresholdTable({ thresholds }: Result, { paint, columns }: Page): string[] {
  if (thresholds.length === 0) return []
  const rows = thresholds.map(({ held, text, measured }) => [
    held ? "held" : "FAILED",
    printable(text),
    printable(measured),
  ])
  const [head = "", ...lines] = tableLines([["thresholds", "", "measured"], ...rows], ["left"])
  const failed = thresholds.filter(({ held }) => !held).length
  const verdict =
    failed === 0
      ? `${thresholds.length === 1 ? "The threshold was" : `All ${thresholds.length} thresholds were`} held.`
      : thresholds.length === 1
        ? "The threshold was not held."
        : `${failed} of ${thresholds.length} thresholds ${failed === 1 ? "was" : "were"} not held.`
  return [
    paint("dim", head),
    ...lines.map((line, at) => paint(thresholds[at]?.held === true ? "green" : "red", clip(line, columns))),
    paint(failed === 0 ? "green" : "red", verdict),
  ]
}

function doubtLines({ doubts, overloaded }: Result, { paint, columns }: Page): string[] {
  if (doubts.length === 0) return []
  const title = overloaded
    ? "!! THE GENERATOR WAS OVERLOADED: these figures speak of it, not of the target"
    : "!! THESE FIGURES ARE DOUBTFUL"
  const rule = "!".repeat(Math.max(0, columns - columnsOf(title) - 1))
  const reasons = doubts.flatMap((doubt) =>
    wrap(printable(doubt), columns - 3).map((line, at) => `${at === 0 ? "!! " : "   "}${line}`),
  )
  return [
    paint("bold", paint("yellow", clip(`${title} ${rule}`, columns).trimEnd())),
    ...reasons.map((line) => paint("yellow", line)),
  ]
}

function values(quantiles: Quantiles, names: readonly (keyof Quantiles)[]): string[] {
  return names.map((name) => (quantiles.count === 0 ? "–" : milliseconds(quantiles[name])))
}
