import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { LiveBlock } from "./live-block.ts"

class Paper {
  text = ""
  readonly columns: number
  readonly rows: number

  constructor(columns = 40, rows = 10) {
    this.columns = columns
    this.rows = rows
  }

  write(text: string): void {
    this.text += text
  }

  /** What stands on a screen that has understood the text. */
  get screen(): string[] {
    const lines = [""]
    let row = 0
    for (const [part] of this.text.matchAll(/\u001b\[(\d*)([AKJ])|\r|\n|[^\u001b\r\n]+/g)) {
      const up = /\u001b\[(\d+)A/.exec(part)
      if (up !== null) row -= Number(up[1])
      else if (part === "\n") lines[++row] ??= ""
      else if (part === "\u001b[J") lines.splice(row + (lines[row] === "" ? 0 : 0), lines.length, "")
      else if (part !== "\r" && part !== "\u001b[K") lines[row] = part
    }
    return lines
  }
}

test("the block is drawn in place, and notes stand above it", () => {
  const clock = new FakeClock()
  const sink = new Paper()
  let count = 0
  const block = new LiveBlock({ sink, clock, interactive: true, frame: () => [`frame ${count}`, "second"] })
  block.start()
  count = 1
  clock.advance(200)
  assert.deepEqual(sink.screen, ["frame 1", "second", ""])
  block.note("somebody is through")
  assert.deepEqual(sink.screen, ["somebody is through", "frame 1", "second", ""])
  block.stop()
  assert.deepEqual(sink.screen, ["somebody is through", ""])
  clock.advance(1_000)
  assert.deepEqual(sink.screen, ["somebody is through", ""])
})

test("its last state stays when asked for", () => {
  const clock = new FakeClock()
  const sink = new Paper()
  let text = "working"
  const block = new LiveBlock({ sink, clock, interactive: true, frame: () => [text] })
  block.start()
  text = "done"
  block.stop({ leave: true })
  assert.deepEqual(sink.screen, ["done", ""])
})

test("without a terminal it is a line every ten seconds", () => {
  const clock = new FakeClock()
  const sink = new Paper()
  let line = undefined as string | undefined
  const block = new LiveBlock({ sink, clock, interactive: false, frame: () => ["never"], line: () => line })
  block.start()
  clock.advance(10_000)
  line = "50 %"
  clock.advance(10_000)
  block.note("a note")
  block.stop()
  assert.equal(sink.text, "50 %\na note\n")
})

test("a block is not higher than the screen", () => {
  const clock = new FakeClock()
  const sink = new Paper(40, 5)
  const lines = Array.from({ length: 20 }, (_, at) => `line ${at}`)
  const block = new LiveBlock({ sink, clock, interactive: true, frame: () => lines })
  block.start()
  assert.deepEqual(sink.screen, ["line 0", "line 1", "line 2", "… 17 more lines", ""])
  block.stop()
})
