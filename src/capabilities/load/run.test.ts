/** Runs against servers whose delays are known. The noise of a machine can only add, so the best of some rounds counts. */

import assert from "node:assert/strict"
import * as net from "node:net"
import { test } from "node:test"
import { startDelayServer } from "../../../test/kit/delay-server.ts"
import type { DelayMode } from "../../../test/kit/delay-server.ts"
import type { Result } from "./record/result.ts"
import { runScenario } from "./run.ts"
import type { Ending, Model, Phase, Scenario } from "./scenario/scenario.ts"

interface Wanted {
  readonly model: Model
  readonly phases: readonly Phase[]
  readonly ending?: Partial<Ending>
  readonly thresholds?: readonly string[]
  readonly warmUpMs?: number
}

function scenario(ports: readonly number[], wanted: Wanted): Scenario {
  return {
    name: "test",
    targets: ports.map((port) => ({ label: `echo:${port}`, protocol: "tcp", host: "127.0.0.1", port, path: "" })),
    model: wanted.model,
    phases: wanted.phases,
    warmUpMs: wanted.warmUpMs ?? 0,
    messages: { kind: "text", text: "hello world" },
    framing: { kind: "none" },
    expect: { kind: "echo" },
    pace: { pauseBeforeMs: 0, thinkMs: 0, pauseAfterMs: 0, keepAlive: true },
    ending: { stopWhen: [], drainMs: 2000, timeoutMs: 5000, connectTimeoutMs: 2000, ...wanted.ending },
    thresholds: wanted.thresholds ?? [],
    seed: 1,
  }
}

const open = (connections: number, whenBusy: "queue" | "drop" = "queue", queueLimit = 100_000): Model => {
  return { kind: "open", connections, arrivals: "even", whenBusy, queueLimit }
}
const rate = (value: number, seconds: number): readonly Phase[] => [
  { shape: { kind: "constant", value }, durationMs: seconds * 1000 },
]

const run = (plan: Scenario, workers = 1) => runScenario({ scenario: plan, workers, version: "test" })

/** The first round that passes; the last one's failure when none does. */
async function bestOf(rounds: number, mode: DelayMode, wanted: Wanted, check: (result: Result) => void): Promise<void> {
  const server = await startDelayServer(mode)
  try {
    for (let round = 1; ; round++) {
      const result = await run(scenario([server.port], wanted))
      try {
        check(result)
        return
      } catch (error) {
        if (round === rounds) throw error
      }
    }
  } finally {
    await server.stop()
  }
}

/** What the way takes without any delay, µs: on an idle virtual machine each wake-up costs tens of microseconds. */
async function wayUs(wanted: Wanted): Promise<number> {
  const server = await startDelayServer("none")
  try {
    return (await run(scenario([server.port], wanted))).total.latency.p50
  } finally {
    await server.stop()
  }
}

/** Within 1 % or 0.2 ms. */
function near(measuredUs: number, delayMs: number, way: number, what: string): void {
  const wantedMs = delayMs + way / 1000
  const wanted = wantedMs * 1000
  assert.ok(
    Math.abs(measuredUs - wanted) <= Math.max(200, wanted / 100),
    `${what}: ${measuredUs} µs, not ${wantedMs} ms`,
  )
}

test("a fixed delay is measured as what it is, in both models", async () => {
  const opened: Wanted = { model: open(32), phases: rate(200, 1) }
  const way = await wayUs(opened)
  await bestOf(6, "fixed", opened, ({ total }) => {
    near(total.latency.p50, 10, way, "open p50")
    near(total.latency.p75, 10, way, "open p75")
    assert.equal(total.completed, 200)
  })
  await bestOf(6, "fixed", { model: { kind: "closed" }, phases: rate(4, 1) }, ({ total }) => {
    near(total.latency.p50, 10, way, "closed p50")
    near(total.latency.p75, 10, way, "closed p75")
  })
})

test("a distribution with two humps comes out as one", async () => {
  const wanted: Wanted = { model: open(64), phases: rate(400, 1) }
  const way = await wayUs(wanted)
  await bestOf(6, "bimodal", wanted, ({ total }) => {
    near(total.latency.p50, 2, way, "p50")
    near(total.latency.p75, 2, way, "p75")
    near(total.latency.p95, 20, way, "p95")
  })
})

test("the open model shows a stall that the closed model hides, and the closed model says so", async () => {
  const seconds = 4
  // Stands still for 1 s: of 3 s, a third of the independent callers wait, half a second in the mean.
  await bestOf(3, "stall", { model: open(8), phases: rate(250, seconds) }, ({ total }) => {
    assert.equal(total.completed, 250 * seconds)
    assert.ok(total.latency.p999 > 900_000, `open p99.9 ${total.latency.p999} µs`)
    assert.ok(total.latency.p90 > 300_000, `open p90 ${total.latency.p90} µs`)
    // The wait is most of it: eight connections cannot carry what came in the meantime.
    assert.ok((total.wait?.p99 ?? 0) > 500_000, `wait p99 ${total.wait?.p99} µs`)
  })
  await bestOf(3, "stall", { model: { kind: "closed" }, phases: rate(8, seconds) }, ({ total }) => {
    assert.ok(total.latency.p99 < 100_000, `closed p99 ${total.latency.p99} µs`)
    assert.ok(total.latency.max > 900_000, `closed max ${total.latency.max} µs`)
    assert.ok((total.corrected?.p90 ?? 0) > 100_000, `corrected p90 ${total.corrected?.p90} µs`)
  })
})

