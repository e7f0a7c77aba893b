import assert from "node:assert/strict"
import { test } from "node:test"
import type { Phase, Scenario, ShapePlan, Target } from "../scenario/scenario.ts"
import { readTarget } from "../scenario/read-target.ts"
import { checkAllowed, readAllowed } from "./allowance.ts"
import type { Allowance } from "./allowance.ts"

const base: Scenario = {
  name: "test",
  targets: [readTarget("tcp://127.0.0.1:7000")],
  model: { kind: "closed" },
  phases: [{ shape: { kind: "constant", value: 4 }, durationMs: 1000 }],
  warmUpMs: 0,
  messages: { kind: "text", text: "x" },
  framing: { kind: "none" },
  expect: { kind: "echo" },
  pace: { pauseBeforeMs: 0, thinkMs: 0, pauseAfterMs: 0, keepAlive: true },
  ending: { stopWhen: [], drainMs: 0, timeoutMs: 1, connectTimeoutMs: 1 },
  thresholds: [],
  seed: 1,
}
const free: Allowance = {
  targets: [{ kind: "loopback" }],
  maxRate: undefined,
  maxConnections: 1000,
  maxDurationMs: 3_600_000,
}

function refusal(scenario: Partial<Scenario>, allowance: Partial<Allowance> = {}, of = 1): string {
  try {
    checkAllowed({ ...base, ...scenario }, { index: 0, of }, { ...free, ...allowance })
    return ""
  } catch (error) {
    assert.equal((error as { code?: string }).code, "forbidden")
    return (error as Error).message
  }
}

const reaches = (target: string, ...allow: readonly string[]): boolean =>
  refusal(
    { targets: [readTarget(target)] },
    allow.length === 0 ? {} : { targets: allow.map((text) => readAllowed(text)) },
  ) === ""

test("without anything said, only this machine's loopback is loaded", () => {
  for (const target of [
    "tcp://127.0.0.1:1",
    "tcp://127.9.9.9:1",
    "tcp://localhost:1",
    "http://LOCALHOST/",
    "tcp://[::1]:1",
  ]) {
    assert.ok(reaches(target), target)
  }
  for (const target of [
    "tcp://10.0.0.1:1",
    "tcp://0.0.0.0:1",
    "tcp://[::]:1",
    "tcp://[::ffff:127.0.0.1]:1",
    "tcp://127.example.test:1",
    "tcp://localhost.example.test:1",
    "tcp://a.localhost:1",
    "unix:/tmp/socket",
  ]) {
    assert.ok(!reaches(target), target)
  }
})

test("what is allowed is compared by host and port, whatever way it is written", () => {
  assert.ok(reaches("tcp://shop.test:443", "shop.test"))
  assert.ok(reaches("https://Shop.Test/", "shop.test:443"))
  assert.ok(reaches("https://shop.test./", "SHOP.test"))
  assert.ok(!reaches("http://shop.test/", "shop.test:443"))
  assert.ok(!reaches("tcp://evil-shop.test:443", "shop.test"))
  assert.ok(!reaches("tcp://127.0.0.1:1", "shop.test"))
  assert.ok(reaches("tcp://[fe80:0::1]:9", "fe80::1") && reaches("tcp://[fe80::1]:9", "[fe80:0:0::1]:9"))
  assert.ok(reaches("tcp://10.1.2.3:80", "*") && reaches("tcp://10.1.2.3:80", "*:80"))
  assert.ok(!reaches("tcp://10.1.2.3:81", "*:80"))
  assert.ok(!reaches("unix:/run/docker.sock", "*"))
  assert.ok(reaches("unix:/run/app.sock", "unix:/run/app.sock") && !reaches("unix:/run/x.sock", "unix:/run/app.sock"))
  for (const wrong of ["a:b", "a:0", "*:x", "http://a", ""]) assert.throws(() => readAllowed(wrong), { code: "usage" })
})

test("an address in place of the host's own is what counts", () => {
  const disguised: Target = { ...readTarget("tcp://127.0.0.1:80"), address: "10.0.0.1" }
  assert.match(refusal({ targets: [base.targets[0] as Target, disguised] }), /the target 10\.0\.0\.1:80 is not allowed/)
  const there = { ...readTarget("tcp://shop.test:80"), address: "127.0.0.1" }
  assert.equal(refusal({ targets: [there] }), "")
})

const shapes: readonly (readonly [ShapePlan, number])[] = [
  [{ kind: "constant", value: 50 }, 50],
  [{ kind: "ramp", from: 0, to: 50 }, 50],
  [{ kind: "step", from: 60, by: -10, everyMs: 100, until: 10 }, 60],
  [{ kind: "sine", mean: 30, amplitude: 20, periodMs: 1000 }, 50],
  [{ kind: "sawtooth", from: 50, to: 0, periodMs: 1000 }, 50],
  [{ kind: "spike", base: 10, peak: 50, everyMs: 1000, widthMs: 10 }, 50],
  [{ kind: "replay", atMs: [...Array.from({ length: 50 }, (_, at) => at * 10), 5000] }, 50],
]

test("the highest rate of a plan, or of this generator's share, is what its cap is about", () => {
  const model = { kind: "open", connections: 1, arrivals: "even", whenBusy: "drop", queueLimit: 1 } as const
  for (const [shape, peak] of shapes) {
    const phases: Phase[] = [{ shape, durationMs: 10_000 }]
    assert.equal(refusal({ model, phases }, { maxRate: peak }), "", shape.kind)
    assert.match(refusal({ model, phases }, { maxRate: peak - 1 }), /messages\/s of it/, shape.kind)
    assert.equal(refusal({ model, phases }, { maxRate: peak / 2 }, 2), "", shape.kind)
    assert.equal(refusal({ model: { ...model, maxRate: 5 }, phases }, { maxRate: 5 }), "", shape.kind)
  }
})

test("a plan without a rate is held to a cap by its pauses, or refused", () => {
  assert.match(refusal({}, { maxRate: 1000 }), /the plan has no rate/)
  const pace = { ...base.pace, thinkMs: 100 }
  assert.equal(refusal({ pace }, { maxRate: 40 }), "")
  assert.match(refusal({ pace }, { maxRate: 39 }), /40 messages\/s/)
  assert.equal(refusal({ pace: { ...base.pace, burst: { messages: 5, everyMs: 1000 } } }, { maxRate: 20 }), "")
})

test("connections and time have caps, which a share of a plan may hold", () => {
  assert.match(refusal({}, { maxConnections: 3 }), /4 connections of it, and 3 is the most/)
  assert.equal(refusal({}, { maxConnections: 2 }, 2), "")
  const open = { kind: "open", connections: 1000, arrivals: "even", whenBusy: "queue", queueLimit: 1 } as const
  assert.match(refusal({ model: open }, { maxConnections: 999 }), /1000 connections/)
  assert.match(refusal({ warmUpMs: 500 }, { maxDurationMs: 1000 }), /1\.5 s of it, and 1 s is the most/)
  const endless = [{ shape: { kind: "constant", value: 1 }, durationMs: undefined }] as const
  assert.equal(refusal({ phases: endless }, { maxDurationMs: 1000 }), "", "it is ended there")
})
