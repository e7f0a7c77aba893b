/**
 * What it costs to hand a chunk on, per contract of a stream: source, one stage in between, sink; bounded to 256 KiB at
 * each of the two hand-overs. Chunks go by reference, so this is the price of the contract alone. By hand:
 * `node bench/micro/stream-contract.ts`. The figures stand in docs/decisions/0002-stream-contract.md.
 */

import { Readable, Transform, Writable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { ReadableStream, TransformStream, WritableStream } from "node:stream/web"

const windowBytes = 256 * 1024
const passes = 5

type Contract = (chunk: Uint8Array, count: number) => Promise<number>

const contracts: { readonly [name: string]: Contract } = {
  callbacks: byCallbacks,
  "async iterators": byIterators,
  "Node streams": byNodeStreams,
  "web streams": byWebStreams,
}

async function measure(run: Contract, bytes: number): Promise<string> {
  const chunk = new Uint8Array(bytes)
  const count = run === byCallbacks ? 2_000_000 : 100_000
  let best = Infinity
  for (let pass = 0; pass < passes; pass++) {
    const started = performance.now()
    const passed = await run(chunk, count)
    const ns = ((performance.now() - started) * 1e6) / count
    if (passed !== bytes * count) throw new Error(`${passed} of ${bytes * count} bytes came through`)
    best = Math.min(best, ns)
  }
  return `${best < 100 ? best.toFixed(1) : best.toFixed(0)} (${(bytes / best).toFixed(best < 100 ? 0 : 1)})`
}

interface Sink {
  /** False asks for a pause until `drain` of the source. */
  data(chunk: Uint8Array): boolean
}

/** Hands on and counts what is not yet consumed, as a stream of a session does with credit. */
class Stage implements Sink {
  readonly #next: Sink
  #owed = 0

  constructor(next: Sink) {
    this.#next = next
  }

  data(chunk: Uint8Array): boolean {
    this.#owed += chunk.length
    const room = this.#next.data(chunk)
    return room && this.#owed < windowBytes
  }

  consumed(bytes: number): void {
    this.#owed -= bytes
  }
}

function byCallbacks(chunk: Uint8Array, count: number): Promise<number> {
  let passed = 0
  let unread = 0
  const stage: Stage = new Stage({
    data(bytes) {
      passed += bytes.length
      unread += bytes.length
      return unread < windowBytes / 2
    },
  })
  for (let sent = 0; sent < count; sent++) {
    if (stage.data(chunk)) continue
    // Full: the reader takes what waits, and credit goes back in one piece.
    stage.consumed(unread)
    unread = 0
  }
  return Promise.resolve(passed)
}

async function byIterators(chunk: Uint8Array, count: number): Promise<number> {
  async function* source() {
    for (let sent = 0; sent < count; sent++) yield chunk
  }
  async function* stage(from: AsyncIterable<Uint8Array>) {
    for await (const bytes of from) yield bytes
  }
  let passed = 0
  for await (const bytes of stage(source())) passed += bytes.length
  return passed
}

async function byNodeStreams(chunk: Uint8Array, count: number): Promise<number> {
  let sent = 0
  let passed = 0
  const source = new Readable({
    highWaterMark: windowBytes,
    read() {
      while (sent < count) {
        sent++
        if (!this.push(chunk)) return
      }
      this.push(null)
    },
  })
  const stage = new Transform({
    highWaterMark: windowBytes,
    transform: (bytes: Uint8Array, _encoding, done) => done(null, bytes),
  })
  const sink = new Writable({
    highWaterMark: windowBytes,
    write(bytes: Uint8Array, _encoding, done) {
      passed += bytes.length
      done()
    },
  })
  await pipeline(source, stage, sink)
  return passed
}

async function byWebStreams(chunk: Uint8Array, count: number): Promise<number> {
  let sent = 0
  let passed = 0
  const bound = { highWaterMark: windowBytes, size: (bytes: Uint8Array) => bytes.length }
  const source = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        if (sent++ < count) controller.enqueue(chunk)
        else controller.close()
      },
    },
    bound,
  )
  const stage = new TransformStream<Uint8Array, Uint8Array>({}, bound, bound)
  const sink = new WritableStream<Uint8Array>({ write: (bytes) => void (passed += bytes.length) }, bound)
  await source.pipeThrough(stage).pipeTo(sink)
  return passed
}

console.log("nanoseconds per chunk, two hand-overs; in brackets the GB/s that this alone would allow\n")
console.log(`${"contract".padEnd(18)}${[4, 16, 64].map((kib) => `${kib} KiB`.padStart(20)).join("")}`)
for (const [name, run] of Object.entries(contracts)) {
  const cells = []
  for (const kib of [4, 16, 64]) cells.push(await measure(run, kib * 1024))
  console.log(`${name.padEnd(18)}${cells.map((cell) => cell.padStart(20)).join("")}`)
}
