/** Whole runs: what is counted, how they end, what faults become. `accuracy.test.ts` holds the times. */

import assert from "node:assert/strict"
import * as net from "node:net"
import { test } from "node:test"
import { startDelayServer } from "../../../test/kit/delay-server.ts"
import { open, rate, run, scenario } from "../../../test/kit/load-plan.ts"
import type { Result } from "./record/result.ts"
import type { Model, Phase } from "./scenario/scenario.ts"

test("what finds no connection is dropped and counted where the user wants it so, and nothing is lost from the account", async () => {
  const server = await startDelayServer("fixed")
  try {
    // Two connections carry 200 of the 1,000 messages a second.
    const { total } = await run(scenario([server.port], { model: open(2, "drop"), phases: rate(1000, 1) }))
    assert.equal(total.planned, 1000)
    assert.ok(total.dropped > 600, `${total.dropped} dropped`)
    assert.equal(total.completed + total.dropped + total.failed + total.cut + total.neverSent + total.timedOut, 1000)
    assert.ok(total.latency.p50 < 100_000, `p50 ${total.latency.p50} µs`)
    const queued = await run(scenario([server.port], { model: open(2, "queue", 100), phases: rate(1000, 1) }))
    assert.ok(queued.total.dropped > 400)
    assert.ok((queued.total.wait?.p50 ?? 0) > 300_000, "the queue is part of the latency")
  } finally {
    await server.stop()
  }
})

test("what is under way at the end is cut and counted, or waited for", async () => {
  const server = await startDelayServer("fixed")
  const silent = net.createServer((socket) => void socket.on("error", () => undefined).resume())
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve))
  try {
    const plan = { model: open(50), phases: rate(500, 0.5) }
    const { port } = silent.address() as net.AddressInfo
    const cut = await run(scenario([port], { ...plan, ending: { drainMs: 0 } }))
    assert.equal(cut.total.cut, 50)
    assert.equal(cut.total.completed + cut.total.cut + cut.total.neverSent, 250)
    const drained = await run(scenario([server.port], plan))
    assert.equal(drained.total.completed, 250)
    assert.equal(drained.total.cut, 0)
  } finally {
    silent.close()
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
