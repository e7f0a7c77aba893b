import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { sampleResult } from "../../../../test/kit/load-results.ts"
import { RdvError } from "../../../base/error.ts"
import { decodeResult, encodeResult } from "./json.ts"

const errors = { timeout: { count: 4, example: "no answer" } }

test("a result is the same after writing and reading", () => {
  for (const model of ["open", "closed"] as const) {
    const result = sampleResult({ model, errors, seconds: 5, doubts: ["late"] })
    assert.deepEqual(decodeResult(encodeResult(result), "a.json"), result)
  }
})

test("what is no number is written as 0", () => {
  const result = sampleResult({ seconds: 2 })
  const broken = { ...result, total: { ...result.total, rate: Number.NaN } }
  assert.equal(decodeResult(encodeResult(broken), "a.json").total.rate, 0)
})

test("one line says what is wrong and where", () => {
  const value = JSON.parse(encodeResult(sampleResult({ seconds: 2 }))) as Record<string, unknown>
  const wrong: [unknown, RegExp][] = [
    [[], /^a\.json: the file is \[\]: it has to be an object$/],
    [{}, /^a\.json: format is missing: it has to be rdv-load\/1$/],
    [{ ...value, format: "rdv-load/9" }, /^a\.json: format is "rdv-load\/9": it has to be rdv-load\/1$/],
    [{ ...value, durationMs: -1 }, /^a\.json: durationMs is -1: it has to be a number of at least 0$/],
    [{ ...value, series: [{ atMs: "x" }] }, /^a\.json: series\[0\]\.atMs is "x": it has to be a number/],
    [{ ...value, doubts: Array.from({ length: 2000 }, () => "") }, /^a\.json: doubts has more than 1000 entries$/],
    [{ ...value, ended: "x".repeat(20_000) }, /^a\.json: ended is longer than 10000 characters$/],
    [
      { ...value, scenario: { ...(value["scenario"] as object), model: { kind: "half-open" } } },
      /^a\.json: scenario\.model\.kind is "half-open": it has to be closed or open$/,
    ],
  ]
  for (const [given, message] of wrong) assert.throws(() => decodeResult(JSON.stringify(given), "a.json"), { message })
  assert.throws(() => decodeResult("{", "a.json"), /^RdvError: a\.json: the file is no JSON: [^\n]+$/)
})

test("a result with a part missing or replaced is refused in one line, never with another error", () => {
  const text = encodeResult(sampleResult({ seconds: 2, errors }))
  fc.assert(
    fc.property(fc.jsonValue(), fc.nat(), (junk, pick) => {
      const value = JSON.parse(text) as Record<string, unknown>
      const names = Object.keys(value)
      value[names[pick % names.length] as string] = junk
      try {
        decodeResult(JSON.stringify(value), "a.json")
      } catch (error) {
        assert.ok(error instanceof RdvError)
        assert.doesNotMatch(error.message, /\n/)
      }
    }),
  )
})
