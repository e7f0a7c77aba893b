import assert from "node:assert/strict"
import { test } from "node:test"
import fc from "fast-check"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { columnsOf } from "../../../base/columns.ts"
import { ProgressDrawer } from "./progress-drawer.ts"
import { progressFrame, progressLine, sparkline } from "./progress.ts"
import type { ProgressFigures } from "./progress.ts"

const figures: ProgressFigures = {
  elapsedMs: 12_000,
  plannedEndMs: 60_000,
  phase: "phase 2 of 3",
  plannedRate: 2000,
  rate: 1890,
  p50: 1234,
  p99: 45_678,
  errors: 3,
  dropped: 0,
  inFlight: 12,
  queued: 7,
  connections: 64,
  rates: Array.from({ length: 40 }, (_, at) => at * 50),
}

test("a frame has four lines with what is going on", () => {
  const text = progressFrame(figures, 100).join("\n")
  assert.equal(text.split("\n").length, 4)
  for (const part of [
    "1,890/s of 2,000/s planned",
    "p50 1.234 ms",
    "p99 45.68 ms",
    "errors 3",
    "in flight 12",
    "queued 7",
    "0:48 left",
    "phase 2 of 3",
  ])
    assert.ok(text.includes(part), part)
})

test("a frame fits any width, coloured or not", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 130 }), fc.string(), (columns, phase) => {
      for (const line of progressFrame({ ...figures, phase }, columns)) assert.ok(columnsOf(line) <= columns)
      const painted = progressFrame({ ...figures, phase }, columns, (_style, text) => `\u0001${text}\u0001`)
      for (const line of painted) assert.ok(columnsOf(line.replaceAll("\u0001", "")) <= columns)
    }),
  )
})

test("a frame costs less than a thousandth of the time between two", () => {
  const started = performance.now()
  for (let round = 0; round < 2000; round++) progressFrame(figures, 100)
  assert.ok((performance.now() - started) / 2000 < 0.25)
})

test("the sparkline shows the last thirty, the highest fills its cell", () => {
  assert.equal(sparkline([0, 1, 2, 4, 8]), " ▁▂▄█")
  assert.equal(sparkline(figures.rates).length, 30)
  assert.equal(sparkline([]), "")
})

test("no answer yet and no known end are shown as such", () => {
  const line = progressLine({
    ...figures,
    p50: undefined,
    p99: undefined,
    plannedEndMs: undefined,
    plannedRate: undefined,
  })
  assert.match(line, /^0:12 {2}phase 2 of 3, 1,890\/s, p50 –, p99 –/)
})

test("on a terminal the block is redrawn in place four times a second, and gone at the end", () => {
  const screen = new Screen(70)
  const clock = new FakeClock()
  let reads = 0
  const drawer = new ProgressDrawer({ sink: screen, clock, read: () => ({ ...figures, elapsedMs: ++reads * 250 }) })
  drawer.start()
  clock.advance(1000)
  assert.equal(reads, 5)
  assert.equal(screen.lines.length, 5)
  drawer.note("a line above")
  assert.equal(screen.lines[0], "a line above")
  assert.equal(screen.lines.length, 6)
  drawer.stop()
  drawer.stop()
  assert.deepEqual(screen.lines, ["a line above", ""])
  clock.advance(1000)
  assert.deepEqual(screen.lines, ["a line above", ""])
})

test("elsewhere there is a line every ten seconds and at each new phase", () => {
  const written: string[] = []
  const clock = new FakeClock()
  let phase = "warm-up"
  const sink = { write: (text: string) => written.push(text) }
  const drawer = new ProgressDrawer({ sink, clock, read: () => ({ ...figures, phase }) })
  drawer.start()
  clock.advance(5000)
  phase = "phase 1"
  clock.advance(25_000)
  drawer.stop()
  assert.equal(written.length, 1 + 1 + 3)
  assert.ok(written.every((line) => /^[^\u001b\n]+\n$/.test(line)))
})

/** What a terminal shows of the few commands that the drawer uses. */
class Screen {
  readonly isTTY = true
  readonly columns: number
  lines: string[] = [""]
  #row = 0

  constructor(columns: number) {
    this.columns = columns
  }

  write(text: string): void {
    for (const [, up, erase, plainText] of text.matchAll(/\u001b\[(\d+)A|(\u001b\[[KJ]|[\r\n])|([^\u001b\r\n]+)/g)) {
      if (up !== undefined) this.#row -= Number(up)
      else if (erase === "\n") this.lines[++this.#row] ??= ""
      else if (erase === "\u001b[J") this.lines = [...this.lines.slice(0, this.#row), ""]
      else if (plainText !== undefined) this.lines[this.#row] = plainText
      assert.ok(this.#row >= 0)
    }
  }
}
