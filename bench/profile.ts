/** Where relay and agent spend their time: a CPU profile of each under load, as the functions with the most self time. */

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Children } from "./children.ts"
import { runBulk, runRequests } from "./load.ts"
import { machineLine } from "./machine.ts"
import { bigBytes, bigFile, oneSegment, startOrigin } from "./origin.ts"
import { wants } from "./options.ts"
import type { Options } from "./options.ts"
import { rdv } from "./rdv.ts"

interface Profile {
  /** Microseconds of the clock that `process.hrtime` reads. */
  readonly startTime: number
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

const parts = ["http", "tcp", "down"]

export async function benchProfile(options: Options, children: Children): Promise<void> {
  const wanted = wants(options, parts)
  process.stdout.write(`${machineLine()}\n`)
  const origin = await startOrigin(children)
  for (const part of parts.filter(wanted)) {
    const folders = { relay: children.folder(), agent: children.folder() }
    const system = rdv(part === "tcp" ? "tcp" : "http", {
      link: options.link,
      source: options.source,
      nodeFlags: (role) => ["--cpu-prof", "--cpu-prof-interval", "200", "--cpu-prof-dir", folders[role]],
    })
    const running = await system.start(children, origin.web)
    const from = nowMicros()
    if (part === "down") {
      const { gigabytes } = await runBulk(children, running, { path: bigFile, bytes: bigBytes, times: 10, up: false })
      process.stdout.write(`\nrdv http, one download: ${gigabytes.toFixed(2)} GB/s with the profiler on\n`)
    } else {
      const { perSecond } = await runRequests(children, running, oneSegment, 64, options.seconds)
      process.stdout.write(
        `\n${system.name}, 64 connections: ${perSecond.toFixed(0)} requests/s with the profiler on\n`,
      )
    }
    const to = nowMicros()
    await running.stop()
    for (const [role, folder] of Object.entries(folders)) show(role, folder, from, to)
  }
}

function nowMicros(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

/** Only samples of the load itself count: starting a process is mostly compiling. */
function show(role: string, folder: string, from: number, to: number): void {
  const file = readdirSync(folder).find((name) => name.endsWith(".cpuprofile"))
  if (file === undefined) {
    process.stdout.write(`  ${role}: left no profile\n`)
    return
  }
  const profile = JSON.parse(readFileSync(join(folder, file), "utf8")) as Profile
  const places = new Map(profile.nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]))
  const micros = new Map<string, number>()
  let now = profile.startTime
  profile.samples.forEach((id, at) => {
    now += profile.timeDeltas[at] ?? 0
    if (now < from || now > to) return
    const place = places.get(id) ?? "(unknown)"
    micros.set(place, (micros.get(place) ?? 0) + (profile.timeDeltas[at] ?? 0))
  })
  const idle = micros.get("(idle)") ?? 0
  micros.delete("(idle)")
  const busy = [...micros.values()].reduce((sum, each) => sum + each, 0)
  process.stdout.write(
    `  ${role}: busy ${((100 * busy) / (busy + idle)).toFixed(0)} % of the time; self time of that:\n`,
  )
  const top = [...micros].toSorted(([, a], [, b]) => b - a).slice(0, shown)
  for (const [place, each] of top) {
    process.stdout.write(`    ${((100 * each) / busy).toFixed(1).padStart(5)} %  ${place}\n`)
  }
}

const shown = 20

function placeOf({ functionName, url, lineNumber }: Profile["nodes"][number]["callFrame"]): string {
  const name = functionName === "" ? "(anonymous)" : functionName
  if (url === "") return name
  return `${name}  ${url.replace(/^file:\/\/.*?\/(?=src\/|bench\/|node_modules\/)/, "")}:${lineNumber + 1}`
}
