/** Generators behind a real relay: those that do as they should, and those that do not. */

import assert from "node:assert/strict"
import * as net from "node:net"
import { after, before, test } from "node:test"
import { localAgent, localRelay } from "../../../../test/kit/local-sessions.ts"
import { eventually } from "../../../../test/kit/raw-http.ts"
import type { JsonObject } from "../../../base/json.ts"
import type { Stream } from "../../../base/stream.ts"
import { dialPrivate } from "../../../host/private-call.ts"
import type { RunningAgent } from "../../../node.ts"
import type { Result } from "../record/result.ts"
import { runScenario } from "../run.ts"
import { readTarget } from "../scenario/read-target.ts"
import type { Scenario } from "../scenario/scenario.ts"
import { startAgents } from "./agents.ts"
import type { Allowance } from "./allowance.ts"
import { JsonLines, writeLine } from "./json-lines.ts"
import { remoteVersion, serviceOf } from "./messages.ts"
import { serveGenerator } from "./serve.ts"

const me = { instance: "me" }
let echo: net.Server
let target = ""
let connections = 0
before(async () => {
  echo = net.createServer({ noDelay: true }, (socket) => {
    connections++
    socket.on("error", () => undefined)
    socket.on("close", () => void connections--)
    socket.pipe(socket)
  })
  await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve))
  target = `tcp://127.0.0.1:${(echo.address() as net.AddressInfo).port}`
})
after(() => echo.close())

function scenarioOf(change: Partial<Scenario> = {}): Scenario {
  return {
    name: "test",
    targets: [readTarget(target)],
    model: { kind: "open", connections: 4, arrivals: "even", whenBusy: "queue", queueLimit: 100 },
    phases: [{ shape: { kind: "constant", value: 100 }, durationMs: undefined }],
    warmUpMs: 0,
    messages: { kind: "text", text: "hello" },
    framing: { kind: "none" },
    expect: { kind: "echo" },
    pace: { pauseBeforeMs: 0, thinkMs: 0, pauseAfterMs: 0, keepAlive: true },
    ending: { stopWhen: [], drainMs: 1000, timeoutMs: 1000, connectTimeoutMs: 1000 },
    thresholds: [],
    seed: 1,
    ...change,
  }
}

const free: Allowance = {
  targets: [{ kind: "loopback" }],
  maxRate: undefined,
  maxConnections: 100,
  maxDurationMs: 60_000,
}

/** A generator as it is offered to users; notes why its calls ended. */
function serve(running: RunningAgent, name: string, allowance: Partial<Allowance> = {}): Promise<string[]> {
  const ends: string[] = []
  return new Promise((resolve, reject) =>
    serveGenerator(running.agent, {
      name,
      allowance: { ...free, ...allowance },
      version: "test",
      events: {
        onExposed: () => resolve(ends),
        onDelayed: reject,
        onRefused: reject,
        onStart: () => undefined,
        onEnd: (_from, reason) => void ends.push(reason),
      },
    }),
  )
}

/** One that says it is ready, and at the start does something else than to run. */
function pretend({ agent }: RunningAgent, name: string, atStart: (stream: Stream) => void): Promise<unknown> {
  return new Promise((resolve, reject) =>
    agent.accept(
      serviceOf(name),
      ({ stream }) => {
        const lines = new JsonLines(({ kind }) => {
          if (kind === "plan") writeLine(stream, { kind: "ready", host: "x", cores: 1 })
          if (kind === "start") atStart(stream)
        })
        stream.attach({
          data(chunk) {
            lines.push(chunk)
            stream.consumed(chunk.length)
          },
          meta: () => undefined,
          end: () => stream.end(),
          drain: () => undefined,
          closed: () => undefined,
        })
      },
      { expose: { kind: "private", name: serviceOf(name) }, onExposed: resolve, onRefused: reject },
    ),
  )
}

function run({ agent: host }: RunningAgent, agents: readonly string[], scenario: Scenario): Promise<Result> {
  return runScenario({
    scenario,
    workers: agents.length,
    version: "test",
    startCrew: (options) => startAgents({ ...options, host, agents, onLost: () => undefined }),
  })
}

test("agents share a plan to the last message, one run after the other", async (t) => {
  const relay = await localRelay(t)
  await serve(await localAgent(t, relay, me), "a")
  await serve(await localAgent(t, relay, me), "b")
  const caller = await localAgent(t, relay, me)
  for (const count of [101, 40]) {
    const plan = scenarioOf({ ending: { ...scenarioOf().ending, count } })
    const { total, ended, generator } = await run(caller, ["a", "b"], plan)
    assert.deepEqual([total.planned, total.completed, ended], [count, count, "count"])
    assert.deepEqual([generator.host, generator.workers], ["a, b", 2])
  }
})

