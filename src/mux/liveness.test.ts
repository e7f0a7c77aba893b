import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../test/kit/fake-clock.ts"
import { Liveness } from "./liveness.ts"

function live(deadAfterMs: number) {
  const clock = new FakeClock(1_000_000)
  const seen = { pings: [] as number[], dead: [] as number[] }
  const liveness = new Liveness({
    clock,
    deadAfterMs,
    ping: (stamp) => void seen.pings.push(stamp),
    dead: () => void seen.dead.push(clock.now()),
  })
  return { clock, liveness, seen }
}

test("a link that says nothing is dead within its dead time, after four pings", () => {
  const { clock, liveness, seen } = live(10_000)
  const start = clock.now()
  liveness.start()
  clock.advance(60_000)
  assert.deepEqual(seen.dead, [start + 10_000])
  assert.equal(seen.pings.length, 4)
  assert.equal(clock.pending, 0)
})

test("whenever the last sign of life came, silence is noticed within the dead time", () => {
  for (let lastHeard = 0; lastHeard < 10_000; lastHeard += 100) {
    const { clock, liveness, seen } = live(10_000)
    liveness.start()
    clock.advance(lastHeard)
    liveness.heard()
    const at = clock.now()
    clock.advance(60_000)
    assert.equal(seen.dead.length, 1)
    const silentMs = (seen.dead[0] as number) - at
    assert.ok(silentMs <= 10_000 && silentMs > 7400, `${silentMs} ms of silence after input at ${lastHeard}`)
  }
})

test("a link with a word at each beat lives", () => {
  const { clock, liveness, seen } = live(2000)
  liveness.start()
  for (let at = 0; at < 100; at++) {
    clock.advance(500)
    liveness.heard()
  }
  assert.deepEqual(seen.dead, [])
  liveness.stop()
  assert.equal(clock.pending, 0)
})

test("a process that stood still finds the silence on its first beat", () => {
  const { clock, liveness, seen } = live(10_000)
  liveness.start()
  clock.advance(1000)
  liveness.heard()
  clock.freeze(30_000)
  assert.equal(seen.dead.length, 1)
  assert.equal(clock.pending, 0)
})

test("the round trip follows the answers, and stamps that were never sent change nothing", () => {
  const { clock, liveness, seen } = live(10_000)
  liveness.start()
  clock.advance(40)
  liveness.pong(seen.pings[0] as number)
  assert.ok(Math.abs(liveness.rttMs - 40) < 0.01)
  for (const lie of [0, 2 ** 64, (clock.now() + 5000) * 1000]) liveness.pong(lie)
  assert.ok(Math.abs(liveness.rttMs - 40) < 0.01)
  clock.advance(2480)
  liveness.pong(seen.pings[1] as number)
  assert.ok(liveness.rttMs > 37 && liveness.rttMs < 40)
  liveness.stop()
})
