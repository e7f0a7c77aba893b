/** The tables of the rounds. */

import { printTable, shown, verdict } from "../table.ts"
import type { Rounds } from "./rounds.ts"
import { floor } from "./systems.ts"
import type { System } from "./systems.ts"
import { sizes } from "./works.ts"
import type { Work } from "./works.ts"

interface Table {
  readonly title: string
  readonly part: Work["part"]
  readonly proof: (system: System) => string | undefined
  readonly hasTimes: boolean
}

const tables: readonly Table[] = [
  {
    title: "One at a time, confirmed, 1 producer and 1 consumer",
    part: "single",
    proof: ({ proof }) => proof,
    hasTimes: true,
  },
  {
    title: "The same, all processes on one core",
    part: "core",
    proof: ({ proof }) => proof,
    hasTimes: true,
  },
  {
    title: "128 in flight, confirmed, 1 producer and 1 consumer",
    part: "window",
    proof: ({ proof }) => proof,
    hasTimes: true,
  },
  {
    title: "130 in flight in all, confirmed, 10 producers and 10 consumers on one channel",
    part: "many",
    proof: ({ proof }) => proof,
    hasTimes: true,
  },
  {
    title: "Streaming form, 1 producer and 1 consumer: what the consumer got",
    part: "stream",
    proof: ({ pourProof }) => pourProof,
    hasTimes: false,
  },
]

export function showRounds(rounds: Rounds, systems: readonly System[], wanted: (part: string) => boolean): void {
  for (const { title, part, proof, hasTimes } of tables) {
    if (!wanted(part)) continue
    const heads = ["", "confirmed means"]
    for (const { name } of sizes) {
      heads.push(`${name}: messages/s`, "of floor")
      if (hasTimes) heads.push("p50 µs", "p99 µs")
      heads.push("server CPU µs")
    }
    const rows: string[][] = []
    for (const system of systems) {
      const says = proof(system)
      if (says === undefined) continue
      const row = [system.name, says]
      for (const { name } of sizes) {
        const figure = (of: string): string => `${part} ${name} ${of}`
        const median = (of: string): number | undefined => rounds.median(system.name, figure(of))
        const share = rounds.ratio(system.name, floor, figure("rate"))
        row.push(`${shown(median("rate"))}${rounds.spread(system.name, figure("rate"))}`, shown(share, 2))
        if (hasTimes) row.push(shown(median("p50")), shown(median("p99")))
        row.push(shown(median("cpu"), 1))
      }
      rows.push(row)
    }
    printTable(title, heads, rows)
  }
}

interface Target {
  readonly text: string
  readonly figure: string
  readonly target: number
  readonly good: "high" | "low"
}

const targets: readonly Target[] = [
  ...(["single", "core"] as const).flatMap((part): Target[] => {
    const where = part === "core" ? ", on one core" : ""
    return [
      { text: `one at a time${where}, 128 B: messages/s`, figure: `${part} 128 B rate`, target: 50_000, good: "high" },
      { text: `one at a time${where}, 128 B: p50 µs`, figure: `${part} 128 B p50`, target: 20, good: "low" },
    ]
  }),
  { text: "128 in flight, 128 B: messages/s", figure: "window 128 B rate", target: 200_000, good: "high" },
  { text: "128 in flight, 4 KiB: messages/s", figure: "window 4 KiB rate", target: 100_000, good: "high" },
]

/** The floor stands beside them: what it does not reach on this machine nobody in the middle can. */
export function showTargets(rounds: Rounds): void {
  const ours = ["rdv", "rdv unix", "rdv 9p"]
  const rows: string[][] = []
  for (const { text, figure, target, good } of targets) {
    if (ours.every((name) => rounds.median(name, figure) === undefined)) continue
    const sign = good === "high" ? "≥" : "≤"
    const cells = ours.map((name) => {
      const value = rounds.median(name, figure)
      return `${shown(value)} ${verdict(value, target, good)}`
    })
    const floors = [floor, `${floor} unix`, "direct"].map((name) => shown(rounds.median(name, figure)))
    rows.push([text, `${sign} ${shown(target)}`, ...cells, ...floors])
  }
  if (rows.length === 0) return
  printTable("Against our targets", ["", "target", ...ours, floor, `${floor} unix`, "direct"], rows)
}
