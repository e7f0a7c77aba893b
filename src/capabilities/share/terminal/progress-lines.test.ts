import assert from "node:assert/strict"
import { test } from "node:test"
import { columnsOf } from "../../../base/columns.ts"
import { bar, origins, progressFrame, progressLine } from "./progress-lines.ts"
import type { ProgressFigures } from "./progress-lines.ts"

const figures: ProgressFigures = {
  name: "big.iso",
  phase: "receiving",
  bytes: 1000 * 2 ** 20,
  haveBytes: 520 * 2 ** 20,
  foundBytes: 20 * 2 ** 20,
  bytesPerSecond: 80 * 2 ** 20,
  sentBytes: 2 ** 20,
  via: { relay: 400 * 2 ** 20, direct: 80 * 2 ** 20, cast: 20 * 2 ** 20 },
  peers: 3,
  waitsFor: undefined,
}

test("a receiver sees how far it is, how fast, how long, and where it came from", () => {
  assert.deepEqual(progressFrame(figures, 100), [
    "big.iso  receiving",
    "████████████████▋···············   52 %  520 MiB of 1000 MiB  80.0 MiB/s  6 s left",
    "from relay 400 MiB, 3 peers 80.0 MiB, multicast 20.0 MiB; there before 20.0 MiB; sent 1.0 MiB",
  ])
  assert.equal(
    progressLine({ ...figures, bytesPerSecond: 0, waitsFor: "part 17: nobody has it now" }),
    "big.iso: receiving;  52 %  520 MiB of 1000 MiB  0 B/s; " +
      `${origins(figures)}; waiting for part 17: nobody has it now`,
  )
  const before = { ...figures, name: undefined, phase: "waiting", bytes: 0 }
  assert.equal(progressLine({ ...before, waitsFor: "the relay" }), "waiting for the relay")
  assert.equal(progressLine(before), "waiting")
})

test("no line is wider than the terminal, whatever a name holds", () => {
  for (const columns of [10, 20, 40, 79, 200]) {
    const lines = progressFrame({ ...figures, name: "\u001b[31m漢字".repeat(30), waitsFor: "\n".repeat(300) }, columns)
    for (const line of lines) {
      assert.ok(columnsOf(line) <= columns, line)
      assert.doesNotMatch(line, /[\u001b\n]/)
    }
  }
})

test("a bar has its width and is full at the end only", () => {
  for (const part of [0, 1, 33, 500, 999, 1_000]) {
    const text = bar(part, 1_000, 20)
    assert.equal(columnsOf(text), 20)
    assert.equal(text === "█".repeat(20), part === 1_000)
  }
})
