/**
 * What sessions cost without a network: two of them in one process over a memory link, so each figure holds both sides.
 * By hand: `node --expose-gc bench/micro/session.ts [exchanges|bulk|memory]`. To see where the time goes:
 * `node --cpu-prof --cpu-prof-dir=/tmp/p bench/micro/session.ts exchanges`, then open the file in a browser's profiler.
 */

import { emptyBytes } from "../../src/base/bytes.ts"
import { systemClock } from "../../src/base/clock.ts"
import { silentLog } from "../../src/base/log.ts"
import { segmentPool } from "../../src/base/segments.ts"
import type { Stream, StreamSink } from "../../src/base/stream.ts"
import { defaultLimits } from "../../src/mux/limits.ts"
import { Session } from "../../src/mux/session.ts"
import type { SessionRuntime } from "../../src/mux/session-options.ts"
import { memoryPair } from "../../src/transport/memory.ts"
import { crc32 } from "node:zlib"

const runtime: SessionRuntime = {
  clock: systemClock,
  log: silentLog,
  defer: (callback) => void setImmediate(callback),
  checksum: (bytes, seed) => crc32(bytes, seed),
  segments: segmentPool(64),
}

function sessions(checked: boolean, onStream: (stream: Stream) => void): { dialer: Session; acceptor: Session } {
  const peer = { windowBytes: defaultLimits.windowBytes, streams: 1_000_000 }
  const common = { id: "bench", limits: { ...defaultLimits, streams: 1_000_000 }, peer, runtime }
  const dialer = new Session({ ...common, role: "dialer", onStream })
  const acceptor = new Session({ ...common, role: "acceptor", onStream })
  const link = memoryPair(systemClock)
  dialer.attachLink(link.a, 0, checked, emptyBytes)
  acceptor.attachLink(link.b, 0, checked, emptyBytes)
  return { dialer, acceptor }
}

function sink(parts: Partial<StreamSink>): StreamSink {
  return { data() {}, meta() {}, end() {}, drain() {}, closed() {}, ...parts }
}

const requestHead = { method: "GET", target: "/", headers: ["host", "blog.example.test", "accept", "*/*"], minor: 1 }
const answerHead = { status: 200, reason: "OK", headers: ["content-length", "1024", "content-type", "text/plain"] }

/** OPEN and END there; META, 1 KiB of DATA and END back. */
async function exchanges(checked: boolean, concurrent: number, seconds: number): Promise<void> {
  const body = new Uint8Array(1024)
  const { dialer, acceptor } = sessions(checked, (stream) => {
    stream.attach(
      sink({
        end() {
          stream.meta(answerHead)
          stream.write(body)
          stream.end()
        },
      }),
    )
  })
  let done = 0
  const until = performance.now() + seconds * 1000
  const cpu = process.cpuUsage()
  await new Promise<void>((resolve) => {
    let running = concurrent
    const next = () => {
      if (done % 64 === 0 && performance.now() > until) {
        if (--running === 0) resolve()
        return
      }
      const stream = dialer.open("http/blog", requestHead)
      stream.attach(
        sink({
          data: (chunk) => stream.consumed(chunk.length),
          closed() {
            done++
            next()
          },
        }),
      )
      stream.end()
    }
    for (let at = 0; at < concurrent; at++) next()
    // The rest ends when the count passes a multiple of 64 once more.
    const timer = setInterval(() => {
      if (performance.now() <= until + 100) return
      clearInterval(timer)
      resolve()
    }, 50)
  })
  const used = process.cpuUsage(cpu)
  const name = `exchanges, ${concurrent} at once${checked ? ", checked" : ""}`
  const each = (used.user + used.system) / done
  console.log(
    `${name.padEnd(32)} ${Math.round(done / seconds).toLocaleString("en")}/s, ${each.toFixed(2)} µs of CPU each`,
  )
  dialer.close()
  acceptor.close()
}

/** One stream at full speed. */
async function bulk(checked: boolean, chunkBytes: number, totalBytes: number): Promise<void> {
  const over = Promise.withResolvers<void>()
  const { dialer, acceptor } = sessions(checked, (stream) => {
    stream.attach(sink({ data: (chunk) => stream.consumed(chunk.length), end: () => over.resolve() }))
  })
  const chunk = new Uint8Array(chunkBytes)
  const stream = dialer.open("bulk", {})
  let left = totalBytes
  const fill = () => {
    while (left > 0) {
      left -= chunkBytes
      if (!stream.write(chunk)) return
    }
    stream.end()
  }
  stream.attach(sink({ drain: fill }))
  const [start, cpu] = [performance.now(), process.cpuUsage()]
  fill()
  await over.promise
  const seconds = (performance.now() - start) / 1000
  const used = process.cpuUsage(cpu)
  const name = `bulk, chunks of ${chunkBytes / 1024} KiB${checked ? ", checked" : ""}`
  const perGB = (used.user + used.system) / 1e6 / (totalBytes / 1e9)
  console.log(`${name.padEnd(32)} ${(totalBytes / 1e9 / seconds).toFixed(2)} GB/s, ${perGB.toFixed(3)} s of CPU per GB`)
  dialer.close()
  acceptor.close()
}

async function heap(): Promise<number> {
  for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setTimeout(resolve, 30))
  globalThis.gc?.()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

async function memory(): Promise<void> {
  if (globalThis.gc === undefined) {
    console.log("memory: run with --expose-gc")
    return
  }
  const kept: unknown[] = []
  const quiet = sink({})
  const before = await heap()
  for (let at = 0; at < 1000; at++) kept.push(sessions(false, () => undefined))
  const withSessions = await heap()
  console.log(
    `idle session, one side                ${Math.round((withSessions - before) / 2000).toLocaleString("en")} bytes`,
  )
  const { dialer } = sessions(false, (stream) => stream.attach(quiet))
  const start = await heap()
  for (let at = 0; at < 10_000; at++) {
    const stream = dialer.open("http/blog", requestHead)
    stream.attach(quiet)
    kept.push(stream)
  }
  const withStreams = await heap()
  console.log(
    `open idle stream, one side            ${Math.round((withStreams - start) / 20_000).toLocaleString("en")} bytes`,
  )
  if (kept.length === 0) throw new Error("kept until here")
}

const what = process.argv[2] ?? "all"
// First, while the heap holds nothing else.
if (what === "all" || what === "memory") await memory()
if (what === "all" || what === "exchanges") {
  for (const checked of [false, true]) for (const concurrent of [1, 64]) await exchanges(checked, concurrent, 2)
}
if (what === "all" || what === "bulk") {
  for (const checked of [false, true]) for (const bytes of [4096, 16_384, 65_536]) await bulk(checked, bytes, 4e9)
}
// Idle sessions ping for ever.
process.exit()
