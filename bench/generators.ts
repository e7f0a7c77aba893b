/**
 * `rdv load` beside other load testers, on the same target in one run: what they can generate, and what they say about a
 * target that stands still now and then.
 */

import { spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Children } from "./children.ts"
import { machineLine } from "./machine.ts"
import type { Options } from "./options.ts"
import { oneSegment, startOrigin } from "./origin.ts"
import { Figures, printTable, shown, unknown } from "./table.ts"
import { autocannon, h2load, hey, rdvLoad, wrk } from "./testers.ts"
import type { Plan, Tester } from "./testers.ts"

const connections = 64
/** Of `wrk`'s requests per second over HTTP, and echoed messages per second. */
const httpShare = 0.5
const echoTarget = 100_000

export async function benchGenerators(options: Options, children: Children): Promise<void> {
  process.stdout.write(`${machineLine()}\n`)
  const figures = new Figures()
  await generate(options, children, figures)
  await trap(options, children)
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(figures))
}

/** As fast as they can. */
async function generate(options: Options, children: Children, figures: Figures): Promise<void> {
  const { web } = await startOrigin(children)
  const plan: Plan = { url: `http://${web.host}:${web.port}${oneSegment}`, connections, seconds: options.seconds }
  const testers = [rdvLoad(plan), ...others(plan), rdvLoad(plan, "rdv load, 2 workers", 2)]
  const echo = await startEcho(children)
  if (echo !== undefined) testers.push(rdvLoad({ ...plan, url: `tcp://127.0.0.1:${echo}` }, "rdv load, echo in C"))
  for (let round = 1; round <= options.rounds; round++) {
    process.stderr.write(`round ${round} of ${options.rounds} …\n`)
    for (const tester of testers) {
      const { perSecond, p50, p99 } = await run(children, tester, plan.seconds)
      figures.add(tester.name, "rate", perSecond)
      if (p50 !== undefined) figures.add(tester.name, "p50", p50)
      if (p99 !== undefined) figures.add(tester.name, "p99", p99)
    }
  }
  const wrkRate = figures.median("wrk", "rate")
  const rows = testers.map(({ name }) => {
    const rate = figures.median(name, "rate")
    return [
      name,
      `${shown(rate)}${figures.spread(name, "rate")}`,
      shown(rate === undefined || wrkRate === undefined ? undefined : rate / wrkRate, 2),
      shown(figures.median(name, "p50"), 3),
      shown(figures.median(name, "p99"), 3),
    ]
  })
  printTable(`nginx, 1 KB, ${connections} connections`, ["", "per second", "of wrk", "p50 ms", "p99 ms"], rows)
  const own = figures.median("rdv load", "rate")
  const echoed = figures.median("rdv load, echo in C", "rate")
  const share = own === undefined || wrkRate === undefined ? undefined : own / wrkRate
  printTable(
    "Against our targets",
    ["", "measured", "target", ""],
    [
      ["rdv load: requests/s as a share of wrk -t1", shown(share, 2), `≥ ${httpShare}`, verdict(share, httpShare)],
      ["rdv load: echoed messages/s", shown(echoed), `≥ ${shown(echoTarget)}`, verdict(echoed, echoTarget)],
    ],
  )
}

/**
 * A target that answers at once and stands still for one second of every three. Of callers that do not wait for each
 * other, a third meets the stall and waits half a second in the mean: p50 is short, p99 0.97 s.
 */
async function trap(options: Options, children: Children): Promise<void> {
  const seconds = options.quick ? 6 : 12
  const server = children.node("stall server", [join(import.meta.dirname, "programs", "stall-server.ts")])
  const port = Number((await server.until(/port (\d+)/))[1])
  const plan: Plan = { url: `http://127.0.0.1:${port}/`, connections: 8, seconds }
  const open = rdvLoad({ ...plan, rate: 500 }, "rdv load --rate 500")
  const rows: string[][] = [["independent callers, by calculation", "0.0", "970.0", ""]]
  for (const tester of [open, rdvLoad(plan, "rdv load, closed"), ...others(plan)]) {
    const { p50, p99, perSecond } = await run(children, tester, seconds)
    if (p99 === undefined) continue
    rows.push([tester.name, shown(p50, 1), shown(p99, 1), shown(perSecond)])
  }
  await server.stop()
  printTable(
    "A target that stands still for 1 s of every 3 s, 8 connections",
    ["", "p50 ms", "p99 ms", "per second"],
    rows,
  )
}

/** Those that are installed. */
function others(plan: Plan): Tester[] {
  const testers = [wrk(plan), hey(plan), h2load(plan)].filter(({ name, command }) => {
    const found = spawnSync("sh", ["-c", `command -v ${command[0]}`]).status === 0
    if (!found) process.stderr.write(`${name}: not installed\n`)
    return found
  })
  try {
    testers.push(autocannon(plan))
  } catch (error) {
    process.stderr.write(
      `autocannon: not to be had: ${error instanceof Error ? error.message.split("\n")[0] : String(error)}\n`,
    )
  }
  return testers
}

async function run(children: Children, tester: Tester, seconds: number): ReturnType<typeof readReport> {
  const [program, ...args] = tester.command
  return readReport(tester, await children.start(tester.name, program, args).done((seconds + 30) * 1000))
}

async function readReport(tester: Tester, output: string): Promise<ReturnType<Tester["read"]>> {
  const report = tester.read(output)
  if (!Number.isFinite(report.perSecond)) throw new Error(`${tester.name} gave no result: ${output.trim().slice(-200)}`)
  return report
}

/** Its port; undefined where there is no C compiler. */
async function startEcho(children: Children): Promise<number | undefined> {
  const program = join(children.folder(), "echo")
  const source = join(import.meta.dirname, "programs", "echo.c")
  if (spawnSync("cc", ["-O2", "-o", program, source]).status !== 0) {
    process.stderr.write(`no C compiler: the echo server is left out\n`)
    return undefined
  }
  return Number((await children.start("echo", program, []).until(/port (\d+)/))[1])
}

function verdict(measured: number | undefined, target: number): string {
  if (measured === undefined) return unknown
  return measured >= target ? "ok" : "LOSS"
}
