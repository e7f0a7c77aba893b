/** The tables. */

import type { Rounds } from "../channels/rounds.ts"
import { printTable, shown, verdict } from "../table.ts"
import type { TabSystem } from "./systems.ts"
import type { Sizes } from "./tab.ts"

export function showTab(rounds: Rounds, systems: readonly TabSystem[], sizes: Sizes | undefined): void {
  const names = systems.map(({ name }) => name)
  const median = (system: string, figure: string, digits = 0) => shown(rounds.median(system, figure), digits)
  const has = (figure: string) => names.some((name) => rounds.median(name, figure) !== undefined)
  if (has("requests 64 perSecond")) {
    printTable(
      "A small answer at the public address: requests/s, ms",
      ["", ...[1, 16, 64].flatMap((n) => [`${n}: /s`, "p50", "p99"])],
      names.map((name) => [
        name,
        ...[1, 16, 64].flatMap((n) => [
          median(name, `requests ${n} perSecond`),
          median(name, `requests ${n} p50`, 1),
          median(name, `requests ${n} p99`, 1),
        ]),
      ]),
    )
  }
  if (has("down megabytes") || has("inserts 64 perSecond")) {
    printTable(
      "Bodies of 50 MB, and rows on disk from 64 writers",
      ["", "down MB/s", "up MB/s", "inserts/s", "p50 ms", "p99 ms"],
      names.map((name) => [
        name,
        median(name, "down megabytes", 1),
        median(name, "up megabytes", 1),
        median(name, "inserts 64 perSecond"),
        median(name, "inserts 64 p50", 1),
        median(name, "inserts 64 p99", 1),
      ]),
    )
  }
  if (has("page requests")) {
    printTable(
      "From a page: fetch, through the service worker, and rdv.fetch, directly",
      [
        "",
        "p50 ms",
        "p99 ms",
        "32 at a time: /s",
        "64 writers: inserts/s",
        "rdv.fetch: 32: /s",
        "64 writers: inserts/s",
      ],
      names
        .filter((name) => rounds.median(name, "page requests") !== undefined)
        .map((name) => [
          name,
          median(name, "page p50", 1),
          median(name, "page p99", 1),
          median(name, "page requests"),
          median(name, "page inserts"),
          median(name, "page direct"),
          median(name, "page directInserts"),
        ]),
    )
  }
  if (sizes !== undefined) {
    printTable(
      "What a visitor loads, gzipped",
      ["", "kB"],
      [
        ["runtime", shown(sizes.runtime, 1)],
        ["going public, when somebody does", shown(sizes.goingPublic, 1)],
        ["SQLite", shown(sizes.sqlite, 1)],
      ],
    )
  }
  showTargets(rounds, names, sizes)
}

function showTargets(rounds: Rounds, names: readonly string[], sizes: Sizes | undefined): void {
  const tab = "tab in Chromium"
  const rows: string[][] = []
  const add = (what: string, target: number, value: number | undefined, good: "high" | "low", digits = 0) => {
    if (value === undefined) return
    rows.push([
      what,
      `${good === "high" ? "≥" : "≤"} ${shown(target)}`,
      shown(value, digits),
      verdict(value, target, good),
    ])
  }
  if (names.includes(tab)) {
    add("64 connections: requests/s", 1500, rounds.median(tab, "requests 64 perSecond"), "high")
    add("down, MB/s", 20, rounds.median(tab, "down megabytes"), "high", 1)
    add("up, MB/s", 20, rounds.median(tab, "up megabytes"), "high", 1)
    add("service worker: p50, ms", 3, rounds.median(tab, "page p50"), "low", 1)
    add("64 writers at the public address: inserts/s", 2000, rounds.median(tab, "inserts 64 perSecond"), "high")
    add("64 writers by rdv.fetch: inserts/s", 2000, rounds.median(tab, "page directInserts"), "high")
  }
  add("runtime without SQLite, kB", 40, sizes?.runtime, "low", 1)
  if (rows.length > 0) printTable("Against our targets", ["", "target", "value", ""], rows)
}
