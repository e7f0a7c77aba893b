/**
 * What two groups of processes use while something goes on, by the kernel's own count (`/proc`): CPU time with that of
 * children that have ended and were waited for, and private memory (resident pages that nobody else has mapped),
 * looked at five times a second. The same for all systems.
 */

import { readFileSync } from "node:fs"
import { processFamily } from "../machine.ts"
import type { Taken } from "./system.ts"

export interface Groups {
  readonly servers: readonly number[]
  readonly clients: readonly number[]
}

export class Gauge {
  readonly #groups: () => Groups
  readonly #timer: NodeJS.Timeout
  #begun = 0
  #before = { servers: 0, clients: 0 }
  #serverPeak = 0
  #clientPeak = 0

  /** `groups`: the heads of the processes' families as they are now. */
  constructor(groups: () => Groups) {
    this.#groups = groups
    this.#timer = setInterval(() => this.look(), lookMs)
    this.begin()
  }

  /** The clock and the counts start from here. */
  begin(): void {
    const { servers, clients } = this.#groups()
    this.#before = { servers: cpuOf(servers), clients: cpuOf(clients) }
    this.#begun = performance.now()
  }

  look(): void {
    const { servers, clients } = this.#groups()
    this.#serverPeak = Math.max(this.#serverPeak, memoryOf(servers))
    this.#clientPeak = Math.max(this.#clientPeak, memoryOf(clients))
  }

  /** To be called while the processes, or at least their heads, still live. */
  end(): Taken {
    const seconds = (performance.now() - this.#begun) / 1000
    clearInterval(this.#timer)
    this.look()
    const { servers, clients } = this.#groups()
    return {
      seconds,
      "server cpu": cpuOf(servers) - this.#before.servers,
      "client cpu": cpuOf(clients) - this.#before.clients,
      "server memory": this.#serverPeak,
      "client memory": this.#clientPeak,
    }
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}

const lookMs = 200

/** Without what their children do. */
export function privateBytes(pid: number): number {
  try {
    const [, resident, shared] = readFileSync(`/proc/${pid}/statm`, "latin1").split(" ")
    return (Number(resident) - Number(shared)) * pageBytes
  } catch {
    // It has ended.
    return 0
  }
}

function memoryOf(heads: readonly number[]): number {
  return heads.flatMap(processFamily).reduce((sum, pid) => sum + privateBytes(pid), 0)
}

function cpuOf(heads: readonly number[]): number {
  return heads.flatMap(processFamily).reduce((sum, pid) => sum + ticksOf(pid), 0) / ticksPerSecond
}

/** utime, stime, and both of children that were waited for (proc_pid_stat(5)). */
function ticksOf(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1")
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ")
    return [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0)
  } catch {
    return 0
  }
}

const pageBytes = 4096
const ticksPerSecond = 100
