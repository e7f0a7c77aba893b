/**
 * What somebody costs who does nothing: keep-alive connections of visitors and sessions of agents. It is what a process grows
 * by, after garbage collection: its resident memory, which may hide in pages that were touched before, and what JavaScript
 * holds, which misses what the runtime keeps in C++. The larger of both counts. The kernel's socket buffers are in neither.
 */

import { join } from "node:path"
import type { Child, Children } from "./children.ts"
import { descriptorLimit, machineLine } from "./machine.ts"
import { oneByte, startOrigin } from "./origin.ts"
import type { Options } from "./options.ts"
import { startAgentProcess, startRelayProcess } from "./rdv.ts"
import type { RdvOptions } from "./rdv.ts"
import { writeJson } from "./report.ts"
import { Figures, printTable, shown, verdict } from "./table.ts"

const visitorTarget = 20 * 1024
const sessionTarget = 60 * 1024

export async function benchIdle(options: Options, children: Children): Promise<void> {
  process.stdout.write(`${machineLine()}\n`)
  const figures = new Figures()
  await measureIdle(children, options, figures)
  showIdle(figures)
  writeJson(options, figures)
}

export async function measureIdle(children: Children, options: Options, figures: Figures): Promise<void> {
  const collecting = ["--expose-gc", "--import", join(import.meta.dirname, "..", "test", "kit", "collect.ts")]
  const own: RdvOptions = { link: options.link, source: options.source, nodeFlags: () => collecting }
  await idleVisitors(children, own, options, figures)
  await idleSessions(children, own, options, figures)
}

async function idleVisitors(children: Children, own: RdvOptions, options: Options, figures: Figures): Promise<void> {
  const count = affordable(options.quick ? 1000 : 5000)
  const origin = await startOrigin(children)
  const relay = await startRelayProcess(children, own)
  const agent = await startAgentProcess(children, relay, "http", origin.web, own)
  const measured = [
    { role: "relay", child: relay.child },
    { role: "agent", child: agent.child },
  ]
  const open = (some: number): Promise<Child> =>
    startReady(children, "idle-visitors.ts", {
      ...agent.place,
      hostHeader: agent.hostHeader,
      path: oneByte,
      count: some,
    })
  // The first ones compile and fill pools: not what one more visitor costs.
  await (await open(100)).stop()
  await growth("idle visitor", measured, count, open, figures)
  await agent.child.stop()
  await relay.child.stop()
}

async function idleSessions(children: Children, own: RdvOptions, options: Options, figures: Figures): Promise<void> {
  const count = affordable(options.quick ? 200 : 1000)
  const relay = await startRelayProcess(children, own)
  const open = (some: number): Promise<Child> =>
    startReady(children, "idle-sessions.ts", { relay: relay.address, count: some })
  await (await open(20)).stop()
  await growth("idle session", [{ role: "relay", child: relay.child }], count, open, figures)
  await relay.child.stop()
}

async function growth(
  who: string,
  measured: readonly { readonly role: string; readonly child: Child }[],
  count: number,
  open: (count: number) => Promise<Child>,
  figures: Figures,
): Promise<void> {
  const before = await Promise.all(measured.map(({ child }) => settled(child)))
  const opened = await open(count)
  const after = await Promise.all(measured.map(({ child }) => settled(child)))
  await opened.stop()
  figures.add(who, "count", count)
  for (const [at, { role }] of measured.entries()) {
    for (const figure of ["resident", "used"] as const) {
      const start = before[at]?.[figure] ?? 0
      figures.add(who, `${role} ${figure}`, ((after[at]?.[figure] ?? 0) - start) / count)
    }
  }
}

async function startReady(children: Children, program: string, settings: object): Promise<Child> {
  const path = join(import.meta.dirname, "programs", program)
  const child = children.node(program.replace(".ts", ""), [path, JSON.stringify(settings)])
  await child.until(/ready/, 60_000)
  return child
}

export function showIdle(figures: Figures): void {
  const rows = (
    [
      ["idle visitor", "relay", visitorTarget],
      ["idle visitor", "agent", visitorTarget],
      ["idle session", "relay", sessionTarget],
    ] as const
  ).map(([who, role, target]) => {
    const of = (figure: string): number => figures.median(who, `${role} ${figure}`) ?? 0
    return [
      `${who}, at the ${role}`,
      shown(figures.median(who, "count")),
      shown(of("resident") / 1024, 1),
      shown(of("used") / 1024, 1),
      `≤ ${shown(target / 1024)}`,
      verdict(Math.max(of("resident"), of("used")), target, "low"),
    ]
  })
  const heads = ["", "of them", "resident, KiB each", "held, KiB each", "target", ""]
  printTable("Memory of who does nothing", heads, rows)
}

/** One process holds one descriptor for each, and a few dozen of its own. */
function affordable(wanted: number): number {
  const limit = descriptorLimit()
  const most = Math.max(100, limit - 200)
  if (wanted <= most) return wanted
  process.stderr.write(`Only ${most} instead of ${wanted}: the limit of open files is ${limit} (ulimit -n)\n`)
  return most
}

/** After three collections, so that what the first one freed can be given back. */
async function settled(child: Child): Promise<{ readonly resident: number; readonly used: number }> {
  const last = [...child.output.matchAll(/^memory (\d+) /gm)].at(-1)
  let count = Number(last?.[1] ?? 0)
  for (let turn = 0; turn < 3; turn++) {
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    child.signal("SIGUSR2")
    count++
    await child.until(new RegExp(`^memory ${count} .*\n`, "m"))
  }
  const match = new RegExp(`^memory ${count} (\\d+) (\\d+)`, "m").exec(child.output)
  return { resident: Number(match?.[1]), used: Number(match?.[2]) }
}

const pauseMs = 400
