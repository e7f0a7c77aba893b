/**
 * What a running test looks like: a block of at most four lines on a terminal, one line elsewhere. Pure: figures in, lines
 * out; `ProgressDrawer` puts them on the screen.
 */

import { clip, columnsOf, plain, printable } from "../../../base/columns.ts"
import type { Paint, Style } from "../../../base/columns.ts"
import { milliseconds, perSecond, whole } from "./numbers.ts"

/** Of the last second unless said otherwise. */
export interface ProgressFigures {
  /** Since the start, ms. */
  readonly elapsedMs: number
  /** When it will be over, ms since the start; undefined: not known. */
  readonly plannedEndMs: number | undefined
  /** What is running: `phase 2 of 3: 100/s → 2,000/s`, `warm-up`, `waiting for answers`. */
  readonly phase: string
  /** Messages per second; the planned one is undefined in the closed model. */
  readonly plannedRate: number | undefined
  readonly rate: number
  /** Latency, µs; undefined when nothing was answered. */
  readonly p50: number | undefined
  readonly p99: number | undefined
  /** Failed and timed out since the start. */
  readonly errors: number
  /** Since the start. */
  readonly dropped: number
  /** Now. */
  readonly inFlight: number
  readonly queued: number
  readonly connections: number
  /** One a second, the newest last; 30 are shown. */
  readonly rates: readonly number[]
}

type Segment = readonly [text: string, style?: Style]

/** At most four lines, each of at most `columns` columns. */
export function progressFrame(figures: ProgressFigures, columns: number, paint: Paint = plain): string[] {
  return [rateLine(figures), latencyLine(figures), stateLine(figures), timeLine(figures, columns)].map((line) =>
    lineOf(line, columns, paint),
  )
}

/** The same for a log: one line, without the picture. */
export function progressLine(figures: ProgressFigures): string {
  const { elapsedMs, plannedEndMs, phase, errors, dropped, inFlight, queued } = figures
  const time = plannedEndMs === undefined ? clock(elapsedMs) : `${clock(elapsedMs)}/${clock(plannedEndMs)}`
  const parts = [
    printable(phase),
    rateText(figures),
    `p50 ${latencyText(figures.p50)}`,
    `p99 ${latencyText(figures.p99)}`,
    `errors ${whole(errors)}`,
    `in flight ${whole(inFlight)}`,
    ...(queued > 0 ? [`queued ${whole(queued)}`] : []),
    ...(dropped > 0 ? [`dropped ${whole(dropped)}`] : []),
  ]
  return `${time}  ${parts.filter((part) => part !== "").join(", ")}`
}

/** Eighths of a character's height, the highest value fills it. */
export function sparkline(values: readonly number[], most = 30): string {
  const shown = values.slice(-most)
  const top = Math.max(...shown, 0)
  if (top === 0) return " ".repeat(shown.length)
  return shown.map((value) => blocks[Math.ceil((Math.max(0, value) / top) * 8)] ?? " ").join("")
}

const blocks = " ▁▂▃▄▅▆▇█"

function rateLine(figures: ProgressFigures): Segment[] {
  const behind = figures.plannedRate !== undefined && figures.rate < figures.plannedRate * 0.95
  return [
    ["rate     ", "dim"],
    [perSecond(figures.rate), behind ? "yellow" : "bold"],
    [figures.plannedRate === undefined ? "/s  " : `/s of ${perSecond(figures.plannedRate)}/s planned  `],
    [sparkline(figures.rates), "cyan"],
  ]
}

function latencyLine({ p50, p99 }: ProgressFigures): Segment[] {
  return [["latency  ", "dim"], ["p50 "], [latencyText(p50), "bold"], ["   p99 "], [latencyText(p99), "bold"]]
}

function stateLine({ errors, dropped, inFlight, queued, connections }: ProgressFigures): Segment[] {
  const bad = (text: string, count: number): Segment => (count > 0 ? [text, "red"] : [text])
  return [
    ["state    ", "dim"],
    bad(`errors ${whole(errors)}`, errors),
    [`   in flight ${whole(inFlight)}`],
    queued > 0 ? [`   queued ${whole(queued)}   `, "yellow"] : [`   queued ${whole(queued)}   `],
    bad(`dropped ${whole(dropped)}`, dropped),
    [`   connections ${whole(connections)}`],
  ]
}

function timeLine({ elapsedMs, plannedEndMs, phase }: ProgressFigures, columns: number): Segment[] {
  const label: Segment = ["time     ", "dim"]
  const named: Segment = [phase === "" ? "" : `   ${printable(phase)}`, "dim"]
  if (plannedEndMs === undefined || !(plannedEndMs > 0)) return [label, [clock(elapsedMs)], named]
  const done = Math.min(1, Math.max(0, elapsedMs / plannedEndMs))
  const left = ` ${clock(elapsedMs)} of ${clock(plannedEndMs)}, ${clock(Math.max(0, plannedEndMs - elapsedMs))} left`
  const cells = Math.min(30, columns - 9 - left.length)
  if (cells < 5) return [label, [left.slice(1)], named]
  const full = Math.round(done * cells)
  return [label, ["━".repeat(full), "cyan"], ["─".repeat(cells - full), "dim"], [left], named]
}

function rateText({ rate, plannedRate }: ProgressFigures): string {
  return plannedRate === undefined ? `${perSecond(rate)}/s` : `${perSecond(rate)}/s of ${perSecond(plannedRate)}/s`
}

function latencyText(us: number | undefined): string {
  return us === undefined ? "–" : `${milliseconds(us)} ms`
}

/** `0:05`, `12:00`, `1:00:00` */
function clock(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  const two = (value: number) => String(value).padStart(2, "0")
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`
}

/** Cut by columns first, then coloured: colours take no columns. */
function lineOf(segments: readonly Segment[], columns: number, paint: Paint): string {
  let left = Math.max(0, columns)
  let line = ""
  for (const [text, style] of segments) {
    if (left <= 0) break
    const kept = clip(text, left)
    left = kept === text ? left - columnsOf(kept) : 0
    line += style === undefined || kept === "" ? kept : paint(style, kept)
  }
  return line
}
