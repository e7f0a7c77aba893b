/** What a process has used, by Linux's own count (proc_pid_stat(5), proc_pid_status(5)). */

import { readFileSync } from "node:fs"

export interface ProcessFigures {
  /** User and system, with those of children that have ended and were waited for. */
  readonly cpuSeconds: number
  /** The most resident memory at a time; undefined when the process has ended. */
  readonly peakBytes: number | undefined
}

/** Undefined where there is no /proc, or no such process. */
export function processFigures(pid: number): ProcessFigures | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    // The name stands in brackets and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
    const ticks = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0)
    const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))
    return { cpuSeconds: ticks / ticksPerSecond, peakBytes: peak === null ? undefined : Number(peak[1]) * 1024 }
  } catch {
    return undefined
  }
}

/** USER_HZ, 100 on every Linux that Node runs on. */
const ticksPerSecond = 100
