/**
 * Memory that stays bounded however slow the other end is, and visitors who do not wait for each other. Relay and agent
 * are processes of their own, so that their resident memory is theirs alone.
 */

import assert from "node:assert/strict"
import { once } from "node:events"
import * as http from "node:http"
import * as net from "node:net"
import { afterEach, test } from "node:test"
import type { TestContext } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { chaosOrigin } from "../kit/chaos-origin.ts"
import type { ChaosOrigin } from "../kit/chaos-origin.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import type { ChaosProxy } from "../kit/chaos-proxy.ts"
import { bodyOf, download, quantile, request, upload } from "../kit/chaos-visitors.ts"
import type { VisitorTarget } from "../kit/chaos-visitors.ts"
import { startAgentProcess, startRelayProcess, until } from "../kit/processes.ts"
import type { RelayProcess, TestProcess } from "../kit/processes.ts"

const full = process.env["RDV_CHAOS_FULL"] === "1"
const mebibyte = 1024 * 1024

const cleanUps: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).toReversed()) await cleanUp()
})

interface Course {
  readonly origin: ChaosOrigin
  readonly relay: RelayProcess
  readonly proxy: ChaosProxy
  readonly agent: TestProcess
  readonly target: VisitorTarget
}

/** Both processes have carried enough to be at their level. */
async function setUp(direct = true): Promise<Course> {
  const origin = await chaosOrigin()
  cleanUps.push(() => origin.close())
  const relay = await startRelayProcess()
  cleanUps.push(() => relay.kill())
  const proxy = await chaosProxy({ target: { port: relay.port } })
  cleanUps.push(() => proxy.close())
  const agent = await startAgentProcess({
    // The proxy copies every byte in the process that measures.
    relay: `127.0.0.1:${direct ? relay.port : proxy.port}`,
    tunnels: [{ kind: "http", target: String(origin.port), name: "course" }],
  })
  cleanUps.push(() => agent.kill())
  const target = { port: relay.port, host: "course.localhost" }
  const bytes = 48 * mebibyte
  await Promise.all([download(target, bytes, () => undefined), upload(target, bytes, () => undefined)])
  return { origin, relay, proxy, agent, target }
}

interface Peak {
  /** Over the level, MiB. */
  readonly relay: number
  readonly agent: number
}

/** The resident memory of both processes while `run` runs, over what it was before. */
async function growth({ relay, agent }: Course, run: () => Promise<void>): Promise<Peak> {
  await Promise.all([relay.ask("memory"), agent.ask("memory")])
  const level = [relay.rss(), agent.rss()] as const
  const peak = [0, 0]
  const look = () => {
    peak[0] = Math.max(peak[0] as number, relay.rss() - level[0])
    peak[1] = Math.max(peak[1] as number, agent.rss() - level[1])
  }
  const timer = setInterval(look, 50)
  try {
    await run()
    look()
  } finally {
    clearInterval(timer)
  }
  return { relay: (peak[0] as number) / mebibyte, agent: (peak[1] as number) / mebibyte }
}

/** How long one small request after the other takes, ms, on one kept connection. */
async function latencies(target: VisitorTarget, forMs: number): Promise<number[]> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  const samples: number[] = []
  const end = performance.now() + forMs
  while (performance.now() < end) {
    const startedAt = performance.now()
    const response = await request({ ...target, agent }, "/")
    assert.equal((await bodyOf(response)).toString(), ".")
    samples.push(performance.now() - startedAt)
    await sleep(2)
  }
  agent.destroy()
  return samples
}

function print(t: TestContext, what: string, peak: Peak): void {
  t.diagnostic(`${what}: relay +${peak.relay.toFixed(1)} MiB, agent +${peak.agent.toFixed(1)} MiB`)
}

/** A visitor's connection that says `head` and is never read unless told to. */
function rawVisitor({ port }: VisitorTarget, head: string): net.Socket {
  const socket = net.connect({ port, host: "127.0.0.1" }).pause()
  socket.on("error", () => undefined)
  cleanUps.push(() => socket.destroy())
  socket.write(head)
  return socket
}

/** Writes zeros as long as somebody takes them. Answers how many bytes were taken so far. */
function pushing(socket: net.Socket): () => number {
  const piece = Buffer.alloc(65_536)
  const push = () => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.on("drain", push)
  push()
  return () => socket.bytesWritten - socket.writableLength
}

