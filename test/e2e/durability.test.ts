/**
 * Sessions that outlive their links, shown by cutting them: visitor ─▶ relay process ◀─ chaos proxy ◀─ agent process ─▶
 * service. `RDV_CHAOS_FULL=1` runs the sizes and times of a real bad day.
 */

import assert from "node:assert/strict"
import { afterEach, test } from "node:test"
import type { TestContext } from "node:test"
import { setTimeout as sleep } from "node:timers/promises"
import { chaosOrigin } from "../kit/chaos-origin.ts"
import type { ChaosOrigin } from "../kit/chaos-origin.ts"
import { chaosProxy } from "../kit/chaos-proxy.ts"
import type { ChaosProxy } from "../kit/chaos-proxy.ts"
import {
  download,
  echoSocket,
  eventStream,
  quantile,
  randomFrom,
  smallRequests,
  upload,
} from "../kit/chaos-visitors.ts"
import type { VisitorTarget } from "../kit/chaos-visitors.ts"
import { startAgentProcess, startRelayProcess, until } from "../kit/processes.ts"
import type { RelayProcess, TestProcess } from "../kit/processes.ts"

const full = process.env["RDV_CHAOS_FULL"] === "1"
const deadAfterMs = 2_000
const mebibyte = 1024 * 1024
/** Each way, MiB. */
const bulk = full ? 1024 : 256
const shorter = full ? 1024 : 64

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

async function setUp(): Promise<Course> {
  const origin = await chaosOrigin()
  cleanUps.push(() => origin.close())
  const limits = { deadAfterMs }
  const relay = await startRelayProcess({ sessionLimits: limits })
  cleanUps.push(() => relay.kill())
  const proxy = await chaosProxy({ target: { port: relay.port } })
  cleanUps.push(() => proxy.close())
  const agent = await startAgentProcess({
    relay: `127.0.0.1:${proxy.port}`,
    limits,
    tunnels: [{ kind: "http", target: String(origin.port), name: "course" }],
  })
  cleanUps.push(() => agent.kill())
  return { origin, relay, proxy, agent, target: { port: relay.port, host: "course.localhost" } }
}

/** How long until a link that came after `accepted` others has carried more than a handshake, ms. */
async function flowing(proxy: ChaosProxy, accepted: number, deadlineMs: number): Promise<number> {
  const from = performance.now()
  await until(() => proxy.stats.accepted > accepted, "a new link", deadlineMs)
  const passed = () => proxy.stats.toClient + proxy.stats.toTarget
  const before = passed()
  await until(() => passed() - before > handshakeBytes, "bytes on the new link", deadlineMs)
  return performance.now() - from
}
const handshakeBytes = 8_192

/** Everything at once, until `disturb` and both large transfers are done; then nothing may be missing. */
async function underLoad(
  t: TestContext,
  course: Course,
  bulkBytes: number,
  disturb: (progress: () => number) => Promise<void>,
): Promise<void> {
  const { target, origin, relay, agent } = course
  const [socket, events] = await Promise.all([echoSocket(target, 10), eventStream(target, 50)])
  const small = smallRequests(target, 200)
  let down = 0
  let up = 0
  const startedAt = performance.now()
  const transfers = Promise.all([
    download(target, bulkBytes, (bytes) => (down = bytes)),
    upload(target, bulkBytes, (bytes) => (up = bytes)),
  ])
  const [[received, uploaded]] = await Promise.all([transfers, disturb(() => (down + up) / (2 * bulkBytes))])
  const seconds = (performance.now() - startedAt) / 1000
  await Promise.all([small.stop(), socket.stop(), events.stop()])
  const [atRelay] = await relay.sessions()
  const [atAgent] = await agent.sessions()
  t.diagnostic(
    `${(bulkBytes / mebibyte) * 2} MiB in ${seconds.toFixed(1)} s, ${small.done} requests, ${socket.done} messages, ` +
      `${events.done} events; ${atRelay?.resumes} resumes, retransmitted ` +
      `${(((atRelay?.retransmittedBytes ?? 0) + (atAgent?.retransmittedBytes ?? 0)) / mebibyte).toFixed(1)} MiB`,
  )
  const retries = agent.events.filter(({ event }) => event === "retry").map((each) => JSON.stringify(each))
  if (retries.length > 0) t.diagnostic(`attempts that failed: ${retries.join("; ")}`)
  assert.deepEqual(small.failures, [])
  assert.deepEqual(socket.failures, [])
  assert.deepEqual(events.failures, [])
  assert.equal(received, origin.digests.get(bulkBytes))
  assert.equal(uploaded.received, uploaded.sent)
  assert.equal(atRelay?.links, (atRelay?.resumes ?? 0) + 1, "one session through it all")
  assert.equal(agent.events.filter(({ event, again }) => event === "up" && again === false).length, 1)
  await until(async () => (await relay.sessions())[0]?.streams === 1, "only the control stream is left")
}

