/** How the figures of `tunnel` are shown: what each system did, where we stand to our targets, where to each peer. */

import type { System } from "./system.ts"
import { printTable, shown, unknown, verdict } from "./table.ts"
import type { Figures } from "./table.ts"

const counts = [1, 32, 64, 256]
const shapeNames = { one: "one segment", two: "two segments" }

export function showTunnel(systems: readonly System[], figures: Figures): void {
  const has = (figure: string): boolean => systems.some(({ name }) => figures.median(name, figure) !== undefined)
  if (has("one 1 rate")) {
    for (const [shape, text] of Object.entries(shapeNames)) showRequests(systems, figures, shape, text)
    showCpu(systems, figures)
  }
  if (has("down GB/s")) showBulk(systems, figures)
  showPeaks(systems, figures)
  showTargets(systems, figures)
  showPeers(systems, figures)
}

function showRequests(systems: readonly System[], figures: Figures, shape: string, text: string): void {
  const rows = systems.map(({ name }) => [
    name,
    ...counts.map((count) => {
      const of = (figure: string): number | undefined => figures.median(name, `${shape} ${count} ${figure}`)
      const failed = of("failed") ?? 0
      const spread = figures.spread(name, `${shape} ${count} rate`)
      const times = `${shown(of("p50"))}/${shown(of("p99"))}/${shown(of("p999"))}`
      return `${shown(of("rate"))}${spread} · ${times}${failed > 0 ? ` · ${failed} FAILED` : ""}`
    }),
  ])
  const heads = ["", ...counts.map((count) => `${count} conn${count === 1 ? "" : "s"}`)]
  printTable(`Requests/s · p50/p99/p99.9 µs, 1 KB answers in ${text}`, heads, rows)
}

function showCpu(systems: readonly System[], figures: Figures): void {
  const rows = tunnels(systems).map(({ name }) => [
    name,
    ...counts.flatMap((count) =>
      ["relay", "agent"].map((role) => shown(figures.median(name, `one ${count} cpu ${role}`), 1)),
    ),
  ])
  const heads = ["relay, agent", ...counts.flatMap((count) => [`${count}: relay`, "agent"])]
  printTable("CPU µs per request, one segment", heads, rows)
}

function showBulk(systems: readonly System[], figures: Figures): void {
  const rows = systems.map(({ name }) => {
    const of = (figure: string): number | undefined => figures.median(name, figure)
    return [
      name,
      `${shown(of("down GB/s"), 2)}${figures.spread(name, "down GB/s")}`,
      `${shown(of("down cpu relay"), 2)} / ${shown(of("down cpu agent"), 2)} / ${shown(of("down cpu client"), 2)}`,
      shown(of("down first byte ms"), 1),
      `${shown(of("up GB/s"), 2)}${figures.spread(name, "up GB/s")}`,
      `${shown(of("up cpu relay"), 2)} / ${shown(of("up cpu agent"), 2)} / ${shown(of("up cpu client"), 2)}`,
    ]
  })
  const cpu = "CPU s/GB relay / agent / client"
  printTable("One bulk stream of 200 MB", ["", "down GB/s", cpu, "first byte ms", "up GB/s", cpu], rows)
}

function showPeaks(systems: readonly System[], figures: Figures): void {
  const rows = tunnels(systems).map(({ name }) => [
    name,
    ...["peak relay", "peak agent", "peak up relay", "peak up agent"].map((figure) => {
      const bytes = figures.median(name, figure)
      return shown(bytes === undefined ? undefined : bytes / 2 ** 20)
    }),
  ])
  printTable("Peak memory, MiB", ["", "relay", "agent", "relay, uploads", "agent, uploads"], rows)
}

function showTargets(systems: readonly System[], figures: Figures): void {
  const rows: string[][] = []
  const row = (text: string, value: number | undefined, target: number, good: "high" | "low", digits = 0): void => {
    if (value === undefined) return
    const sign = good === "high" ? "≥" : "≤"
    rows.push([text, shown(value, digits), `${sign} ${shown(target, digits)}`, verdict(value, target, good)])
  }
  for (const name of systems.filter(({ side }) => side === "own").map((system) => system.name)) {
    const of = (figure: string): number | undefined => figures.median(name, figure)
    const less = (a: number | undefined, b: number | undefined): number | undefined =>
      a === undefined || b === undefined ? undefined : a - b
    if (name === "rdv http") {
      row(`${name}: requests/s at 64 connections`, of("one 64 rate"), 45_000, "high")
      row(
        `${name}: p50 added at 1 connection, µs`,
        less(of("one 1 p50"), figures.median("direct", "one 1 p50")),
        40,
        "low",
      )
    } else row(`${name}: requests/s at 32 connections`, of("one 32 rate"), 80_000, "high")
    row(
      `${name}: two segments to one, requests/s at 1 connection`,
      ratio(of("two 1 rate"), of("one 1 rate")),
      0.8,
      "high",
      2,
    )
    row(`${name}: one bulk stream down, GB/s`, of("down GB/s"), 2.5, "high", 2)
    row(`${name}: one bulk stream up, GB/s`, of("up GB/s"), 2.5, "high", 2)
  }
  if (rows.length > 0) printTable("Against our targets", ["", "measured", "target", ""], rows)
}

const compared: readonly { readonly text: string; readonly figure: string; readonly good: "high" | "low" }[] = [
  ...Object.keys(shapeNames).flatMap((shape) =>
    counts.map((count) => ({
      text: `req/s ${shape} ${count}`,
      figure: `${shape} ${count} rate`,
      good: "high" as const,
    })),
  ),
  { text: "p99 one 64", figure: "one 64 p99", good: "low" },
  { text: "bulk down", figure: "down GB/s", good: "high" },
  { text: "bulk up", figure: "up GB/s", good: "high" },
  { text: "p99 beside bulk", figure: "fair p99 beside", good: "low" },
]

/** Above 1 we are better, below 1 we lose; below 0.97, so that a tie is no loss, it says so. */
function showPeers(systems: readonly System[], figures: Figures): void {
  const peers = systems.filter(({ side }) => side === "peer")
  for (const own of systems.filter(({ side }) => side === "own")) {
    const measured = compared.filter(({ figure }) => figures.median(own.name, figure) !== undefined)
    if (peers.length === 0 || measured.length === 0) continue
    const rows = measured.map(({ text, figure, good }) => [
      text,
      ...peers.map((peer) => {
        const [ours, theirs] = [figures.median(own.name, figure), figures.median(peer.name, figure)]
        const times = good === "high" ? ratio(ours, theirs) : ratio(theirs, ours)
        return times === undefined ? unknown : `${shown(times, 2)}${times < 0.97 ? " LOSS" : ""}`
      }),
    ])
    printTable(`${own.name} to each peer: times better`, ["", ...peers.map(({ name }) => name)], rows)
  }
}

function ratio(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined || b === 0 ? undefined : a / b
}

function tunnels(systems: readonly System[]): readonly System[] {
  return systems.filter(({ side }) => side !== "direct")
}
