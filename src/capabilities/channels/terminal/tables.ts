/** Channels as people read them: a table of many, the facts of one, a screen that lives. */

import { clip, plain, printable, tableLines } from "../../../base/columns.ts"
import type { Align, Paint } from "../../../base/columns.ts"
import type { ChannelEntry, Entry } from "../native/client/entry.ts"
import { showSettings } from "../files/channel-ctl.ts"

/** For `ls`: folders with a slash, channels with who waits at them. */
export function listTable(entries: readonly Entry[]): string[] {
  const rows = entries.map((entry) => {
    const name = printable(entry.kind === "folder" ? `${entry.path}/` : entry.path)
    if (entry.kind === "folder") return [name, "-", "-", "-", "-", "-", entry.owner]
    const { settings, counts } = entry
    return [name, ...waits(entry), String(counts.received), settings.mode + stateOf(entry), printable(entry.owner)]
  })
  return tableLines([["PATH", "HELD", "SEND", "RECV", "TOTAL", "MODE", "OWNER"], ...rows], listAligns, 2)
}

const listAligns: readonly Align[] = ["left", "right", "right", "right", "right", "left", "left"]

/** Messages without a receiver of how many that may be; senders and receivers that wait. */
function waits({ settings, counts }: ChannelEntry): [string, string, string] {
  return [`${counts.buffered}/${settings.size}`, String(counts.waitingSenders), String(counts.waitingReceivers)]
}

/** For `stat`. */
export function factLines(entry: Entry): string[] {
  const rows: [string, string][] = [
    ["path", printable(entry.path)],
    ["kind", entry.kind],
    ["owner", printable(entry.owner)],
    ["permissions", entry.permissions.toString(8).padStart(4, "0")],
  ]
  if (entry.kind === "folder") rows.push(["entries", String(entry.entries)])
  else {
    rows.push(["state", entry.closed ? "closed" : "open"])
    rows.push(["last message", entry.counts.received === 0 ? "never" : new Date(entry.changedAt).toISOString()])
    for (const line of showSettings(entry.settings).trimEnd().split("\n")) {
      const space = line.indexOf(" ")
      rows.push([line.slice(0, space), line.slice(space + 1)])
    }
    for (const [name, value] of Object.entries(entry.counts)) rows.push([spaced(name), String(Math.round(value))])
    for (const [name, value] of Object.entries(entry.rates)) rows.push([`${spaced(name)}/s`, rate(value)])
  }
  return tableLines(rows, ["left", "left"], 2)
}

/** For `top`: the busiest first. */
export function topLines(
  entries: readonly ChannelEntry[],
  options: { readonly title: string; readonly columns: number; readonly rows?: number; readonly paint?: Paint },
): string[] {
  const { title, columns, rows = Infinity, paint = plain } = options
  const busiest = [...entries].sort((a, b) => activity(b) - activity(a) || (a.path < b.path ? -1 : 1))
  const cells = busiest.map((entry) => {
    const { rates, counts } = entry
    return [
      printable(entry.path) + stateOf(entry),
      ...waits(entry),
      String(counts.underWay),
      rate(rates.received),
      rate(rates.delivered),
      rate(rates.meanDelivered),
      counts.oldestMs === 0 ? "-" : age(counts.oldestMs),
    ]
  })
  const heads = ["CHANNEL", "HELD", "SEND", "RECV", "WAY", "IN/S", "OUT/S", "MEAN", "OLDEST"]
  const [head, ...body] = tableLines([heads, ...cells], topAligns, 2).map((line) => clip(line, columns))
  const space = rows - 2
  const shown = body.length > space ? body.slice(0, Math.max(0, space - 1)) : body
  const left = body.length - shown.length
  return [
    paint("bold", clip(title, columns)),
    paint("dim", head ?? ""),
    ...shown,
    ...(left > 0 ? [paint("dim", `… ${left} more`)] : []),
  ]
}

const topAligns: readonly Align[] = ["left", "right", "right", "right", "right", "right", "right", "right", "right"]

function activity({ rates, counts }: ChannelEntry): number {
  return rates.delivered + rates.received + counts.waitingSenders / 1_000 + counts.waitingReceivers / 1_000_000
}

function stateOf({ closed }: ChannelEntry): string {
  return closed ? " (closed)" : ""
}

function rate(value: number): string {
  return value >= 100 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1)
}

function age(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  return ms < 120_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`
}

function spaced(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
}
