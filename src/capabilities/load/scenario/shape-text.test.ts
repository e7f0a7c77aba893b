import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { RdvError } from "../../../base/error.ts"
import { readPhase } from "./shape-text.ts"

test("every shape has a form that people can write", () => {
  const cases: readonly (readonly [text: string, shape: object, durationMs?: number])[] = [
    ["100", { kind: "constant", value: 100 }],
    ["300/m", { kind: "constant", value: 5 }],
    ["100 for 10s", { kind: "constant", value: 100 }, 10_000],
    ["constant 100 for 10s", { kind: "constant", value: 100 }, 10_000],
    ["ramp 0..1000 for 30s", { kind: "ramp", from: 0, to: 1000 }, 30_000],
    ["ramp 0.5 .. 1.5", { kind: "ramp", from: 0.5, to: 1.5 }],
    [
      "step 100 by 50 every 5s until 500 for 1m",
      { kind: "step", from: 100, by: 50, everyMs: 5000, until: 500 },
      60_000,
    ],
    ["step 500 by -50 every 5s until 100", { kind: "step", from: 500, by: -50, everyMs: 5000, until: 100 }],
    ["sine 500±200 every 10s for 1m", { kind: "sine", mean: 500, amplitude: 200, periodMs: 10_000 }, 60_000],
    ["sine 500 +- 200 every 10s", { kind: "sine", mean: 500, amplitude: 200, periodMs: 10_000 }],
    ["sine 500+/-200 every 10s", { kind: "sine", mean: 500, amplitude: 200, periodMs: 10_000 }],
    ["sawtooth 0..100 every 5s for 30s", { kind: "sawtooth", from: 0, to: 100, periodMs: 5000 }, 30_000],
    ["saw-tooth 0..100 every 5s", { kind: "sawtooth", from: 0, to: 100, periodMs: 5000 }],
    [
      "spike 100 to 1000 every 10s width 1s for 1m",
      { kind: "spike", base: 100, peak: 1000, everyMs: 10_000, widthMs: 1000 },
      60_000,
    ],
  ]
  for (const [text, shape, durationMs] of cases) {
    const phase = readPhase(text, "")
    assert.deepEqual(phase.shape, shape, text)
    assert.equal(phase.durationMs, durationMs, text)
    assert.equal(phase.perTime, text.includes("/m"), text)
  }
})

test("a shape that is not complete is told with a whole one", () => {
  const cases: readonly (readonly [text: string, line: string])[] = [
    ["many", '"many" is no shape: write constant, ramp, step, sine, sawtooth, spike, replay or a number'],
    ["5k", '"5k" is not a number: write 500 or 500/s'],
    ["1e99", '"1e99" is not a number: write 500 or 500/s'],
    ["9999999999", '"9999999999" is too much: give at most 1000000000'],
    ["ramp", "two numbers with .. between them is missing: write ramp 0..1000 for 30s"],
    ["ramp 5 for 10s", '"ramp 5 for 10s": "5" is not two numbers with .. between them: write ramp 0..1000 for 30s'],
    ["ramp 0..5 for 10", '"ramp 0..5 for 10": "10" has no unit: write 10s or 10ms'],
    ["ramp 0..5 in 10s", '"ramp 0..5 in 10s": "in" is one word too many: only "for 30s" can stand there'],
    ["100 for", '"100 for": a value behind "for" is missing: write for 30s'],
    ["100 for 0s", '"100 for 0s": "0s" has to be more than 0: change it'],
    ["100 for 10us", '"100 for 10us": "10us" is too short: give at least 1ms'],
    [
      "step 1 by 0 every 1s until 5",
      '"step 1 by 0 every 1s until 5": "0" does not lead from 1 to 5: write a step above 0',
    ],
    [
      "step 5 by 1 every 1s until 1",
      '"step 5 by 1 every 1s until 1": "1" does not lead from 5 to 1: write a step below 0',
    ],
    [
      "step 5 every 1s",
      '"step 5 every 1s": "by" is wanted next, and there is "every": write step 100 by 50 every 5s until 500 for 1m',
    ],
    [
      "spike 1 to 5 every 1s width 2s",
      '"spike 1 to 5 every 1s width 2s": the spike is wider than the time between two: make it narrower',
    ],
    ["replay", "no file is named: write replay times.csv"],
    ["replay no.csv", '"replay no.csv": no.csv does not exist: check the path'],
  ]
  for (const [text, line] of cases) {
    assert.throws(
      () => readPhase(text, ""),
      (error: RdvError) => assert.equal(`${error.message}: ${error.mend}`, line) === undefined,
    )
  }
})

test("no text makes it throw anything but a usage error", () => {
  const word = fc.constantFrom(
    ..."0 1 5/s ramp step sine constant spike sawtooth .. ± by every until for to width 1s 0..9 5±1 -1 é".split(" "),
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(word).map((words) => words.join(" ")),
        fc.string(),
      ),
      (text) => {
        try {
          readPhase(text, "/nowhere")
        } catch (error) {
          assert.ok(error instanceof RdvError && error.code === "usage", String(error))
        }
      },
    ),
    { numRuns: 2000 },
  )
})