test("what finds no connection is dropped and counted where the user wants it so, and nothing is lost from the account", async () => {
  const server = await startDelayServer("fixed")
  try {
    // Two connections carry 200 of the 1,000 messages a second.
    const { total } = await run(scenario([server.port], { model: open(2, "drop"), phases: rate(1000, 1) }))
    assert.equal(total.planned, 1000)
    assert.ok(total.dropped > 600, `${total.dropped} dropped`)
    assert.equal(total.completed + total.dropped + total.failed + total.cut + total.neverSent + total.timedOut, 1000)
    assert.ok(total.latency.p99 < 100_000)
    const queued = await run(scenario([server.port], { model: open(2, "queue", 100), phases: rate(1000, 1) }))
    assert.ok(queued.total.dropped > 400)
    assert.ok((queued.total.wait?.p50 ?? 0) > 300_000, "the queue is part of the latency")
  } finally {
    await server.stop()
  }
})

test("what is under way at the end is cut and counted, or waited for", async () => {
  const server = await startDelayServer("fixed")
  try {
    const plan = { model: open(50), phases: rate(500, 0.5) }
    const cut = await run(scenario([server.port], { ...plan, ending: { drainMs: 0 } }))
    assert.ok(cut.total.cut > 0, "nothing was cut")
    assert.equal(cut.total.completed + cut.total.cut + cut.total.neverSent, 250)
    const drained = await run(scenario([server.port], plan))
    assert.equal(drained.total.completed, 250)
    assert.equal(drained.total.cut, 0)
  } finally {
    await server.stop()
  }
})

test("several generators send together what one would, and their histograms are merged", async () => {
  const server = await startDelayServer("fixed")
  try {
    const result = await run(scenario([server.port], { model: open(64), phases: rate(300, 1) }), 3)
    assert.equal(result.total.planned, 300)
    assert.equal(result.total.completed, 300)
    assert.equal(result.total.latency.count, 300)
    assert.ok(result.total.latency.min >= 9_900)
  } finally {
    await server.stop()
  }
})

test("each connection of the closed model sends so many messages, to each target", async () => {
  const servers = await Promise.all([startDelayServer("bimodal"), startDelayServer("bimodal")])
  try {
    const model: Model = { kind: "closed", each: 10 }
    const phases: readonly Phase[] = [{ shape: { kind: "constant", value: 2 }, durationMs: undefined }]
    const result = await run(
      scenario(
        servers.map(({ port }) => port),
        { model, phases },
      ),
    )
    assert.deepEqual(
      result.targets.map(({ completed, connects }) => [completed, connects]),
      [
        [10, 1],
        [10, 1],
      ],
    )
    assert.equal(result.ended, "finished")
  } finally {
    await Promise.all(servers.map((server) => server.stop()))
  }
})

test("a target that nobody listens on fails each message and ends the run", async () => {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  const model: Model = { kind: "closed", each: 3 }
  const phases: readonly Phase[] = [{ shape: { kind: "constant", value: 1 }, durationMs: undefined }]
  const closed = await run(scenario([port], { model, phases }))
  assert.equal(closed.total.failed, 3)
  assert.equal(closed.total.errors.refused?.count, 3)
  const opened = await run(scenario([port], { model: open(4), phases: rate(100, 0.3) }))
  assert.equal(opened.total.failed, 30)
  assert.equal(opened.total.errors.refused?.count, 30)
})

test("a server that hangs, closes early or resets is one kind of error each, and the run goes on", async () => {
  const behaviours: readonly [string, (socket: net.Socket) => void, keyof Result["total"]["errors"]][] = [
    ["hangs", () => undefined, "timeout"],
    ["closes", (socket) => socket.once("data", () => socket.end()), "closed early"],
    ["resets", (socket) => socket.once("data", () => socket.resetAndDestroy()), "reset"],
    ["answers wrong", (socket) => socket.on("data", () => socket.write("HELLO WORLD")), "wrong answer"],
  ]
  for (const [name, behave, kind] of behaviours) {
    const sockets = new Set<net.Socket>()
    const server = net.createServer((socket) => {
      sockets.add(socket)
      socket.on("error", () => undefined)
      socket.resume()
      behave(socket)
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as net.AddressInfo
    const wanted = { model: open(20), phases: rate(50, 0.4), ending: { timeoutMs: 100 } }
    const { total } = await run(scenario([port], wanted))
    assert.equal(total.completed, 0, name)
    assert.equal(total.failed + total.timedOut, 20, name)
    assert.equal(total.errors[kind]?.count, 20, `${name}: ${JSON.stringify(total.errors)}`)
    for (const socket of sockets) socket.destroy()
    server.close()
  }
})

test("a condition ends the run, a threshold is judged, and the warm-up is not counted", async () => {
  const server = await startDelayServer("fixed")
  try {
    const judged = await run(
      scenario([server.port], {
        model: open(32),
        phases: rate(100, 1),
        warmUpMs: 1000,
        thresholds: ["p50<5ms", "p50<500ms"],
      }),
    )
    assert.deepEqual(
      judged.thresholds.map(({ held }) => held),
      [false, true],
    )
    assert.ok(judged.total.planned >= 95 && judged.total.planned <= 105, `${judged.total.planned} planned`)
    const ended = await run(
      scenario([server.port], { model: open(32), phases: rate(100, 30), ending: { stopWhen: ["completed>=50"] } }),
    )
    assert.equal(ended.ended, "completed>=50")
    assert.ok(ended.durationMs < 10_000)
  } finally {
    await server.stop()
  }
})
