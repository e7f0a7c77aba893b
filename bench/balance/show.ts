/** The tables of the chain: what each system did, how that compares to HAProxy, where we stand to our targets. */

import { printTable, say, shown, verdict } from "../table.ts"
import type { Chain } from "./chain.ts"
import { reference } from "./proxies.ts"
import type { Proxy } from "./proxies.ts"
import { works } from "./works.ts"

interface Column {
  readonly head: string
  readonly figure: string
  readonly digits: number
}

const bulkColumns: readonly Column[] = ["down 1", "up 1", "down 32", "up 32"].flatMap((way) => [
  { head: `${way}: GB/s`, figure: `bulk ${way} rate`, digits: 2 },
  { head: "CPU s/GB", figure: `bulk ${way} cpu`, digits: 3 },
])

const messageColumns: readonly Column[] = [
  { head: "1: p50 µs", figure: "ping 1 p50", digits: 1 },
  { head: "p99 µs", figure: "ping 1 p99", digits: 1 },
  ...[32, 64].flatMap((count) => [
    { head: `${count}: messages/s`, figure: `ping ${count} rate`, digits: 0 },
    { head: "p50 µs", figure: `ping ${count} p50`, digits: 0 },
    { head: "p99 µs", figure: `ping ${count} p99`, digits: 0 },
    { head: "CPU µs each", figure: `ping ${count} cpu`, digits: 2 },
  ]),
]

const connectionColumns: readonly Column[] = [
  { head: "new/s", figure: "churn rate", digits: 0 },
  { head: "CPU µs each", figure: "churn cpu", digits: 1 },
  { head: "p99 ms", figure: "churn p99", digits: 1 },
  { head: "idle KiB each", figure: "idle memory", digits: 1 },
  { head: "before, MiB", figure: "idle base", digits: 0 },
]

const loadColumns: readonly Column[] = [
  { head: "messages/s", figure: "load 32 rate", digits: 0 },
  { head: "p50 µs", figure: "load 32 p50", digits: 0 },
  { head: "p99 µs", figure: "load 32 p99", digits: 0 },
  { head: "CPU µs each", figure: "load 32 cpu", digits: 2 },
]

const tables: readonly {
  readonly title: string
  readonly part: readonly string[]
  readonly columns: readonly Column[]
}[] = [
  { title: "Bulk, by way and number of connections", part: ["bulk"], columns: bulkColumns },
  { title: "Ping-pong of 64 bytes, by number of connections", part: ["ping"], columns: messageColumns },
  { title: "New connections, and 5,000 idle ones", part: ["churn", "idle"], columns: connectionColumns },
  { title: "Ping-pong by rdv load, 32 connections", part: ["load"], columns: loadColumns },
]

export function showChain(chain: Chain, systems: readonly Proxy[], wanted: (part: string) => boolean): void {
  const names = [reference.name, ...systems.map(({ name }) => name)]
  let isAny = false
  for (const { title, part, columns } of tables) {
    if (!part.some(wanted)) continue
    isAny = true
    const heads = ["", ...columns.map(({ head }) => head)]
    const cell = (name: string, { figure, digits }: Column): string => {
      const median = chain.figures.median(name, figure)
      return shown(median, digits)
    }
    printTable(
      title,
      heads,
      names.map((name) => [name, ...columns.map((column) => cell(name, column))]),
    )
    const ratios = systems.map(({ name }) => [
      name,
      ...columns.map(({ figure }) => shown(chain.ratio(name, figure), 2)),
    ])
    printTable(`${title}: to HAProxy`, heads.map(bare), ratios)
  }
  if (!isAny) return
  showTargets(chain)
  const { all, stable } = chain.pairs()
  say(`\n${stable} of ${all} ratios are from moments in which the machine stood still.\n`)
}

/** Ratios have no unit. */
function bare(head: string): string {
  return head.replace(/ (µs|ms)$/, "")
}

const own = "rdv balance"

function showTargets(chain: Chain): void {
  const rows: string[][] = []
  const row = (
    text: string,
    value: number | undefined,
    target: number,
    good: "high" | "low",
    stretch: number,
  ): void => {
    if (value === undefined) return
    const sign = good === "high" ? "≥" : "≤"
    const digits = Number.isInteger(target) ? 0 : 2
    rows.push([
      text,
      shown(value, 2),
      `${sign} ${shown(target, digits)}`,
      verdict(value, target, good),
      `${sign} ${shown(stretch, Number.isInteger(stretch) ? 0 : 2)}`,
      verdict(value, stretch, good) === "ok" ? "ok" : "",
    ])
  }
  for (const { name } of works.filter(({ part }) => part === "bulk")) {
    row(`${name}: GB/s, to HAProxy`, chain.ratio(own, `${name} rate`), 1.3, "high", 1.3)
  }
  row("ping-pong, 1 connection: p50, to HAProxy", chain.ratio(own, "ping 1 p50"), 1.1, "low", 1.1)
  row("ping-pong, 32 connections: messages/s, to HAProxy", chain.ratio(own, "ping 32 rate"), 0.7, "high", 1)
  row("new connections/s, to HAProxy", chain.ratio(own, "churn rate"), 0.6, "high", 0.9)
  row("idle connection, KiB", chain.figures.median(own, "idle memory"), 10, "low", 5)
  if (rows.length > 0) printTable("Against our targets", ["", "measured", "target", "", "stretch", ""], rows)
}
