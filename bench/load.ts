/** The clients: wrk for requests, a small Node program that reads into one buffer for bulk. */

import { join } from "node:path"
import type { Child, Children } from "./children.ts"
import { cpuSeconds } from "./machine.ts"
import type { Running } from "./system.ts"

export interface Requests {
  readonly perSecond: number
  /** Microseconds. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
  /** Answers that were no answer: connections refused or broken, statuses of 400 and above, nothing in time. */
  readonly failed: number
  /** CPU microseconds per request, by role. */
  readonly cpu: { readonly [role: string]: number }
}

export interface Bulk {
  /** 10⁹ bytes per second. */
  readonly gigabytes: number
  readonly firstByteMs: number
  /** CPU seconds per 10⁹ bytes, by role; `client` is our own reader or writer. */
  readonly cpu: { readonly [role: string]: number }
}

/** wrk with one thread: it needs less than a core for all that a tunnel can give. */
export async function runRequests(
  children: Children,
  running: Running,
  path: string,
  connections: number,
  seconds: number,
  method = "GET",
): Promise<Requests> {
  const before = readCpu(running)
  const wrk = children.start(
    "wrk",
    "wrk",
    [
      "-t1",
      `-c${connections}`,
      `-d${seconds}s`,
      "--timeout",
      "10s",
      "-s",
      join(import.meta.dirname, "wrk.lua"),
      "-H",
      `Host: ${running.hostHeader}`,
      `http://${running.host}:${running.port}${path}`,
    ],
    { env: { ...process.env, WRK_METHOD: method } },
  )
  const output = await wrk.done((seconds + 20) * 1000)
  const after = readCpu(running)
  const line = /^\{.*\}$/m.exec(output)?.[0]
  if (line === undefined) throw new Error(`wrk gave no result: ${output.trim()}`)
  const result = JSON.parse(line) as { readonly [key: string]: number }
  const of = (key: string): number => result[key] ?? 0
  return {
    perSecond: of("requests") / (of("microseconds") / 1e6),
    p50: of("p50"),
    p99: of("p99"),
    p999: of("p999"),
    failed: of("connect") + of("read") + of("write") + of("status") + of("timeout"),
    cpu: Object.fromEntries(
      Object.entries(after).map(([role, seconds]) => [
        role,
        ((seconds - (before[role] ?? 0)) * 1e6) / Math.max(1, of("requests")),
      ]),
    ),
  }
}

/** One stream after another, each on a new connection. `up` sends instead of reading. */
export async function runBulk(
  children: Children,
  running: Running,
  transfer: { readonly path: string; readonly bytes: number; readonly times: number; readonly up: boolean },
): Promise<Bulk> {
  const before = readCpu(running)
  const child = startBulk(children, running, { ...transfer, parallel: 1 })
  const output = await child.done(60_000)
  const after = readCpu(running)
  const result = JSON.parse(output) as { bytes: number; seconds: number; firstByteMs: number; cpuSeconds: number }
  const cpu = Object.fromEntries(
    Object.entries(after).map(([role, seconds]) => [role, ((seconds - (before[role] ?? 0)) * 1e9) / result.bytes]),
  )
  return {
    gigabytes: result.bytes / 1e9 / result.seconds,
    firstByteMs: result.firstByteMs,
    cpu: { ...cpu, client: (result.cpuSeconds * 1e9) / result.bytes },
  }
}

/** Runs until its transfers are over or it is stopped; `times` 0 has no end, `bytesPerSecond` reads slowly. */
export function startBulk(
  children: Children,
  running: Running,
  transfer: {
    readonly path: string
    readonly bytes: number
    readonly times: number
    readonly parallel: number
    readonly up: boolean
    readonly bytesPerSecond?: number
  },
): Child {
  return children.node("bulk client", [
    join(import.meta.dirname, "programs", "bulk-client.ts"),
    JSON.stringify({ host: running.host, port: running.port, hostHeader: running.hostHeader, ...transfer }),
  ])
}

function readCpu(running: Running): { [role: string]: number } {
  return Object.fromEntries(running.processes.map(({ role, pid }) => [role, cpuSeconds(pid)]))
}
