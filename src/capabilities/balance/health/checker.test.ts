import assert from "node:assert/strict"
import { duplexPair } from "node:stream"
import type { Duplex } from "node:stream"
import { test } from "node:test"
import type { TestContext } from "node:test"
import { targetFor } from "../../../../test/kit/balance-target.ts"
import { FakeClock, settle } from "../../../../test/kit/fake-clock.ts"
import { SeededRandom } from "../../../base/random.ts"
import type { HealthSettings } from "../config/settings.ts"
import { Checker } from "./checker.ts"

const usual: HealthSettings = {
  check: { kind: "tcp" },
  intervalMs: 2000,
  downIntervalMs: 5000,
  jitter: 0,
  timeoutMs: 1000,
  rise: 2,
  fall: 3,
  port: undefined,
}

/** A checker whose target does what `state.answer` says. */
function setUp(t: TestContext, changes: Partial<HealthSettings> = {}, seed = 1) {
  const clock = new FakeClock()
  const target = targetFor("10.0.0.1", clock)
  const verdicts: string[] = []
  const times: number[] = []
  const ports: (number | undefined)[] = []
  const connections: Duplex[] = []
  const state: { answer: "connect" | "refuse" | "hang" | "late" } = { answer: "connect" }
  const late: (() => void)[] = []
  const checker = new Checker({
    target,
    settings: { ...usual, ...changes },
    clock,
    random: new SeededRandom(seed),
    connect: (_, port) => {
      times.push(clock.now())
      ports.push(port)
      if (state.answer === "refuse") return Promise.reject(Object.assign(new Error("x"), { code: "ECONNREFUSED" }))
      const [here, there] = duplexPair()
      there.resume()
      connections.push(here)
      const { promise, resolve } = Promise.withResolvers<Duplex>()
      if (state.answer === "connect") resolve(here)
      if (state.answer === "late") late.push(() => resolve(here))
      return promise
    },
    onVerdict: (healthy, reason) => verdicts.push(`${healthy ? "up" : "down"}: ${reason}`),
  })
  t.after(async () => {
    checker.stop()
    await settle()
    assert.equal(clock.pending, 0, "a timer is left")
  })
  return { clock, target, verdicts, times, ports, connections, state, late, checker }
}

test("the first check comes at once and decides alone", async (t) => {
  const good = setUp(t)
  await good.clock.pass(500)
  assert.deepEqual(good.verdicts, ["up: connected"])
  const bad = setUp(t)
  bad.state.answer = "refuse"
  await bad.clock.pass(500)
  assert.deepEqual(bad.verdicts, ["down: connection refused"])
  assert.equal(bad.target.healthy, false)
  assert.equal(bad.target.healthReason, "connection refused")
  assert.equal(bad.target.obstacle(bad.clock.now()), "down")
})

test("it takes `fall` bad checks in a row to go down, and `rise` good ones to come up with a slow start", async (t) => {
  const { clock, target, verdicts, state } = setUp(t)
  await clock.pass(500)
  for (let round = 0; round < 5; round++) {
    state.answer = "refuse"
    await clock.pass(4000)
    state.answer = "connect"
    await clock.pass(2000)
  }
  assert.equal(verdicts.length, 1, "two in a row are not three")
  state.answer = "refuse"
  await clock.pass(6000)
  assert.deepEqual(verdicts.slice(1), ["down: connection refused"])
  state.answer = "connect"
  await clock.pass(5000)
  assert.equal(target.healthy, false)
  assert.equal(target.healthReason, "connection refused")
  assert.equal(target.usableSince, 0)
  await clock.pass(5000)
  assert.deepEqual(verdicts.slice(2), ["up: connected"])
  assert.equal(target.healthReason, "connected")
  assert.ok(target.usableSince > clock.now() - 5000)
  assert.equal(target.totals.checks, 1 + 15 + 3 + 2)
  assert.equal(target.totals.checkFailures, 10 + 3)
})

