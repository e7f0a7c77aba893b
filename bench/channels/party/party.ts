/**
 * One process of producers or of consumers. Says `ready`, then a producer says `begin` when it is warm and `result {…}` when it
 * is done; a consumer answers each SIGUSR2 with how many messages its program has had.
 */

import type { Adapter, Meeting, Outlet } from "./adapter.ts"
import { fail } from "./adapter.ts"
import { adapterNamed } from "./adapters.ts"

/** `confirm`: a window of confirmed messages. `pour`: the streaming form. `stall`: the consumer never answers. */
export type PartyMode = "confirm" | "pour" | "stall"

export interface PartyOrder {
  readonly role: "producer" | "consumer"
  readonly adapter: string
  readonly mode: PartyMode
  readonly meeting: Omit<Meeting, "index">
  readonly connections: number
  readonly bytes: number
  /** Messages under way over all connections. */
  readonly inFlight: number
  readonly warmMs: number
  readonly seconds: number
}

export interface PartyResult {
  /** Confirmed within the measurement. */
  readonly messages: number
  readonly seconds: number
  readonly p50: number
  readonly p99: number
}

/** No measurement goes on beyond this, and no more times than this are kept. */
const mostMessages = 5_000_000

const order = JSON.parse(process.argv[2] ?? "{}") as PartyOrder
const adapter: Adapter = adapterNamed(order.adapter)
process.on("unhandledRejection", fail)
if (order.role === "consumer") await consume()
else await produce()

async function consume(): Promise<void> {
  let messages = 0
  const hear = (length: number): boolean => {
    if (length !== order.bytes) fail(`A message of ${length} instead of ${order.bytes} bytes came`)
    messages++
    return order.mode !== "stall"
  }
  let marks = 0
  process.on("SIGUSR2", () => {
    process.stdout.write(`count ${++marks} ${messages} ${performance.now().toFixed(3)}\n`)
  })
  for (let index = 0; index < order.connections; index++) await adapter.consume({ ...order.meeting, index }, hear)
  process.stdout.write("ready\n")
}

async function produce(): Promise<void> {
  const outlets: Outlet[] = []
  for (let index = 0; index < order.connections; index++)
    outlets.push(await adapter.produce({ ...order.meeting, index }))
  const bytes = Buffer.alloc(order.bytes, "m")
  process.stdout.write("ready\n")
  if (order.mode === "stall") return stall(outlets, bytes)
  const run = order.mode === "pour" ? pour : confirm
  await run(outlets, bytes, order.warmMs)
  process.stdout.write("begin\n")
  const result = await run(outlets, bytes, order.seconds * 1000)
  process.stdout.write(`result ${JSON.stringify(result)}\n`)
}

function confirm(outlets: readonly Outlet[], bytes: Uint8Array, ms: number): Promise<PartyResult> {
  return new Promise((resolve) => {
    const times: number[] = []
    const start = performance.now()
    const until = start + ms
    let [open, last] = [0, start]
    const end = (): void => {
      const sorted = Float64Array.from(times).toSorted()
      const at = (part: number): number => 1000 * (sorted[Math.floor(part * (sorted.length - 1))] ?? NaN)
      resolve({ messages: times.length, seconds: (last - start) / 1000, p50: at(0.5), p99: at(0.99) })
    }
    const startSlot = (outlet: Outlet): void => {
      let began = 0
      const confirmed = (): void => {
        last = performance.now()
        times.push(last - began)
        open--
        next(last)
      }
      const next = (now: number): void => {
        if (now < until && times.length < mostMessages) {
          began = now
          open++
          outlet.send(bytes, confirmed)
        } else if (open === 0) end()
      }
      next(performance.now())
    }
    const each = Math.ceil(order.inFlight / outlets.length)
    for (const outlet of outlets) for (let slot = 0; slot < each; slot++) startSlot(outlet)
  })
}

async function pour(outlets: readonly Outlet[], bytes: Uint8Array, ms: number): Promise<PartyResult> {
  const start = performance.now()
  const going = (): boolean => performance.now() < start + ms
  const counts = await Promise.all(outlets.map(async (outlet) => outlet.pour?.(bytes, going) ?? 0))
  const seconds = (performance.now() - start) / 1000
  return { messages: counts.reduce((sum, each) => sum + each, 0), seconds, p50: NaN, p99: NaN }
}

/** Goes on trying until it is ended, and tells on SIGUSR2 how far it has come. */
function stall(outlets: readonly Outlet[], bytes: Uint8Array): void {
  let [taken, marks] = [0, 0]
  process.on("SIGUSR2", () => {
    process.stdout.write(`count ${++marks} ${taken} ${performance.now().toFixed(3)}\n`)
  })
  for (const outlet of outlets) {
    const next = (): void => (outlet.offer === undefined ? outlet.send(bytes, again) : outlet.offer(bytes, again))
    const again = (): void => {
      taken++
      next()
    }
    for (let slot = 0; slot < Math.ceil(order.inFlight / outlets.length); slot++) next()
  }
}
