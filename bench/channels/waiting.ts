/** What a receiver costs that waits for a message: growth of the process in the middle, collected on demand nowhere. */

import { join } from "node:path"
import type { Child, Children } from "../children.ts"
import { descriptorLimit, residentBytes } from "../machine.ts"
import type { Options } from "../options.ts"
import { printTable, shown } from "../table.ts"
import type { PartyOrder } from "./party/party.ts"
import type { Running, System } from "./systems.ts"

/** Connections, and receivers on each of them. */
interface Form {
  readonly connections: number
  readonly receivers: number
}

const party = join(import.meta.dirname, "party", "party.ts")
const settleMs = 3_000
/** Where many receivers share a connection. 9P has a limit of 4,096 open files for one. */
const shared: Form = { connections: 2, receivers: 2_500 }
/** A session is for a machine or a program, not for a receiver. */
const sessions: Form = { connections: 500, receivers: 10 }
const alone: Form = { connections: 5_000, receivers: 1 }

const asked: { readonly [system: string]: readonly Form[] } = {
  rdv: [shared, sessions],
  "rdv 9p": [shared, alone],
  nats: [shared, alone],
  "redis list": [alone],
}

export async function showWaiting(
  children: Children,
  systems: readonly System[],
  clients: string,
  options: Options,
): Promise<void> {
  const rows: string[][] = []
  for (const system of systems) {
    for (const form of asked[system.name] ?? []) {
      const { connections, receivers } = fitting(form, options.quick)
      process.stderr.write(`waiting: ${system.name}, ${connections} × ${receivers} …\n`)
      try {
        const grown = await growth(children, system, clients, { connections, receivers })
        const each = grown / (connections * receivers) / 1024
        rows.push([system.name, shown(connections * receivers), shown(connections), shown(each, 1)])
      } catch (error) {
        const reason = error instanceof Error ? error.message.split("\n")[0] : String(error)
        process.stderr.write(`${system.name}, waiting: failed: ${reason}\n`)
      }
    }
  }
  printTable("Receivers that wait: what the server grows by", ["", "receivers", "connections", "KiB each"], rows)
}

/** Some clients have two sockets for each connection. */
function fitting({ connections, receivers }: Form, isQuick: boolean): Form {
  const most = Math.max(100, Math.floor((descriptorLimit() - 200) / 2))
  if (isQuick) return { connections: Math.min(connections, 500), receivers: Math.min(receivers, 250) }
  return { connections: Math.min(connections, most), receivers }
}

async function growth(children: Children, system: System, clients: string, form: Form): Promise<number> {
  const running = await system.start(children)
  try {
    // The first ones compile and fill pools: not what one more receiver costs.
    const first = await wait(children, system, running, clients, { connections: 2, receivers: 50 })
    await settle()
    const before = residentBytes(running.pid ?? 0)
    const others = await wait(children, system, running, clients, form)
    await settle()
    const after = residentBytes(running.pid ?? 0)
    await others.stop()
    await first.stop()
    return after - before
  } finally {
    await running.stop()
  }
}

async function wait(
  children: Children,
  system: System,
  { place }: Running,
  clients: string,
  { connections, receivers }: Form,
): Promise<Child> {
  const order: PartyOrder = {
    role: "consumer",
    adapter: system.adapter,
    mode: "stall",
    meeting: { place, name: `waiting${connections}x${receivers}`, window: 1, receivers, isSingle: true, clients },
    connections,
    bytes: 0,
    inFlight: 1,
    warmMs: 0,
    seconds: 0,
  }
  const child = children.node(`${system.name} receivers`, [party, JSON.stringify(order)])
  await child.until(/ready/, 120_000)
  return child
}

function settle(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, settleMs))
}
