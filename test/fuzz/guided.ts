/**
 * Fuzzing that is guided by coverage, run by hand: `node test/fuzz/guided.ts [target] [seconds]`. V8's block coverage tells
 * which inputs reached new code; those are kept and mutated further. A finding is anything but the errors that a target
 * may throw, or an input that takes more than `slowMs`. It prints what it found as hexadecimal and exits with 1 then.
 */

import { Session } from "node:inspector"
import { fileURLToPath } from "node:url"
import { targets } from "./targets.ts"
import type { FuzzTarget } from "./targets.ts"

const slowMs = 200
/** Inputs between two looks at the coverage; a look costs some milliseconds. */
const batch = 400
const maxInput = 4096

const [name = "all", seconds = "20"] = process.argv.slice(2)
const chosen = targets.filter((target) => name === "all" || target.name === name)
if (chosen.length === 0) {
  console.error(`There is no target "${name}": known are ${targets.map((target) => target.name).join(", ")}`)
  process.exit(2)
}

const inspector = new Session()
inspector.connect()
inspector.post("Profiler.enable")
inspector.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true })
const sourceFolder = new URL("../../src/", import.meta.url).href

/** Blocks of our source that have run since the last look. */
function takeBlocks(): Set<string> {
  const blocks = new Set<string>()
  inspector.post("Profiler.takePreciseCoverage", (error, answer) => {
    if (error !== null) throw error
    for (const script of answer.result) {
      if (!script.url.startsWith(sourceFolder)) continue
      for (const fn of script.functions) {
        for (const range of fn.ranges) {
          if (range.count > 0) blocks.add(`${script.scriptId}:${range.startOffset}:${range.endOffset}`)
        }
      }
    }
  })
  return blocks
}

function pick<T>(items: readonly T[]): T {
  return items[Math.floor(Math.random() * items.length)] as T
}

const interesting = [0, 1, 7, 8, 9, 10, 13, 32, 44, 48, 58, 59, 127, 128, 255, 0x10, 0x15]

function mutate(input: Uint8Array, corpus: readonly Uint8Array[]): Uint8Array {
  let bytes = Buffer.from(input)
  for (let left = 1 + Math.floor(Math.random() * 6); left > 0; left--) {
    const at = Math.floor(Math.random() * (bytes.length + 1))
    switch (Math.floor(Math.random() * 7)) {
      case 0:
        if (at < bytes.length) bytes[at] = (bytes[at] as number) ^ (1 << Math.floor(Math.random() * 8))
        break
      case 1:
        if (at < bytes.length) bytes[at] = pick(interesting)
        break
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([pick(interesting)]), bytes.subarray(at)])
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + Math.floor(Math.random() * 8))])
        break
      case 4: {
        const other = pick(corpus)
        const from = Math.floor(Math.random() * other.length)
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(from, from + 64), bytes.subarray(at)])
        break
      }
      case 5:
        bytes = bytes.subarray(0, at)
        break
      default: {
        const piece = bytes.subarray(at, at + 32)
        bytes = Buffer.concat([bytes.subarray(0, at), piece, piece, bytes.subarray(at)])
      }
    }
  }
  return bytes.subarray(0, maxInput)
}

function judge(target: FuzzTarget, input: Uint8Array): string | undefined {
  // A slow run may be the machine's fault; one that is slow again is the input's.
  for (let attempt = 0; attempt < 3; attempt++) {
    const before = performance.now()
    try {
      target.run(input)
    } catch (thrown) {
      return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)
    }
    if (performance.now() - before < slowMs) return undefined
  }
  return `took more than ${slowMs} ms, three times`
}

let findings = 0
for (const target of chosen) {
  const until = performance.now() + Number(seconds) * 1000
  const corpus: Uint8Array[] = [...target.seeds]
  const seen = takeBlocks()
  let runs = 0
  while (performance.now() < until && findings < 10) {
    const inputs: Uint8Array[] = []
    for (let index = 0; index < batch; index++) {
      const input = mutate(pick(corpus), corpus)
      inputs.push(input)
      const finding = judge(target, input)
      runs++
      if (finding === undefined) continue
      findings++
      console.log(`${target.name}: ${Buffer.from(input).toString("hex")}\n${finding}`)
    }
    const fresh = takeBlocks().difference(seen)
    if (fresh.size === 0) continue
    for (const block of fresh) seen.add(block)
    // Which of them was it? Each once more, alone.
    let left = fresh
    for (const input of inputs) {
      judge(target, input)
      const hit = takeBlocks().intersection(left)
      if (hit.size === 0) continue
      corpus.push(input)
      left = left.difference(hit)
      if (left.size === 0) break
    }
  }
  console.log(`${target.name}: ${runs} inputs, ${seen.size} blocks, ${corpus.length} kept, ${findings} findings`)
}
console.log(
  `${fileURLToPath(import.meta.url)
    .split("/")
    .pop()}: ${findings} findings`,
)
process.exitCode = findings > 0 ? 1 : 0
