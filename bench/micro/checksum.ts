/**
 * What a checksum over each batch costs, in GB per CPU second: the CRC-32 that Node brings, the portable one for places
 * without it, and hashes for comparison. By hand: `node bench/micro/checksum.ts`. The figures stand in
 * docs/decisions/0007-checks-on-plain-links.md.
 */

import { createHash } from "node:crypto"
import { crc32 as nodeCrc32 } from "node:zlib"
import { crc32 } from "../../src/wire/crc32.ts"

const totalBytes = 2 ** 30

for (const kib of [1, 64, 128]) {
  const batch = new Uint8Array(kib * 1024).fill(7)
  console.log(`${kib} KiB at a time`)
  measure("CRC-32 of node:zlib", batch, () => nodeCrc32(batch, 0))
  measure("CRC-32, portable", batch, () => crc32(batch, 0))
  measure("SHA-256 of node:crypto", batch, () => createHash("sha256").update(batch).digest())
}

function measure(name: string, batch: Uint8Array, run: () => unknown): void {
  const bytes = name.includes("portable") ? totalBytes / 8 : totalBytes
  for (let warm = 0; warm < 1_000; warm++) run()
  const before = process.cpuUsage()
  for (let done = 0; done < bytes; done += batch.length) run()
  const { user, system } = process.cpuUsage(before)
  console.log(`  ${name.padEnd(24)}${(bytes / (user + system) / 1e3).toFixed(2).padStart(7)}`)
}
