/**
 * A consumer that takes one message and never finishes it, while the producer goes on trying: what grows, where, and what the
 * producer notices of it.
 */

import type { Child, Children } from "../children.ts"
import { peakBytes, residentBytes } from "../machine.ts"
import type { Options } from "../options.ts"
import { printTable, shown, unknown } from "../table.ts"
import { mark, startParties } from "./measure.ts"
import type { System } from "./systems.ts"

const bytes = 1024
const inFlight = 128
const stepMs = 500
/** Who keeps everything is ended here: the machine belongs to others, too. */
const mostGrowth = 2 ** 30
const columns = ["server", "producer", "consumer"] as const

type Sample = { readonly [column in (typeof columns)[number]]: number } & { readonly seconds: number }

interface Stuck {
  readonly samples: readonly Sample[]
  readonly peaks: readonly number[]
  /** Messages that the producer got rid of: in all, and each second of the last third. */
  readonly taken: number
  readonly lastRate: number
  readonly end: string
}

export async function showStuck(
  children: Children,
  systems: readonly System[],
  clients: string,
  options: Options,
): Promise<void> {
  const seconds = options.quick ? 10 : 60
  const rows: string[][] = []
  for (const system of systems) {
    if (system.stall === undefined) continue
    process.stderr.write(`stuck: ${system.name} …\n`)
    try {
      rows.push(row(system, await stick(children, system, clients, seconds)))
    } catch (error) {
      const reason = error instanceof Error ? error.message.split("\n")[0] : String(error)
      process.stderr.write(`${system.name}, stuck: failed: ${reason}\n`)
    }
  }
  printTable(
    `A consumer that is stuck in its first message, for ${seconds} s: MiB at the start, at each third, at the end, and the highest`,
    ["", "sender waits for", ...columns, "messages taken", "in the last third, each s", "the producer"],
    rows,
  )
}

async function stick(children: Children, system: System, clients: string, seconds: number): Promise<Stuck> {
  const running = await system.start(children)
  try {
    const order = { mode: "stall", connections: 1, bytes, inFlight, warmMs: 0, seconds } as const
    const before = running.pid === undefined ? 0 : residentBytes(running.pid)
    const { consumer, producer } = await startParties(children, system, running, clients, order)
    try {
      const pids = [running.pid ?? 0, producer.pid, consumer.pid]
      const samples = [{ ...sample(pids, 0), server: before }]
      const start = performance.now()
      let marks = 0
      let third = { count: 0, ms: 0 }
      let isFull = false
      for (;;) {
        await new Promise((resolve) => setTimeout(resolve, stepMs))
        const now = (performance.now() - start) / 1000
        samples.push(sample(pids, now))
        if (now > (seconds * 2) / 3 && marks === 0 && producer.running) third = await mark(producer, ++marks)
        isFull = columns.some((column) => (samples.at(-1)?.[column] ?? 0) - (samples[0]?.[column] ?? 0) > mostGrowth)
        if (now >= seconds || isFull || !producer.running) break
      }
      const last = producer.running ? await mark(producer, ++marks) : { count: NaN, ms: NaN }
      const peaks = pids.map((pid) => (pid === 0 ? NaN : peakBytes(pid)))
      const lastRate = marks < 2 ? NaN : (last.count - third.count) / ((last.ms - third.ms) / 1000)
      return { samples, peaks, taken: last.count, lastRate, end: ending(producer, isFull, samples, lastRate) }
    } finally {
      await producer.stop()
      await consumer.stop()
    }
  } finally {
    await running.stop()
  }
}

function sample(pids: readonly number[], seconds: number): Sample {
  const [server = 0, producer = 0, consumer = 0] = pids.map((pid) => (pid === 0 ? 0 : residentBytes(pid)))
  return { seconds, server, producer, consumer }
}

function ending(producer: Child, isFull: boolean, samples: readonly Sample[], lastRate: number): string {
  const seconds = samples.at(-1)?.seconds ?? 0
  if (isFull) return `goes on; ended at 1 GiB more, after ${shown(seconds, 1)} s`
  if (!producer.running) return `failed after ${shown(seconds, 1)} s: ${producer.output.trim().split("\n").at(-1)}`
  return lastRate === 0 ? "waits" : "goes on"
}

function row(system: System, { samples, peaks, taken, lastRate, end }: Stuck): string[] {
  const last = samples.length - 1
  const points = [0, Math.round(last / 3), Math.round((2 * last) / 3), last]
  const curve = (column: (typeof columns)[number], at: number): string => {
    const mebibytes = points.map((point) => (samples[point]?.[column] ?? 0) / 2 ** 20)
    if (mebibytes.at(-1) === 0) return unknown
    return `${mebibytes.map((each) => shown(each)).join(" · ")} (${shown((peaks[at] ?? NaN) / 2 ** 20)})`
  }
  return [system.name, system.stall ?? "", ...columns.map(curve), shown(taken), shown(lastRate), end]
}