test(
  "a visitor and a service that take 1 KiB/s of 1 GiB cost little memory, and nobody's time",
  { timeout: 120_000 },
  async (t) => {
    const course = await setUp()
    const { target } = course
    let samples: number[] = []
    const before = await latencies(target, 1_000)
    const peak = await growth(course, async () => {
      const head = `GET /flood?bytes=${2 ** 30} HTTP/1.1\r\nHost: course.localhost\r\n\r\n`
      const reader = rawVisitor(target, head)
      const tick = setInterval(() => reader.read(Math.min(103, reader.readableLength)), 100)
      const writer = rawVisitor(
        target,
        `POST /slow-upload?rate=1024 HTTP/1.1\r\nHost: course.localhost\r\nContent-Length: ${2 ** 30}\r\n\r\n`,
      )
      pushing(writer)
      samples = await latencies(target, full ? 15_000 : 5_000)
      clearInterval(tick)
    })
    print(t, "1 KiB/s both ways", peak)
    t.diagnostic(
      `small requests, p50/p99 ms: ${quantile(before, 0.5).toFixed(2)}/${quantile(before, 0.99).toFixed(2)} before, ` +
        `${quantile(samples, 0.5).toFixed(2)}/${quantile(samples, 0.99).toFixed(2)} meanwhile`,
    )
    assert.ok(peak.relay < 32 && peak.agent < 32)
    assert.ok(quantile(samples, 0.99) < 1_000)
  },
)

test(
  "two hundred visitors that stop reading at once stay within the session's window",
  { timeout: 60_000 },
  async (t) => {
    const course = await setUp()
    const { target, origin } = course
    let quick: number[] = []
    const peak = await growth(course, async () => {
      for (let visitor = 0; visitor < 200; visitor++) {
        rawVisitor(target, `GET /flood?bytes=50000000 HTTP/1.1\r\nHost: course.localhost\r\n\r\n`)
      }
      await until(() => origin.counts.get("/flood") === 200, "all downloads run", 20_000)
      quick = await latencies(target, 2_000)
    })
    print(t, "200 stalled downloads", peak)
    const [session] = await course.relay.sessions()
    t.diagnostic(
      `windows granted at the relay: ${((session?.windowGrantedBytes ?? 0) / mebibyte).toFixed(1)} MiB; ` +
        `small requests meanwhile p99 ${quantile(quick, 0.99).toFixed(1)} ms`,
    )
    assert.ok((session?.windowGrantedBytes ?? Infinity) <= 64 * mebibyte)
    // A frame of 64 KiB may hold the 256 KiB that it was read into.
    assert.ok(peak.relay < 4 * 64 && peak.agent < 4 * 64)
    assert.ok(quantile(quick, 0.99) < 1_000)
  },
)

test("while the link is away, visitors that upload are stopped", { timeout: 60_000 }, async (t) => {
  const course = await setUp(false)
  const { target, proxy, relay, origin } = course
  const taken: (() => number)[] = []
  const peak = await growth(course, async () => {
    proxy.refuse(true)
    proxy.cutAll("rst")
    await until(async () => (await relay.sessions())[0]?.state === "suspended", "the session is suspended")
    for (let visitor = 0; visitor < 50; visitor++) {
      const head = `POST /upload HTTP/1.1\r\nHost: course.localhost\r\nContent-Length: ${2 ** 30}\r\n\r\n`
      taken.push(pushing(rawVisitor(target, head)))
    }
    let last = -1
    const total = () => taken.reduce((sum, each) => sum + each(), 0)
    // Stopped: nothing more is taken for half a second.
    await until(
      async () => {
        const now = total()
        const still = now === last
        last = now
        await sleep(500)
        return still && now > 0
      },
      "the uploads stand still",
      20_000,
    )
    t.diagnostic(`50 visitors got rid of ${(total() / mebibyte).toFixed(1)} MiB, most of it into the kernel's buffers`)
  })
  print(t, "50 uploads without a link", peak)
  assert.ok(peak.relay < 64)
  const before = origin.counts.get("/upload") ?? 0
  proxy.refuse(false)
  await until(() => (origin.counts.get("/upload") ?? 0) === before + 50, "the uploads go on when the link is back")
})

test("one-byte requests do not wait behind four bulk downloads", { timeout: 60_000 }, async (t) => {
  const course = await setUp()
  const { target } = course
  const alone = await latencies(target, 1_500)
  const bulk = Array.from({ length: 4 }, async () => {
    const socket = rawVisitor(target, `GET /flood?bytes=${2 ** 33} HTTP/1.1\r\nHost: course.localhost\r\n\r\n`)
    let got = 0
    socket.on("data", (bytes) => (got += bytes.length)).resume()
    await once(socket, "data")
    return { socket, got: () => got }
  })
  const running = await Promise.all(bulk)
  const from = running.map(({ got }) => got())
  const together = await latencies(target, 2_000)
  const rates = running.map(({ got }, at) => (got() - (from[at] as number)) / 2 / mebibyte)
  for (const { socket } of running) socket.destroy()
  t.diagnostic(
    `p50/p99 ms: ${quantile(alone, 0.5).toFixed(2)}/${quantile(alone, 0.99).toFixed(2)} alone, ` +
      `${quantile(together, 0.5).toFixed(2)}/${quantile(together, 0.99).toFixed(2)} beside ` +
      `${rates.map((rate) => rate.toFixed(0)).join(" + ")} MiB/s`,
  )
  assert.ok(quantile(together, 0.99) < 1_000)
  const most = Math.max(...rates)
  assert.ok(Math.min(...rates) > most / 4, "the downloads share")
})
