/** Each message that a plan starts ends in exactly one count, whatever the target does and however the work is shared. */

import assert from "node:assert/strict"
import { createServer } from "node:net"
import type { AddressInfo, Socket } from "node:net"
import { test } from "node:test"
import type { Figures, Result } from "../record/result.ts"
import { runScenario } from "../run.ts"
import type { Ending, Model, Pace, Phase, Scenario } from "../scenario/scenario.ts"

interface Wanted {
  readonly model?: Model
  readonly phases?: readonly Phase[]
  readonly ending?: Partial<Ending>
  readonly pace?: Partial<Pace>
  readonly warmUpMs?: number
  readonly workers?: number
  readonly targets?: number
}

/** Runs against a server that does this with each connection. */
async function runAgainst(serve: (socket: Socket) => void, wanted: Wanted): Promise<Result> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on("error", () => socket.destroy())
    serve(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const { port } = server.address() as AddressInfo
  const { targets = 1, workers = 1, model = open(5), phases = [constant(200, 400)], warmUpMs = 0 } = wanted
  const scenario: Scenario = {
    name: "test",
    targets: Array.from({ length: targets }, (_, at) => {
      return { label: `target-${at}`, protocol: "tcp", host: "127.0.0.1", port, path: "" } as const
    }),
    model,
    phases,
    warmUpMs,
    messages: { kind: "text", text: "hello world" },
    framing: { kind: "none" },
    expect: { kind: "echo" },
    pace: { pauseBeforeMs: 0, thinkMs: 0, pauseAfterMs: 0, keepAlive: true, ...wanted.pace },
    ending: { stopWhen: [], drainMs: 100, timeoutMs: 5000, connectTimeoutMs: 2000, ...wanted.ending },
    thresholds: [],
    seed: 1,
  }
  try {
    return await runScenario({ scenario, workers, version: "test" })
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

const echo = (socket: Socket): unknown => socket.on("data", (bytes) => socket.write(bytes))
const slowly = (socket: Socket): unknown =>
  socket.on("data", (bytes) => setTimeout(() => socket.destroyed || socket.write(bytes), 100))
const never = (socket: Socket): unknown => socket.resume()
const resets = (socket: Socket): unknown => socket.once("data", () => socket.resetAndDestroy())

function open(connections: number, whenBusy: "queue" | "drop" = "queue", queueLimit = 1000): Model {
  return { kind: "open", connections, arrivals: "even", whenBusy, queueLimit }
}

function constant(value: number, durationMs?: number): Phase {
  return { shape: { kind: "constant", value }, durationMs }
}

function settled({ completed, failed, timedOut, cut, dropped, neverSent }: Figures): number {
  return completed + failed + timedOut + cut + dropped + neverSent
}

const faults: Readonly<Record<string, [serve: (socket: Socket) => void, wanted: Wanted]>> = {
  "answers slowly": [slowly, {}],
  "answers slowly, and the queue is short": [slowly, { model: open(5, "queue", 10) }],
  "answers slowly, and what finds no connection is dropped": [slowly, { model: open(5, "drop") }],
  "never answers": [never, {}],
  "never answers in time": [never, { ending: { timeoutMs: 50, drainMs: 2000 } }],
  resets: [resets, {}],
  "gets a new connection for each": [echo, { pace: { keepAlive: false } }],
  "gets new connections now and then": [echo, { pace: { lifetimeMs: 30 } }],
}

async function conserves(name: string, workers: number): Promise<void> {
  const [serve, wanted] = faults[name] as (typeof faults)[string]
  const { total, series } = await runAgainst(serve, { ...wanted, workers, warmUpMs: 200 })
  const planned = series.reduce((sum, point) => sum + point.planned, 0)
  assert.deepEqual([total.planned, settled(total), planned], [80, 80, 80], `${name}: ${JSON.stringify(total)}`)
}

test("planned is the sum of all counts behind a warm-up, whatever the target does", async () => {
  await Promise.all(Object.keys(faults).map((name) => conserves(name, 1)))
})

test("so it is when workers share the plan", async () => {
  for (const name of ["never answers", "resets"]) await conserves(name, 2)
})

test("a timeout is one error", async () => {
  const { total } = await runAgainst(never, { ending: { timeoutMs: 50, drainMs: 2000 } })
  assert.equal(total.timedOut, 80)
  assert.deepEqual(Object.keys(total.errors), ["timeout"])
})

/** A busy machine makes a message late, and the run longer by that: one round of some has to be exact. */
async function exactOnce(check: () => Promise<void>): Promise<void> {
  for (let round = 1; ; round++) {
    try {
      await check()
      return
    } catch (error) {
      if (round === 8) throw error
    }
  }
}

test("the rate is the plan's, however few messages it has", async () => {
  for (const phase of [constant(5, 400), constant(200, 400)]) {
    await exactOnce(async () => {
      const { total, durationMs } = await runAgainst(echo, { phases: [phase] })
      assert.equal(durationMs, 400)
      assert.equal(total.rate, phase.shape.kind === "constant" ? phase.shape.value : 0)
    })
  }
  await exactOnce(async () => {
    const counted = await runAgainst(echo, { phases: [constant(100)], ending: { count: 20 } })
    assert.equal(counted.durationMs, 200)
    assert.equal(counted.ended, "count")
  })
})

test("answers that come behind the plan do not lower the rate", async () => {
  await exactOnce(async () => {
    const { total } = await runAgainst(slowly, { model: open(50), ending: { drainMs: 2000 } })
    assert.equal(total.completed, 80)
    assert.equal(total.rate, 200)
  })
})

test("Poisson arrivals are as many as chance says, and that is no fault of the generator", async () => {
  const model: Model = { ...open(50), arrivals: "poisson" } as Model
  const { doubts } = await runAgainst(echo, { model, phases: [constant(100, 500)] })
  assert.ok(!doubts.some((doubt) => doubt.includes("planned rate")), doubts.join())
})

test("each target has its connections, whoever of several workers opens them", async () => {
  const closed: Model = { kind: "closed", each: 5 }
  for (const [targets, connections, workers] of [
    [2, 2, 2],
    [3, 6, 4],
    [1, 1, 3],
    [2, 5, 2],
  ] as const) {
    const result = await runAgainst(echo, { model: closed, phases: [constant(connections)], workers, targets })
    const connects = result.targets.map((target) => target.connects)
    const wanted = connects.map((_, at) => Math.floor((connections + targets - 1 - at) / targets))
    assert.deepEqual(connects, wanted, `${targets} targets, ${workers} workers`)
    assert.equal(result.total.completed, connections * 5)
  }
})

test("workers open no more connections than there may be, and each target gets the same", async () => {
  for (const [targets, connections, workers] of [
    [1, 1, 3],
    [3, 3, 2],
    [3, 7, 2],
  ] as const) {
    const result = await runAgainst(slowly, { model: open(connections, "drop"), workers, targets })
    assert.deepEqual([result.total.planned, settled(result.total)], [80, 80])
    assert.equal(result.total.connects, connections)
    const sent = result.targets.map((target) => target.planned)
    assert.ok(Math.max(...sent) - Math.min(...sent) <= 10, `${targets}, ${connections}, ${workers}: ${sent.join()}`)
  }
})

test("a worker without a connection does not hold up a run of a count", async () => {
  const wanted: Wanted = { model: { kind: "closed" }, phases: [constant(1)], workers: 2, ending: { count: 11 } }
  assert.equal((await runAgainst(echo, wanted)).total.completed, 11)
})

test("connections that come later in the plan have their messages, too", async () => {
  const phases: readonly Phase[] = [{ shape: { kind: "ramp", from: 1, to: 4 }, durationMs: 300 }, constant(4, 300)]
  const { total } = await runAgainst(echo, { model: { kind: "closed", each: 5 }, phases })
  assert.equal(total.completed, 20)
})

test("connections that shall end and have not yet are not replaced when the plan wants them again", async () => {
  let now = 0
  let most = 0
  const counted = (socket: Socket): void => {
    most = Math.max(most, ++now)
    socket.on("close", () => now--)
    slowly(socket)
  }
  const phases = [constant(8, 50), constant(2, 30), constant(8, 200)]
  await runAgainst(counted, { model: { kind: "closed" }, phases })
  assert.equal(most, 8)
})
