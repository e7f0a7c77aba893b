/**
 * Who suffers when somebody takes much, or takes it slowly: requests of one byte beside four bulk downloads, beside a
 * visitor that reads 1 KiB a second and beside a service that reads 1 KiB a second. Direct nginx in the same run shows how
 * much of it is the machine's own two cores.
 */

import type { Child, Children } from "./children.ts"
import { runRequests, startBulk } from "./load.ts"
import { machineLine, residentBytes } from "./machine.ts"
import { bigBytes, bigFile, oneByte, startOrigin } from "./origin.ts"
import type { Origin } from "./origin.ts"
import type { Options } from "./options.ts"
import { writeJson } from "./report.ts"

import type { Running, System } from "./system.ts"
import { Figures, printTable, shown, verdict } from "./table.ts"
import { attempt, startSystems } from "./systems.ts"

/** p99 beside bulk may be so many times the p99 alone. */
const fairTarget = 5
/** What a slow reader may cost each process, bytes. */
const growthTarget = 32 * 2 ** 20

export async function benchFair(options: Options, children: Children): Promise<void> {
  process.stdout.write(`${machineLine()}\n`)
  const origin = await startOrigin(children)
  const running = await startSystems(options, children, origin.web)
  const systems = [...running.keys()]
  const figures = new Figures()
  for (let round = 0; round < options.rounds; round++) {
    for (const [system, each] of running) {
      await attempt(system, () => measureFair(children, system, each, options, figures))
    }
  }
  for (const [system, each] of running) {
    await attempt(system, () => measureSlowVisitor(children, system, each, options, figures))
  }
  for (const each of running.values()) await each.stop()
  for (const system of systems.filter(({ side }) => side === "own")) {
    await measureSlowService(children, system, origin, options, figures)
  }
  showFair(systems, figures)
  showSlow(systems, figures)
  writeJson(options, figures)
}

/** One round: alone, then beside four downloads. */
export async function measureFair(
  children: Children,
  { name }: System,
  running: Running,
  options: Options,
  figures: Figures,
): Promise<void> {
  const alone = await runRequests(children, running, oneByte, 1, options.seconds)
  const bulk = startBulk(children, running, { path: bigFile, bytes: bigBytes, times: 0, parallel: 4, up: false })
  try {
    await settle(warmUpMs, [bulk])
    const beside = await runRequests(children, running, oneByte, 1, options.seconds)
    for (const [when, result] of Object.entries({ alone, beside })) {
      figures.add(name, `fair p50 ${when}`, result.p50)
      figures.add(name, `fair p99 ${when}`, result.p99)
      figures.add(name, `fair rate ${when}`, result.perSecond)
    }
    figures.add(name, "fair ratio", beside.p99 / Math.max(1, alone.p99))
  } finally {
    await bulk.stop()
  }
}

export function showFair(systems: readonly System[], figures: Figures): void {
  const rows = systems.map(({ name, side }) => {
    const of = (figure: string): number | undefined => figures.median(name, `fair ${figure}`)
    const ratio = of("ratio")
    return [
      name,
      shown(of("rate alone")),
      `${shown(of("p50 alone"))} / ${shown(of("p99 alone"))}`,
      shown(of("rate beside")),
      `${shown(of("p50 beside"))} / ${shown(of("p99 beside"))}`,
      shown(ratio, 1),
      side === "own" ? verdict(ratio, fairTarget, "low") : "",
    ]
  })
  const heads = ["1 byte, 1 connection", "alone/s", "p50 / p99 µs", "beside/s", "p50 / p99 µs", "p99 ratio", "≤ 5"]
  printTable("Small requests beside four bulk downloads", heads, rows)
}

/** One visitor reads 1 KiB/s of a large answer: what the processes grow by, what another visitor feels. */
async function measureSlowVisitor(
  children: Children,
  { name }: System,
  running: Running,
  options: Options,
  figures: Figures,
): Promise<void> {
  const transfer = { path: bigFile, bytes: bigBytes, times: 1, parallel: 1, up: false, bytesPerSecond: 1024 }
  await besideSlow(children, name, "visitor", running, running, transfer, options, figures)
}

/** A local service reads 1 KiB/s of a large upload; what another visitor feels goes through the same two processes. */
async function measureSlowService(
  children: Children,
  system: System,
  origin: Origin,
  options: Options,
  figures: Figures,
): Promise<void> {
  const running = await system.start(children, origin.slowSink)
  const transfer = { path: "/", bytes: 2 ** 30, times: 1, parallel: 1, up: true }
  await besideSlow(children, system.name, "service", running, undefined, transfer, options, figures)
  await running.stop()
}

async function besideSlow(
  children: Children,
  name: string,
  who: string,
  running: Running,
  other: Running | undefined,
  transfer: Parameters<typeof startBulk>[2],
  options: Options,
  figures: Figures,
): Promise<void> {
  if (other !== undefined) await runRequests(children, other, oneByte, 1, 1)
  const before = running.processes.map(({ pid }) => residentBytes(pid))
  const slow = startBulk(children, running, transfer)
  await settle(options.quick ? 1000 : 5000, [slow])
  running.processes.forEach(({ role, pid }, at) => {
    figures.add(name, `slow ${who} ${role} bytes`, residentBytes(pid) - (before[at] ?? 0))
  })
  if (other !== undefined) {
    const result = await runRequests(children, other, oneByte, 1, options.seconds)
    figures.add(name, `slow ${who} p99`, result.p99)
  }
  await slow.stop()
}

function showSlow(systems: readonly System[], figures: Figures): void {
  const rows = systems
    .filter(({ name }) => figures.median(name, "slow visitor p99") !== undefined)
    .map(({ name, side }) => {
      const growth = ["visitor", "service"].flatMap((who) =>
        ["relay", "agent"].map((role) => figures.median(name, `slow ${who} ${role} bytes`)),
      )
      const most = Math.max(...growth.map((bytes) => bytes ?? 0))
      const cells = growth.map((bytes) => shown(bytes === undefined ? undefined : bytes / 2 ** 20, 1))
      const felt = `${shown(figures.median(name, "fair p99 alone"))} → ${shown(figures.median(name, "slow visitor p99"))}`
      return [name, ...cells, felt, side === "own" ? verdict(most, growthTarget, "low") : ""]
    })
  const heads = [
    "growth, MiB",
    "slow visitor: relay",
    "agent",
    "slow service: relay",
    "agent",
    "p99 µs, others",
    "≤ 32",
  ]
  printTable("Beside a reader of 1 KiB/s", heads, rows)
}

const warmUpMs = 300

/** Waits, and fails when one of the children ends meanwhile. */
async function settle(ms: number, children: readonly Child[]): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms))
  const ended = children.find(({ running }) => !running)
  if (ended !== undefined) await ended.done(0)
}
