/** What the kernel tells about this machine and about processes (Linux, `/proc`). */

import { readdirSync, readFileSync } from "node:fs"
import { cpus, loadavg, release, totalmem } from "node:os"

/** One line that belongs beside every figure. */
export function machineLine(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor"
  const load = loadavg().map((each) => each.toFixed(2))
  return [
    `${cpus().length} × ${model}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Linux ${release()}`,
    `TCP ${congestionControl()}`,
    `Node ${process.versions.node}`,
    `load ${load.join(" ")}`,
  ].join(" · ")
}

/** It paces loopback too, so it belongs to a figure. */
function congestionControl(): string {
  try {
    return readFileSync("/proc/sys/net/ipv4/tcp_congestion_control", "utf8").trim()
  } catch {
    return "unknown"
  }
}

/** User and system time of a process and of all that descend from it, seconds. */
export function cpuSeconds(pid: number): number {
  return processFamily(pid).reduce((sum, each) => sum + ownCpuSeconds(each), 0)
}

/** Memory in use, bytes, of a process and of all that descend from it. */
export function residentBytes(pid: number): number {
  return processFamily(pid).reduce((sum, each) => sum + statusBytes(each, "VmRSS"), 0)
}

/** The most memory that was ever in use, bytes. */
export function peakBytes(pid: number): number {
  return processFamily(pid).reduce((sum, each) => sum + statusBytes(each, "VmHWM"), 0)
}

/** Memory of a process in use, bytes; of what it shares with others its part. */
export function proportionalBytes(pid: number): number {
  const match = /^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))
  return Number(match?.[1] ?? NaN) * 1024
}

/** How many files this process and those it starts may have open. */
export function descriptorLimit(): number {
  const match = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))
  return match?.[1] === undefined || match[1] === "unlimited" ? Infinity : Number(match[1])
}

/** A process and all that descend from it. */
export function processFamily(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    const stat = statOf(Number(name))
    if (stat !== undefined) parents.set(Number(name), Number(stat[1]))
  }
  const found = [pid]
  // Grows while it is walked: children, then theirs.
  for (const each of found) {
    for (const [child, parent] of parents) if (parent === each && !found.includes(child)) found.push(child)
  }
  return found
}

/** The fields behind the name in parentheses, which may hold blanks: state, parent, … (proc(5)). */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1")
    return text.slice(text.lastIndexOf(")") + 2).split(" ")
  } catch {
    // Processes end while we look.
    return undefined
  }
}

function ownCpuSeconds(pid: number): number {
  const stat = statOf(pid)
  return stat === undefined ? 0 : (Number(stat[11]) + Number(stat[12])) / ticksPerSecond
}

function statusBytes(pid: number, field: string): number {
  try {
    const match = new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/status`, "utf8"))
    return Number(match?.[1] ?? 0) * 1024
  } catch {
    return 0
  }
}

/** USER_HZ: fixed at 100 in what Linux tells programs, whatever the kernel ticks at. */
const ticksPerSecond = 100
