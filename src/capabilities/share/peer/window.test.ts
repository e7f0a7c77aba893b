import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { firstWindowBytes, leastWindowBytes, mostWindowBytes, Window } from "./window.ts"

/** Chunks of 256 KiB at this rate for so long. */
function feed(clock: FakeClock, window: Window, bytesPerMs: number, delayMs: number, ms: number): void {
  const chunk = 256 * 1024
  const gap = chunk / bytesPerMs
  for (let passed = 0; passed < ms; passed += gap) {
    clock.advance(gap)
    window.arrived(chunk, delayMs)
  }
}

test("a fast long way opens it, up to the bound", () => {
  const clock = new FakeClock()
  const window = new Window(clock)
  assert.equal(window.bytes, firstWindowBytes)
  feed(clock, window, 100_000, 100, 3_000)
  assert.ok(window.bytes > 15_000_000 && window.bytes < 25_000_000, `${window.bytes}`)
  feed(clock, window, 1_000_000, 200, 3_000)
  assert.ok(window.bytes > mostWindowBytes * 0.8 && window.bytes <= mostWindowBytes, `${window.bytes}`)
})

test("a slow way closes it, down to the bound", () => {
  const clock = new FakeClock()
  const window = new Window(clock)
  feed(clock, window, 200, 50, 30_000)
  assert.ok(window.bytes < leastWindowBytes * 1.4, `${window.bytes}`)
})

test("a time that grows with the window itself does not open it further", () => {
  const clock = new FakeClock()
  const window = new Window(clock)
  const rate = 10_000
  for (let round = 0; round < 200; round++) {
    clock.advance(26)
    window.arrived(256 * 1024, round % 10 === 0 ? 40 : window.bytes / rate)
  }
  assert.ok(window.bytes < 2_000_000, `${window.bytes}`)
})

test("a short way leaves room for what waits in the uplinks of other members", () => {
  const clock = new FakeClock()
  const window = new Window(clock)
  const rate = 20_000
  for (let round = 0; round < 200; round++) {
    clock.advance(13)
    window.arrived(256 * 1024, round % 10 === 0 ? 5 : 160, "direct")
  }
  assert.ok(window.bytes > rate * 300 && window.bytes < rate * 600, `${window.bytes}`)
})

test("nothing is asked for while the disk is behind", () => {
  const window = new Window(new FakeClock())
  window.backlog = 17 * 1024 * 1024
  assert.equal(window.bytes, 0)
  window.backlog = 10 * 1024 * 1024
  assert.equal(window.bytes, 0)
  window.backlog = 1024
  assert.equal(window.bytes, firstWindowBytes)
})