test("checks come at the interval, and at the other one while the target is down", async (t) => {
  const { clock, times, state } = setUp(t, { fall: 1 })
  await clock.pass(500)
  await clock.pass(6000)
  state.answer = "refuse"
  await clock.pass(17_000)
  const gaps = times.slice(1).map((at, index) => at - (times[index] as number))
  assert.deepEqual(gaps, [2000, 2000, 2000, 2000, 5000, 5000, 5000])
})

test("jitter varies each interval by no more than its share, and targets do not check in step", async (t) => {
  const { clock, times } = setUp(t, { jitter: 0.2 })
  await clock.pass(200_000)
  const gaps = times.slice(1).map((at, index) => at - (times[index] as number))
  assert.ok(gaps.length > 90 && gaps.length < 110)
  assert.ok(gaps.every((gap) => gap >= 1600 && gap <= 2400))
  assert.ok(Math.max(...gaps) - Math.min(...gaps) > 600)
  const firsts: number[] = []
  for (let seed = 0; seed < 50; seed++) {
    const one = setUp(t, {}, seed)
    await one.clock.pass(500)
    firsts.push((one.times[0] as number) - 1000)
  }
  assert.ok(Math.max(...firsts) > 400 && Math.min(...firsts) < 100)
})

test("a target that takes no connection in time is down, and a connection that comes too late is closed", async (t) => {
  const { clock, target, verdicts, state, late, connections, times } = setUp(t, { timeoutMs: 3000 })
  state.answer = "late"
  await clock.pass(3500)
  assert.deepEqual(verdicts, ["down: no connection within 3000 ms"])
  late[0]?.()
  await settle()
  assert.equal(connections[0]?.destroyed, true)
  assert.equal(target.healthy, false)
  await clock.pass(2000)
  assert.equal(times.length, 2, "the next one is due 5 s after the begin of the first")
})

test("checks of one target never overlap", async (t) => {
  const { clock, times, state } = setUp(t, { intervalMs: 100, downIntervalMs: 100, timeoutMs: 1000 })
  state.answer = "hang"
  await clock.pass(10_100)
  assert.ok(times.length <= 11)
})

test("each connection is closed after its check", async (t) => {
  const { clock, connections } = setUp(t)
  await clock.pass(20_000)
  assert.ok(connections.length >= 10)
  assert.ok(connections.every(({ destroyed }) => destroyed))
})

test("a disabled target is left alone", async (t) => {
  const { clock, target, times } = setUp(t)
  target.orders = "disable"
  await clock.pass(20_000)
  assert.equal(times.length, 0)
  target.orders = "serve"
  await clock.pass(2000)
  assert.equal(times.length, 1)
})

test("changed settings count at once, and the verdict stays until checks say otherwise", async (t) => {
  const { clock, verdicts, times, ports, checker, state } = setUp(t)
  await clock.pass(600)
  checker.update({ ...usual })
  await clock.pass(1000)
  assert.equal(times.length, 1, "nothing had changed")
  state.answer = "refuse"
  checker.update({ ...usual, port: 8080, fall: 2, intervalMs: 1000 })
  await clock.pass(500)
  assert.equal(times.length, 2)
  assert.equal(ports[1], 8080)
  assert.equal(verdicts.length, 1)
  await clock.pass(1000)
  assert.equal(verdicts.length, 2)
})

test("an update and a stop give up the check that runs", async (t) => {
  const { clock, target, verdicts, state, checker, late, connections } = setUp(t)
  state.answer = "late"
  await clock.pass(500)
  checker.update({ ...usual, rise: 1 })
  late[0]?.()
  await settle()
  assert.equal(verdicts.length, 0)
  assert.equal(connections[0]?.destroyed, true)
  await clock.pass(500)
  checker.stop()
  late[1]?.()
  await clock.pass(60_000)
  assert.equal(verdicts.length, 0)
  assert.equal(target.totals.checks, 2)
  assert.equal(connections[1]?.destroyed, true)
  checker.update({ ...usual, rise: 5 })
  assert.equal(clock.pending, 0)
})