test(
  "twenty cuts during transfers, requests, a WebSocket and events lose nothing",
  { timeout: full ? 600_000 : 90_000 },
  async (t) => {
    const course = await setUp()
    const { proxy } = course
    const seed = Number(process.env["RDV_CHAOS_SEED"] ?? Math.floor(Math.random() * 2 ** 31))
    t.diagnostic(`RDV_CHAOS_SEED=${seed}`)
    const random = randomFrom(seed)
    const moments = Array.from({ length: 20 }, () => random() * 0.95).toSorted((a, b) => a - b)
    const holes = new Map([
      [Math.floor(random() * 6), 0],
      [6 + Math.floor(random() * 7), 0],
      // This one swallows new links too, for longer than the dead time.
      [13 + Math.floor(random() * 7), deadAfterMs * 1.5],
    ])
    const resets: number[] = []
    const silences: number[] = []
    await underLoad(t, course, bulk * mebibyte, async (progress) => {
      for (const [index, moment] of moments.entries()) {
        await until(
          () => progress() >= moment,
          `${(moment * 100).toFixed(1)} % of the transfers`,
          full ? 300_000 : 60_000,
        )
        const { accepted } = proxy.stats
        const heldMs = holes.get(index)
        if (heldMs === undefined) {
          proxy.cutAll(random() < 0.8 ? "rst" : "fin")
          resets.push(await flowing(proxy, accepted, 10_000))
        } else {
          proxy.blackHole(true, { holdNew: heldMs > 0 })
          await sleep(heldMs)
          if (heldMs > 0) proxy.blackHole(false)
          silences.push(await flowing(proxy, heldMs > 0 ? accepted - 1 : accepted, 3 * deadAfterMs))
          proxy.blackHole(false)
        }
      }
    })
    const print = (list: readonly number[]) => list.map((ms) => ms.toFixed(0)).join(" ")
    t.diagnostic(`flowing again after a cut, ms: ${print(resets)} (median ${quantile(resets, 0.5).toFixed(0)})`)
    t.diagnostic(`after a silence (dead after ${deadAfterMs}), ms: ${print(silences)}`)
    assert.ok(quantile(resets, 0.5) < 250, `a link that can be made again is used within 250 ms: ${print(resets)}`)
  },
)

test("an agent that was frozen loses nothing", { timeout: full ? 300_000 : 90_000 }, async (t) => {
  const course = await setUp()
  const { agent } = course
  const frozenMs = full ? 30_000 : 12_000
  await underLoad(t, course, shorter * mebibyte, async (progress) => {
    await until(() => progress() > 0.2, "the transfers are under way", 60_000)
    agent.signal("SIGSTOP")
    await sleep(frozenMs)
    const from = agent.events.length
    agent.signal("SIGCONT")
    const continuedAt = performance.now()
    await agent.event("up", { from })
    t.diagnostic(
      `frozen for ${frozenMs} ms; resumed ${(performance.now() - continuedAt).toFixed(0)} ms after it went on`,
    )
  })
})

test("a changed byte on plain TCP costs the link and never the data", { timeout: 90_000 }, async (t) => {
  const course = await setUp()
  const { proxy, agent } = course
  await underLoad(t, course, bulk * mebibyte, async (progress) => {
    for (const direction of ["toTarget", "toClient", "toTarget", "toClient"] as const) {
      const from = agent.events.length
      const start = progress()
      await until(() => progress() > Math.min(start + 0.05, 0.9), "the transfers go on", 60_000)
      proxy.corruptOnce({ direction, afterBytes: Math.floor(Math.random() * 100_000) })
      await agent.event("up", { from })
    }
  })
  const lost = agent.events.filter(({ event }) => event === "down")
  assert.equal(lost.length, 4)
  assert.ok(
    lost.some(({ code }) => code === "corrupt"),
    "who finds it says so",
  )
})

test("a slow, distant path that is cut again and again loses nothing", { timeout: 90_000 }, async (t) => {
  const course = await setUp()
  const { proxy, target, origin } = course
  proxy.delayMs = 40
  proxy.bytesPerSecond = 8 * 1024 * 1024
  const bytes = 12 * mebibyte
  const small = smallRequests(target, 20)
  const [socket, events] = await Promise.all([echoSocket(target, 10), eventStream(target, 50)])
  let done = false
  const transfers = Promise.all([download(target, bytes, () => undefined), upload(target, bytes, () => undefined)])
  const cutting = (async () => {
    const resumes: number[] = []
    for (let cuts = 0; cuts < 6 && !done; cuts++) {
      await sleep(250)
      const { accepted } = proxy.stats
      proxy.cutAll("rst")
      resumes.push(await flowing(proxy, accepted, 10_000))
    }
    return resumes
  })()
  const [received, uploaded] = await transfers
  done = true
  const resumes = await cutting
  await Promise.all([small.stop(), socket.stop(), events.stop()])
  t.diagnostic(`80 ms round trip, 8 MiB/s: flowing again after ${resumes.map((ms) => ms.toFixed(0)).join(" ")} ms`)
  assert.deepEqual([...small.failures, ...socket.failures, ...events.failures], [])
  assert.equal(received, origin.digests.get(bytes))
  assert.equal(uploaded.received, uploaded.sent)
})
