/**
 * What it costs to keep sent bytes until they are acknowledged: copied into segments that are used again, or by reference
 * in the buffers they were read into, so that each read needs fresh memory. 16 MiB are kept, as in a replay log that is
 * full. By hand: `node bench/micro/segments.ts`. The figures stand in docs/decisions/0004-segments.md.
 */

import { PerformanceObserver } from "node:perf_hooks"
import { segmentBytes, segmentPool } from "../../src/base/segments.ts"

const keptBytes = 16 * 1024 * 1024
const readBytes = 256 * 1024
const totalBytes = 10 * 2 ** 30
const sliceBytes = 64 * 1024 * 1024

let collectingMs = 0
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) collectingMs += duration
}).observe({ entryTypes: ["gc"] })

console.log("what is kept                          GB per CPU second    garbage collection   peak memory")
for (const kib of [16, 64, 128]) await measure(`copies of hot ${kib} KiB pieces, in segments`, copying(kib * 1024))
await measure("nothing: fresh 256 KiB, filled, dropped", keepingReads(1))
await measure("fresh 256 KiB, filled, by reference", keepingReads(keptBytes / readBytes))

/** `step` handles some bytes and says how many. CPU time counts: it hardly depends on what else the machine does. */
async function measure(name: string, step: () => number): Promise<void> {
  let peak = 0
  let done = 0
  let spentMs = 0
  collectingMs = 0
  const before = process.cpuUsage()
  while (done < totalBytes) {
    const started = performance.now()
    let slice = 0
    while (slice < sliceBytes) slice += step()
    spentMs += performance.now() - started
    done += slice
    peak = Math.max(peak, process.memoryUsage.rss())
    // The observer is told between turns.
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { user, system } = process.cpuUsage(before)
  const rate = done / (user + system) / 1e3
  const collecting = `${((100 * collectingMs) / spentMs).toFixed(0)} %`
  console.log(
    `${name.padEnd(43)}${rate.toFixed(1).padStart(8)}${collecting.padStart(22)}${`${Math.round(peak / 2 ** 20)} MiB`.padStart(14)}`,
  )
}

/** A read buffer that stays in the cache, its bytes copied side by side; the oldest segment is given back. */
function copying(pieceBytes: number): () => number {
  const pool = segmentPool(keptBytes / segmentBytes)
  const read = new Uint8Array(readBytes).fill(1)
  const kept: Uint8Array[] = []
  let segment = pool.take()
  let at = 0
  return () => {
    for (let from = 0; from < readBytes; from += pieceBytes) {
      if (at + pieceBytes > segment.length) {
        kept.push(segment)
        if (kept.length > keptBytes / segmentBytes) pool.give(kept.shift() as Uint8Array)
        segment = pool.take()
        at = 0
      }
      segment.set(read.subarray(from, from + pieceBytes), at)
      at += pieceBytes
    }
    return readBytes
  }
}

/** Each read into memory of its own; `most` of them stay. */
function keepingReads(most: number): () => number {
  const hot = new Uint8Array(readBytes).fill(1)
  const kept: Uint8Array[] = []
  return () => {
    const buffer = Buffer.allocUnsafeSlow(readBytes)
    buffer.set(hot)
    kept.push(buffer)
    if (kept.length > most) kept.shift()
    return readBytes
  }
}
