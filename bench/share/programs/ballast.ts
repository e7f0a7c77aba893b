/**
 * Takes so many bytes of memory, says "ready", and lets go of them as fast as others use memory up: `ballast.ts BYTES`. A
 * virtual machine gives memory that is free for two seconds back to its host, and getting it again costs more than all that
 * is measured here. What has just been let go of is used first.
 */

import { readFileSync } from "node:fs"

const partBytes = 32 * 2 ** 20
const lookMs = 5
/** More is free than at the beginning, always. */
const aheadBytes = 160 * 2 ** 20

const held: Buffer[] = []
for (let left = Number(process.argv[2]); left > 0; left -= partBytes) {
  const bytes = Buffer.allocUnsafeSlow(partBytes)
  for (let at = 0; at < partBytes; at += 4096) bytes[at] = 1
  held.push(bytes)
}
const wanted = freeBytes() + aheadBytes
setInterval(() => {
  for (let lack = wanted - freeBytes(); lack > 0; lack -= partBytes)
    (held.pop()?.buffer as ArrayBuffer | undefined)?.transfer(0)
}, lookMs)
process.stdout.write("ready\n")

function freeBytes(): number {
  return Number(/^MemFree:\s+(\d+) kB/m.exec(readFileSync("/proc/meminfo", "latin1"))?.[1]) * 1024
}
