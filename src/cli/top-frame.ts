/** A screen of `rdv top`: lines for so many columns and rows. Wider terminals show more columns. */

import { clip, columnsOf, plain, printable } from "../base/columns.ts"
import type { Paint, Style } from "../base/columns.ts"
import { counted } from "../base/counted.ts"
import type { JsonObject } from "../base/json.ts"
import type { Snapshot } from "../capabilities/balance/observe/snapshot.ts"
import { appState, targetState } from "./balance-lines.ts"
import { size } from "./size.ts"
import { figuresOf } from "./top-figures.ts"
import type { AppFigures, Rates } from "./top-figures.ts"
import { span } from "./uplink-lines.ts"

export interface ShownBalancer {
  readonly label: string
  /** One earlier. */
  readonly before: Snapshot | undefined
  /** Undefined: it did not answer this time. */
  readonly now: Snapshot | undefined
}

export interface FrameOptions {
  readonly columns: number
  /** Undefined: as many as it takes. */
  readonly rows?: number
  readonly paint?: Paint
  /** Stands in the first line. */
  readonly title: string
}

interface Column {
  readonly head: string
  readonly width: number
  /** Terminals with fewer columns do without it. */
  readonly from: number
}

const columns = [
  { head: "STATE", width: 16, from: 0 },
  { head: "NOW", width: 6, from: 0 },
  { head: "WAIT", width: 5, from: 96 },
  { head: "NEW/S", width: 7, from: 0 },
  { head: "UP/S", width: 9, from: 0 },
  { head: "DOWN/S", width: 9, from: 0 },
  { head: "CONNECT", width: 8, from: 88 },
  { head: "P99", width: 8, from: 104 },
  { head: "FAILED/S", width: 8, from: 0 },
] as const satisfies readonly Column[]

const leastName = 12
const mostName = 40

interface Row {
  readonly name: string
  readonly cells: Readonly<Record<(typeof columns)[number]["head"], string>>
  readonly style: Style | undefined
  readonly bold: boolean
}

export function topFrame(balancers: readonly ShownBalancer[], options: FrameOptions): string[] {
  const { columns: width, rows, paint = plain } = options
  const body = balancers.flatMap((each) => balancerLines(each, width, paint))
  if (balancers.length === 0) body.push("  no balancer of this user is running")
  const lines = [paint("bold", clip(printable(options.title), width)), ...body]
  if (rows === undefined || lines.length <= rows) return lines
  const shown = lines.slice(0, Math.max(0, rows - 1))
  return [...shown, paint("dim", clip(`… ${counted(lines.length - shown.length, "more line")}`, width))]
}

function balancerLines({ label, before, now }: ShownBalancer, width: number, paint: Paint): string[] {
  if (now === undefined) return ["", paint("red", clip(`${label}  does not answer`, width))]
  const { connections, maxConnections, startedAt, at, configFile, reloads } = now
  const facts = [
    label,
    `up ${span(at - startedAt)}`,
    configFile,
    maxConnections === undefined
      ? counted(connections, "connection")
      : `${connections} of ${maxConnections} connections`,
  ]
  const wrong = reloads.lastError
  const shown = columns.filter(({ from }) => width >= from)
  const nameWidth = Math.max(
    leastName,
    Math.min(mostName, width - shown.reduce((sum, column) => sum + column.width + 1, 0)),
  )
  const head = lineOf(
    "APP / TARGET",
    shown.map((column) => column.head),
    shown,
    nameWidth,
  )
  return [
    "",
    clip(facts.map(printable).join("  "), width),
    ...(wrong === undefined ? [] : [paint("yellow", clip(`the file is wrong: ${printable(wrong)}`, width))]),
    paint("dim", clip(head, width)),
    ...figuresOf(before, now).flatMap((app) => appLines(app, shown, nameWidth, width, paint)),
  ]
}

function appLines(figures: AppFigures, shown: readonly Column[], nameWidth: number, width: number, paint: Paint) {
  const lines = [appRow(figures), ...figures.targets.map(targetRow)].map(({ name, cells, style, bold }) => {
    const texts = shown.map(({ head }) => cells[head as keyof Row["cells"]])
    const line = clip(lineOf(name, texts, shown, nameWidth), width)
    const painted = style === undefined ? line : paint(style, line)
    return bold ? paint("bold", painted) : painted
  })
  const troubles = figures.troubles.slice(0, 4).map(([reason, count]) => `${count} ${reason}`)
  if (troubles.length > 0) lines.splice(1, 0, paint("dim", clip(`  ended: ${troubles.join(", ")}`, width)))
  return lines
}

function appRow({ app, rates, connect }: AppFigures): Row {
  const state = appState(app as unknown as JsonObject)
  return {
    name: app.name,
    cells: {
      STATE: state,
      NOW: String(app.active),
      WAIT: String(app.queued),
      ...rateCells(rates),
      CONNECT: connect === undefined ? "–" : milliseconds(connect.p50),
      P99: connect === undefined ? "–" : milliseconds(connect.p99),
    },
    style: state === "listening" ? undefined : "yellow",
    bold: true,
  }
}

function targetRow({ target, rates }: AppFigures["targets"][number]): Row {
  const { obstacle, healthy } = target
  return {
    name: `  ${target.name}`,
    cells: {
      STATE: targetState(target as unknown as JsonObject),
      NOW: String(target.active),
      WAIT: String(target.pending),
      ...rateCells(rates),
      CONNECT: target.latencyMs === undefined ? "–" : milliseconds(target.latencyMs),
      P99: "",
    },
    style:
      obstacle === undefined ? undefined : !healthy || obstacle === "ejected" || obstacle === "open" ? "red" : "yellow",
    bold: false,
  }
}

function rateCells({ connections, up, down, failures }: Rates) {
  return {
    "NEW/S": decimal(connections),
    "UP/S": size(up),
    "DOWN/S": size(down),
    "FAILED/S": failures === 0 ? "0" : decimal(failures),
  }
}

/** The first column to the left, numbers to the right. */
function lineOf(name: string, cells: readonly string[], shown: readonly Column[], nameWidth: number): string {
  const parts = cells.map((cell, at) => {
    const { head, width } = shown[at] as Column
    const text = clip(printable(cell), width)
    const space = " ".repeat(width - columnsOf(text))
    return head === "STATE" ? text + space : space + text
  })
  const left = clip(printable(name), nameWidth)
  return [left + " ".repeat(nameWidth - columnsOf(left)), ...parts].join(" ").trimEnd()
}

function decimal(value: number): string {
  return value >= 100 || value === 0 ? String(Math.round(value)) : value.toFixed(value < 0.1 ? 2 : 1)
}

function milliseconds(ms: number): string {
  return ms >= 10_000 ? `${Math.round(ms / 1_000)} s` : `${ms >= 100 ? Math.round(ms) : ms.toFixed(ms < 1 ? 2 : 1)} ms`
}
