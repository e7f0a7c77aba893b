/** Waiting for senders to be stopped by readers, and what the kernel has of what they sent. */

import { readFileSync } from "node:fs"

/** Resolves with a number when it has not changed for 200 ms. */
export async function standstill(read: () => number): Promise<number> {
  let before = -1
  for (let quiet = 0; quiet < 4; quiet++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    if (read() !== before) quiet = 0
    before = read()
  }
  return before
}

/** What Linux holds for the connections of a port of loopback: sent and not taken, come and not read. */
export function kernelBytes(port: number): number {
  const hex = `:${port.toString(16).toUpperCase().padStart(4, "0")}`
  let bytes = 0
  for (const line of readFileSync("/proc/net/tcp", "latin1").split("\n").slice(1)) {
    const [, local, remote, , queues] = line.trim().split(/\s+/)
    if (local?.endsWith(hex) !== true && remote?.endsWith(hex) !== true) continue
    for (const queue of queues?.split(":") ?? []) bytes += Number.parseInt(queue, 16)
  }
  return bytes
}
