/** The tables of the rounds. */

import { printTable, shown } from "../table.ts"
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
