/** What this machine allows, as far as a configuration may ask too much of it. */

import { readFileSync } from "node:fs"
import { totalmem } from "node:os"
import type { Settings } from "./settings.ts"

export interface HostFacts {
  /** Ports below need a right that this user lacks; 0 when it has it. */
  readonly firstFreePort: number
  /** Files and sockets at once; undefined when it is not known. */
  readonly descriptors: number | undefined
  /** Bytes. */
  readonly memory: number
  /** The largest buffers that the kernel gives a TCP socket, bytes; undefined when it does not tell. */
  readonly socketBuffers: { readonly receive: number; readonly send: number } | undefined
  /** What all TCP sockets together may hold, bytes. */
  readonly allSocketBuffers: number | undefined
}

export function hostFacts(): HostFacts {
  const limits = read("/proc/self/limits")
  const hard = /^Max open files +\S+ +(\d+)/m.exec(limits)?.[1]
  const [receive, send] = [biggest("tcp_rmem"), biggest("tcp_wmem")]
  const pages = biggest("tcp_mem")
  return {
    firstFreePort: firstFreePort(),
    descriptors: hard === undefined ? undefined : Number(hard),
    memory: totalmem(),
    socketBuffers: receive === undefined || send === undefined ? undefined : { receive, send },
    allSocketBuffers: pages === undefined ? undefined : pages * 4_096,
  }
}

/** Of the three numbers that Linux has for it. */
function biggest(name: string): number | undefined {
  const found = /(\d+)\s*$/.exec(read(`/proc/sys/net/ipv4/${name}`))?.[1]
  return found === undefined ? undefined : Number(found)
}

function firstFreePort(): number {
  // Elsewhere ports are free, or nobody knows before it was tried.
  if (process.platform !== "linux" || process.geteuid?.() === 0) return 0
  // CAP_NET_BIND_SERVICE is bit 10.
  const rights = /^CapEff:\s*([0-9a-f]+)$/m.exec(read("/proc/self/status"))?.[1]
  if (rights !== undefined && (Number.parseInt(rights.slice(-4), 16) & 1_024) !== 0) return 0
  const told = read("/proc/sys/net/ipv4/ip_unprivileged_port_start").trim()
  return /^\d+$/.test(told) ? Number(told) : 1_024
}

/** What is not there says nothing. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

/** What the process needs beside its connections: ports, its own files, sockets of checks and admin. */
const otherDescriptors = 64

/** What each event loop needs beside its ports when there are several. */
const loopDescriptors = 16

/** How many connections the limit of descriptors allows, each with its target's; undefined when it is not known. */
export function descriptorsFor({ apps, workers }: Pick<Settings, "apps" | "workers">): number | undefined {
  const soft = /^Max open files +(\d+)/m.exec(read("/proc/self/limits"))?.[1]
  if (soft === undefined) return undefined
  const ports = apps.reduce((sum, { listeners, targets }) => sum + workers * listeners.length + targets.length, 0)
  const loops = workers > 1 ? workers * loopDescriptors : 0
  return Math.max(1, Math.floor((Number(soft) - otherDescriptors - ports - loops) / 2))
}
