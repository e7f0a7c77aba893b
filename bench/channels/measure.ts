/** One system, one work: a fresh consumer and a fresh producer process, and what they and the server say afterwards. */

import { execFileSync } from "node:child_process"
import { cpus } from "node:os"
import { join } from "node:path"
import type { Child, Children } from "../children.ts"
import { cpuSeconds, processFamily } from "../machine.ts"
import type { Options } from "../options.ts"
import type { PartyOrder, PartyResult } from "./party/party.ts"
import type { Running, System } from "./systems.ts"
import type { Work } from "./works.ts"

export type Figure = "rate" | "p50" | "p99" | "cpu" | "producer cpu" | "consumer cpu"

export type Taken = { readonly [figure in Figure]?: number }

const party = join(import.meta.dirname, "party", "party.ts")

let lastName = 0

export interface Parties {
  readonly consumer: Child
  readonly producer: Child
}

/** Starts the consumers, then the producers; both are connected when it resolves. */
export async function startParties(
  children: Children,
  system: System,
  { place }: Running,
  clients: string,
  order: Pick<PartyOrder, "mode" | "connections" | "bytes" | "inFlight" | "warmMs" | "seconds">,
): Promise<Parties> {
  const meeting = {
    place,
    name: `bench${process.pid}n${++lastName}`,
    window: order.inFlight,
    receivers: 1,
    isSingle: order.inFlight === 1,
    clients,
  }
  const start = async (role: "consumer" | "producer"): Promise<Child> => {
    const told: PartyOrder = { role, adapter: system.adapter, meeting, ...order }
    const child = children.node(`${system.name} ${role}`, [party, JSON.stringify(told)])
    await child.until(/ready/, 30_000)
    return child
  }
  const consumer = await start("consumer")
  try {
    return { consumer, producer: await start("producer") }
  } catch (error) {
    await consumer.stop()
    throw error
  }
}

/** One at a time, the compilers need their time: three processes run hot with few messages. */
export async function measure(
  children: Children,
  system: System,
  running: Running,
  clients: string,
  work: Work,
  options: Options,
): Promise<Taken> {
  const warmMs = options.quick ? 300 : work.inFlight === 1 ? 3_000 : 1_000
  const order = { ...work, warmMs, seconds: options.seconds }
  const { consumer, producer } = await startParties(children, system, running, clients, order)
  const pids = [running.pid, producer.pid, consumer.pid]
  try {
    if (work.isPinned === true) pin(pids, "0")
    const patienceMs = 20_000 + warmMs + 1000 * options.seconds
    await producer.until(/begin/, patienceMs)
    const before = marks(pids)
    const first = await mark(consumer, 1)
    const [, text = "{}"] = await producer.until(/result (.*)\n/, patienceMs)
    const last = await mark(consumer, 2)
    const after = marks(pids)
    const result = JSON.parse(text) as PartyResult
    const heard = last.count - first.count
    // The consumer's count began a moment later, and what is only stored may still be on its way.
    if (system.proof.startsWith("receiver") && work.mode === "confirm" && last.count < result.messages) {
      throw new Error(`${result.messages} messages were confirmed, the consumer had ${last.count}`)
    }
    const [server, ofProducer, ofConsumer] = after.map(
      (each, at) => ((each ?? NaN) - (before[at] ?? NaN)) * 1e6,
    ) as number[]
    const count = work.mode === "pour" ? heard : result.messages
    return {
      rate: work.mode === "pour" ? heard / ((last.ms - first.ms) / 1000) : result.messages / result.seconds,
      ...(work.mode === "pour" ? {} : { p50: result.p50, p99: result.p99 }),
      ...(running.pid === undefined ? {} : { cpu: (server ?? NaN) / count }),
      "producer cpu": (ofProducer ?? NaN) / count,
      "consumer cpu": (ofConsumer ?? NaN) / count,
    }
  } finally {
    await producer.stop()
    await consumer.stop()
    if (work.isPinned === true && system.isKept) pin([running.pid], `0-${cpus().length - 1}`)
  }
}

/** All threads of these processes and of those that they started. */
function pin(pids: readonly (number | undefined)[], cores: string): void {
  const family = pids.flatMap((pid) => (pid === undefined ? [] : processFamily(pid)))
  for (const pid of family) execFileSync("taskset", ["-a", "-c", "-p", cores, String(pid)], { stdio: "ignore" })
}

function marks(pids: readonly (number | undefined)[]): readonly (number | undefined)[] {
  return pids.map((pid) => (pid === undefined ? undefined : cpuSeconds(pid)))
}

/** How many messages the party's program has had by now, by its own clock. `at`: the how-manieth call it is. */
export async function mark(child: Child, at: number): Promise<{ readonly count: number; readonly ms: number }> {
  child.signal("SIGUSR2")
  const [, count, ms] = await child.until(new RegExp(`count ${at} (\\d+) ([\\d.]+)\\n`), 20_000)
  return { count: Number(count), ms: Number(ms) }
}
