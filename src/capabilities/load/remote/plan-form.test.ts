import assert from "node:assert/strict"
import { after, test } from "node:test"
import fc from "fast-check"
import { sampleApps, ScenarioDesk } from "../../../../test/kit/scenario-desk.ts"
import { RdvError } from "../../../base/error.ts"
import { partsOf } from "../engine/parts.ts"
import type { Scenario } from "../scenario/scenario.ts"
import { readPlan } from "./plan-form.ts"

const desk = new ScenarioDesk()
after(() => desk[Symbol.dispose]())

const tcp = "tcp://127.0.0.1:7000"
const web = "http://127.0.0.1:8080/path?query"
const times = desk.write("0.1\n0.2\n5\n", "times.csv")
const lines = desk.write('{"text":"a {{counter}}","weight":3}\n{"text":"b","expect":"/^b/i"}\n', "messages.jsonl")

/** Everything that can be said, at least once. */
const commands: readonly (readonly string[])[] = [
  [tcp],
  [tcp, "tls://shop.test:443", "--connections", "64", "--insecure", "--server-name", "other.test"],
  [tcp, "--resolve", "127.0.0.1=::1", "--each", "5", "--hex", "00ff", "--framing", "length:4", "--expect", "size:6"],
  ["unix:/run/app.sock", "--burst", "10 every 1s", "--lifetime", "1m", "--think", "5ms", "--size", "64KiB"],
  [tcp, "--rate", "500", "--arrivals", "poisson", "--when-busy", "drop", "--max-rate", "400", "--count", "7"],
  [tcp, "--rate", "ramp 0..1000 for 30s", "--warm-up", "2s", "--stop-when", "errors>5%", "--fail", "p99<20ms"],
  [tcp, "--phase", "step 100 by 50 every 5s until 500 for 1m", "--phase", "sine 500+-200 every 10s for 1m"],
  [tcp, "--phase", "sawtooth 0..100 every 5s for 30s", "--phase", "spike 100 to 1000 every 10s width 1s for 1m"],
  [tcp, "--rate", `replay ${times}`, "--sequence", lines],
  [tcp, "--message", "{{uuid}}", "--framing", "newline", "--expect", "/^[0-9a-f-]+$/i", "--read-rate", "64KiB/s"],
  [tcp, "--size", "512", "--framing", "fixed:512", "--drain", "0", "--timeout", "1s", "--connect-timeout", "1s"],
  [web, "--method", "PUT", "--header", "A: b", "--body", "text", "--expect", "status:200,204", "--no-keep-alive"],
  ["wss://shop.test/socket", "--pause-before", "1s", "--pause-after", "1ms", "--write-rate", "8Mbit/s", "--seed", "9"],
  [desk.write(sampleApps, "config.json"), "50"],
]
const scenarios = commands.map((args) => desk.read(...args))
const sent = (scenario: unknown): unknown => JSON.parse(JSON.stringify(scenario))

test("whatever the command line can say arrives as it was sent", () => {
  for (const scenario of scenarios) assert.deepEqual(readPlan(sent(scenario)), sent(scenario))
})

test("what is wrong is told with its place", () => {
  const changed =
    (change: object, from: Scenario | undefined = scenarios[0]) =>
    () =>
      readPlan({ ...from, ...change })
  const target = scenarios[0]?.targets[0]
  for (const [wrong, pattern] of [
    [changed({ more: 1 }), /^plan\.more is not known here/],
    [changed({ seed: -1 }), /^plan\.seed is -1/],
    [changed({ seed: 0.5 }), /^plan\.seed is 0\.5: it has to be a whole number/],
    [changed({ targets: [] }), /^plan\.targets is empty/],
    [changed({ targets: [{ ...target, protocol: "ftp" }] }), /^plan\.targets\[0\]\.protocol is "ftp"/],
    [changed({ targets: [{ ...target, port: 0 }] }), /leads nowhere/],
    [changed({ targets: [{ ...target, host: "a b" }] }), /^plan\.targets\[0\]\.host: .*bad host name/],
    [changed({ targets: [{ ...target, proxy: "x" }] }), /^plan\.targets\[0\]\.proxy is not known/],
    [changed({ targets: [target, ...desk.read(web).targets] }), /mixes targets/],
    [changed({ messages: { kind: "random", bytes: 1e12 } }), /^plan\.messages\.bytes is 1000000000000/],
    [changed({ messages: { kind: "http", method: "GET", headers: [] } }), /not for streams/],
    [changed({ expect: { kind: "match", pattern: "(", flags: "" } }), /^plan\.expect: Invalid regular expression/],
    [changed({ expect: { kind: "match", pattern: "a", flags: "g" } }), /^plan\.expect\.flags is none of/],
    [changed({ phases: [] }), /has no phase/],
    [changed({ phases: [{ shape: { kind: "ramp", from: 0, to: 1 } }] }), /\.phases\[0\] has no end/],
    [
      changed({ phases: [{ durationMs: 1, shape: { kind: "step", from: 0, by: 0, everyMs: 1, until: 0 } }] }),
      /^plan\.phases\[0\]\.shape\.by does not lead/,
    ],
    [
      changed({ phases: [{ durationMs: 9, shape: { kind: "replay", atMs: [2, 1] } }] }),
      /^plan\.phases\[0\]\.shape\.atMs is not in order/,
    ],
    [() => readPlan(null), /^plan is null: it has to be an object/],
    [() => readPlan({}), /^plan\.name is missing/],
  ] as const) {
    assert.throws(wrong, (error: unknown) => {
      assert.ok(error instanceof RdvError && error.code === "usage")
      assert.match(error.message, pattern)
      return true
    })
  }
})

/** Every place in a value, as a path. */
function places(value: unknown, at: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== "object" || value === null) return [at]
  return [at, ...Object.entries(value).flatMap(([name, inner]) => places(inner, [...at, name]))]
}

function replaced(value: unknown, [first, ...rest]: readonly string[], by: unknown): unknown {
  if (first === undefined) return by
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...(value as object) }) as Record<string, unknown>
  copy[first] = replaced(copy[first], rest, by)
  return copy
}

test("a plan with anything in any place is refused in one line, or can be prepared", () => {
  const odd = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom<unknown>(-1, 0, 1e300, 0.1, "", "x".repeat(20_000), [], {}, true, "\0", "[::"),
  )
  const changed = fc
    .constantFrom(...scenarios.map(sent))
    .chain((plan) =>
      fc.tuple(fc.constantFrom(...places(plan)), odd).map(([place, value]) => replaced(plan, place, value)),
    )
  fc.assert(
    fc.property(changed, (plan) => {
      try {
        partsOf(readPlan(plan), 0, "test")
      } catch (error) {
        assert.ok(error instanceof RdvError, String(error))
        assert.ok(error.code === "usage" && !error.message.includes("\n"))
      }
    }),
    { numRuns: 1500 },
  )
})
