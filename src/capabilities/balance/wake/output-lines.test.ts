import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { silentLog } from "../../../base/log.ts"
import type { Log, LogFields } from "../../../base/log.ts"
import { utf8Encode } from "../../../base/text.ts"
import { OutputLines } from "./output-lines.ts"
import { quoteLine } from "./quote-line.ts"

function recorded(): { log: Log; lines: { event: string; fields: LogFields }[] } {
  const lines: { event: string; fields: LogFields }[] = []
  const add = (event: string, fields: LogFields = {}) => void lines.push({ event, fields })
  return { log: { ...silentLog, info: add, warn: add }, lines }
}

test("each line is told once and whole, however the bytes are cut", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: "grapheme", maxLength: 20 })),
      fc.nat(),
      fc.integer(),
      (lines, size, seed) => {
        const { log, lines: told } = recorded()
        const output = new OutputLines(log, new FakeClock())
        const bytes = utf8Encode(lines.join("\n"))
        for (let at = 0; at < bytes.length;) {
          const length = 1 + (Math.abs(seed + at) % ((size % 40) + 1))
          output.push("stdout", bytes.subarray(at, at + length))
          at += length
        }
        output.end()
        const kept = lines
          .join("\n")
          .split("\n")
          .map((line) => line.trimEnd())
          .filter((line) => line !== "")
        assert.deepEqual(
          told.map(({ fields }) => fields["line"]),
          kept,
        )
      },
    ),
  )
})

test("a line without end takes no more memory than a long one", () => {
  const { log, lines } = recorded()
  const output = new OutputLines(log, new FakeClock())
  for (let at = 0; at < 1_000; at++) output.push("stderr", new Uint8Array(10_000).fill(120))
  output.end()
  assert.equal(lines.length, 1)
  assert.equal(lines[0]?.fields["line"], "x".repeat(2_000))
})

test("a flood is taken, told in part, and counted", () => {
  const { log, lines } = recorded()
  const clock = new FakeClock()
  const output = new OutputLines(log, clock)
  for (let at = 0; at < 10_000; at++) output.push("stdout", utf8Encode(`line ${at}\n`))
  assert.equal(lines.length, 500)
  clock.advance(1_000)
  output.push("stdout", utf8Encode("calm again\n"))
  assert.deepEqual(
    lines.slice(500).map(({ event, fields }) => [event, fields["lines"] ?? fields["line"]]),
    [
      ["wake.output_dropped", 9_500],
      ["wake.output", "calm again"],
    ],
  )
})

test("the last line of standard error is what an error quotes, short and plain", () => {
  const output = new OutputLines(silentLog, new FakeClock())
  output.push("stdout", utf8Encode("listening\n"))
  assert.equal(quoteLine(output.last), ' (it said: "listening")')
  output.push("stderr", utf8Encode("\u001b[31mport is\u0007 taken\u001b[0m\n\n"))
  output.push("stdout", utf8Encode("bye\n"))
  output.end()
  assert.equal(quoteLine(output.last), ' (it said: "port is taken")')
  assert.equal(quoteLine("x".repeat(500)).length, 200 + ' (it said: "…")'.length)
  assert.equal(quoteLine(""), "")
})
