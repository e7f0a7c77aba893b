/**
 * The whole comparison: direct nginx, rdv and its peers in one run, rounds interleaved over all systems so that a change of
 * the machine's mood hits all of them. What loses says so.
 */

import type { Children } from "./children.ts"
import { measureFair, showFair } from "./fair.ts"
import { measureIdle, showIdle } from "./idle.ts"
import { runBulk, runRequests } from "./load.ts"
import type { Bulk, Requests } from "./load.ts"
import { machineLine, peakBytes } from "./machine.ts"
import { bigBytes, bigFile, oneSegment, startOrigin, twoSegments } from "./origin.ts"
import type { Origin } from "./origin.ts"
import { wants } from "./options.ts"
import type { Options } from "./options.ts"
import { attempt, startSystems } from "./systems.ts"
import { writeJson } from "./report.ts"
import type { Running, System } from "./system.ts"
import { Figures } from "./table.ts"
import { showTunnel } from "./tunnel-tables.ts"

const parts = ["requests", "bulk", "fair", "idle"]
const connectionCounts: readonly number[] = [1, 32, 64, 256]
const shapes: readonly { readonly name: string; readonly path: string }[] = [
  { name: "one", path: oneSegment },
  { name: "two", path: twoSegments },
]

export async function benchTunnel(options: Options, children: Children): Promise<void> {
  const wanted = wants(options, parts)
  process.stdout.write(`${machineLine()}\n`)
  const origin = await startOrigin(children)
  const running = await startSystems(options, children, origin.web)
  const systems = [...running.keys()]
  const figures = new Figures()
  for (const [system, each] of running) {
    await attempt(system, async () => void (await runRequests(children, each, oneSegment, 32, 1)))
  }
  for (let round = 1; round <= options.rounds; round++) {
    process.stderr.write(`round ${round} of ${options.rounds} …\n`)
    if (wanted("requests")) await roundOfRequests(children, running, options, figures)
    if (wanted("bulk")) await roundOfBulk(children, running, origin, options, figures)
    if (wanted("fair")) {
      for (const [system, each] of running) {
        await attempt(system, () => measureFair(children, system, each, options, figures))
      }
    }
  }
  for (const [{ name }, { processes }] of running) {
    for (const { role, pid } of processes) figures.add(name, `peak ${role}`, peakBytes(pid))
  }
  for (const each of running.values()) await each.stop()
  if (wanted("idle")) await measureIdle(children, options, figures)
  showTunnel(systems, figures)
  if (wanted("fair")) showFair(systems, figures)
  if (wanted("idle")) showIdle(figures)
  process.stdout.write(`\n${machineLine()}\n`)
  writeJson(options, figures)
}

async function roundOfRequests(
  children: Children,
  running: ReadonlyMap<System, Running>,
  options: Options,
  figures: Figures,
): Promise<void> {
  for (const { name: shape, path } of shapes) {
    for (const connections of connectionCounts) {
      for (const [system, each] of running) {
        await attempt(system, async () => {
          const result = await runRequests(children, each, path, connections, options.seconds)
          addRequests(figures, system.name, `${shape} ${connections}`, result)
        })
      }
    }
  }
}

async function roundOfBulk(
  children: Children,
  running: ReadonlyMap<System, Running>,
  origin: Origin,
  options: Options,
  figures: Figures,
): Promise<void> {
  const times = options.quick ? 1 : 5
  for (const [system, each] of running) {
    await attempt(system, async () => {
      const down = await runBulk(children, each, { path: bigFile, bytes: bigBytes, times, up: false })
      addBulk(figures, system.name, "down", down)
    })
    await attempt(system, () => uploads(children, system, origin, times, figures))
  }
}

/** Uploads end at another service, so they need a tunnel of their own. */
async function uploads(
  children: Children,
  system: System,
  origin: Origin,
  times: number,
  figures: Figures,
): Promise<void> {
  const running = await system.start(children, origin.sink)
  try {
    const up = await runBulk(children, running, { path: "/", bytes: bigBytes, times, up: true })
    addBulk(figures, system.name, "up", up)
    for (const { role, pid } of running.processes) figures.add(system.name, `peak up ${role}`, peakBytes(pid))
  } finally {
    await running.stop()
  }
}

function addRequests(figures: Figures, system: string, at: string, result: Requests): void {
  figures.add(system, `${at} rate`, result.perSecond)
  figures.add(system, `${at} p50`, result.p50)
  figures.add(system, `${at} p99`, result.p99)
  figures.add(system, `${at} p999`, result.p999)
  figures.add(system, `${at} failed`, result.failed)
  for (const [role, micros] of Object.entries(result.cpu)) figures.add(system, `${at} cpu ${role}`, micros)
}

function addBulk(figures: Figures, system: string, way: string, result: Bulk): void {
  figures.add(system, `${way} GB/s`, result.gigabytes)
  figures.add(system, `${way} first byte ms`, result.firstByteMs)
  for (const [role, seconds] of Object.entries(result.cpu)) figures.add(system, `${way} cpu ${role}`, seconds)
}