for (const [what, atStart, why] of [
  ["sends nonsense", (stream) => void stream.write(Buffer.from("nonsense\n")), /cannot be read: A line is not JSON/],
  [
    "tells what is no interval",
    (stream) => void writeLine(stream, { kind: "interval", interval: {} }),
    /cannot be read/,
  ],
  ["speaks of itself", (stream) => void writeLine(stream, { kind: "boast" }), /"kind" of a message/],
  ["hangs up", (stream) => stream.end(), /ended without a word/],
  ["fails", (stream) => void writeLine(stream, { kind: "failed", message: "no memory" }), /no memory/],
  ["is reset", (stream) => stream.reset("internal", "broken"), /broken/],
] satisfies [string, (stream: Stream) => void, RegExp][]) {
  test(`an agent that ${what} ends the run of the others, which is told with its name`, async (t) => {
    const relay = await localRelay(t)
    await serve(await localAgent(t, relay, me), "good")
    const bad = await localAgent(t, relay, me)
    await pretend(bad, "bad", (stream) => void setTimeout(() => atStart(stream), 300))
    const caller = await localAgent(t, relay, me)
    const { total, doubts, ended } = await run(caller, ["good", "bad"], scenarioOf())
    assert.equal(ended, "agent bad was lost")
    assert.match(doubts[0] ?? "", /^Agent bad was lost after \d+\.\d s/)
    assert.match(doubts[0] ?? "", why)
    assert.ok(total.completed > 0 && total.completed === total.planned)
    // Its fault costs nobody the session.
    assert.ok(total.failed === 0 && caller.agent.status()["session"] !== null)
    await run(caller, ["good"], scenarioOf({ ending: { ...scenarioOf().ending, count: 1 } }))
  })
}

test("a plan that one agent refuses is started by none", async (t) => {
  const relay = await localRelay(t)
  const ends = await serve(await localAgent(t, relay, me), "a")
  await serve(await localAgent(t, relay, me), "b", { maxConnections: 1 })
  const caller = await localAgent(t, relay, me)
  await assert.rejects(run(caller, ["a", "b"], scenarioOf()), /^RdvError: b: the plan wants 2 connections of it/)
  await assert.rejects(run(caller, ["a", "nobody"], scenarioOf()), /^RdvError: nobody: no such agent/)
  await eventually("the other one is free again", () => ends.length === 2)
})

test("an agent ends a plan without an end when its owner's time is over", async (t) => {
  const relay = await localRelay(t)
  await serve(await localAgent(t, relay, me), "a", { maxDurationMs: 300 })
  const { ended, doubts, total } = await run(await localAgent(t, relay, me), ["a"], scenarioOf())
  assert.equal(ended, "agent a was lost")
  assert.match(doubts[0] ?? "", /^Agent a stopped after 0\.\d s \(its owner allows no more\)/)
  assert.ok(total.completed > 10 && total.completed === total.planned)
})

test("whoever calls a generator and breaks the rules is told why, and the next caller is served", async (t) => {
  const relay = await localRelay(t)
  const ends = await serve(await localAgent(t, relay, me), "a")
  const caller = await localAgent(t, relay, me)
  const plan = { kind: "plan", scenario: scenarioOf(), share: { index: 0, of: 1 } }
  for (const [header, messages, why] of [
    [{ version: 99 }, [plan], /speaks version 1/],
    [{ version: remoteVersion }, [{ kind: "start" }], /Nothing is ready/],
    [{ version: remoteVersion }, [{ ...plan, share: { index: 1, of: 1 } }], /"share" of a message/],
    [{ version: remoteVersion }, [{ ...plan, scenario: { name: "x" } }], /^plan\.targets is missing/],
    [{ version: remoteVersion }, [plan, plan], /A second plan/],
    [
      { version: remoteVersion },
      [{ ...plan, scenario: { ...scenarioOf(), targets: [readTarget("tcp://10.0.0.1:1")] } }],
      /not allowed/,
    ],
  ] satisfies [JsonObject, object[], RegExp][]) {
    assert.match(await answer(caller, "a", header, messages), why)
  }
  assert.equal(ends.length, 6)
  await run(caller, ["a"], scenarioOf({ ending: { ...scenarioOf().ending, count: 1 } }))
})

test("a caller that leaves ends its run", async (t) => {
  const relay = await localRelay(t)
  const ends = await serve(await localAgent(t, relay, me), "a")
  const caller = await localAgent(t, relay, me)
  const running = run(caller, ["a"], scenarioOf())
  await eventually("it runs", () => connections > 0)
  await caller.stop()
  assert.match((await running).doubts[0] ?? "", /Agent a was lost/)
  await eventually("it is over", () => ends.length === 1)
  await eventually("nothing is loaded", () => connections === 0)
})

/** Why a generator fails what is sent to it. */
function answer(
  { agent }: RunningAgent,
  name: string,
  header: JsonObject,
  messages: readonly object[],
): Promise<string> {
  return new Promise((resolve, reject) => {
    const stream = dialPrivate(agent, serviceOf(name), header)
    const lines = new JsonLines((message) => message["kind"] === "failed" && resolve(String(message["message"])))
    stream.attach({
      data(chunk) {
        lines.push(chunk)
        stream.consumed(chunk.length)
      },
      meta: () => undefined,
      end: () => stream.end(),
      drain: () => undefined,
      closed: reject,
    })
    for (const message of messages) writeLine(stream, message)
  })
}
