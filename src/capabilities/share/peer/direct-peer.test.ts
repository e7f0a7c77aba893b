import assert from "node:assert/strict"
import { test } from "node:test"
import { FakeClock } from "../../../../test/kit/fake-clock.ts"
import { ScriptedPath } from "../../../../test/kit/scripted-path.ts"
import { DirectPeer } from "./direct-peer.ts"

interface Parts {
  readonly clock: FakeClock
  readonly path: ScriptedPath
  readonly peer: DirectPeer
  readonly late: number[]
  readonly silences: () => number
}

function parts(): Parts {
  const clock = new FakeClock()
  const path = new ScriptedPath()
  const late: number[] = []
  let silences = 0
  const peer = new DirectPeer({
    clock,
    member: "other",
    path,
    late: ({ chunk }) => late.push(chunk),
    silent: () => silences++,
  })
  return { clock, path, peer, late, silences: () => silences }
}

const name = (chunk: number) => ({ version: 1, chunk })

test("one that answers nothing is late after about a second, and is told that nobody waits", () => {
  const { clock, path, peer, late } = parts()
  peer.ask(name(3), 1_000)
  clock.advance(900)
  assert.deepEqual(late, [])
  clock.advance(200)
  assert.deepEqual(late, [3])
  assert.deepEqual(path.cancels, [3])
  assert.equal(peer.asks, 0)
  assert.equal(clock.pending, 0)
})

test("a long way to it is no delay", () => {
  const { clock, path, peer, late } = parts()
  path.rttMs = 800
  peer.ask(name(1), 1_000)
  clock.advance(3_000)
  assert.deepEqual(late, [])
  clock.advance(500)
  assert.deepEqual(late, [1])
})

test("who gives slowly but gives is waited for", () => {
  const { clock, path, peer, late } = parts()
  peer.ask(name(1), 256_000)
  for (let second = 0; second < 10; second++) {
    clock.advance(1_000)
    path.receivedBytes += 20_000
  }
  assert.deepEqual(late, [])
  const took = peer.arrived(1)
  assert.equal(took, 10_000)
  assert.equal(clock.pending, 0)
})

test("what stands before a chunk counts", () => {
  const { clock, peer, late } = parts()
  // It is known to give 100 bytes a millisecond.
  peer.ask(name(0), 20_000)
  clock.advance(200)
  peer.arrived(0)
  for (let chunk = 1; chunk <= 10; chunk++) peer.ask(name(chunk), 50_000)
  clock.advance(1_500)
  assert.ok(!late.includes(10), "the last one has five seconds of work before it")
})

test("several late ones in a row end the path", () => {
  const { clock, peer, late, silences } = parts()
  for (let chunk = 0; chunk < 4; chunk++) peer.ask(name(chunk), 100)
  clock.advance(2_000)
  assert.equal(late.length, 4)
  assert.equal(silences(), 1)
})

test("what is cancelled, refused or forgotten is not late", () => {
  const { clock, path, peer, late } = parts()
  for (let chunk = 0; chunk < 4; chunk++) peer.ask(name(chunk), 100)
  peer.cancel(0)
  assert.equal(peer.refused(1), true)
  assert.equal(peer.refused(1), false)
  assert.deepEqual(peer.forget(), [name(2), name(3)])
  clock.advance(10_000)
  assert.deepEqual(late, [])
  assert.deepEqual(path.cancels, [0])
  assert.equal(clock.pending, 0)
})
